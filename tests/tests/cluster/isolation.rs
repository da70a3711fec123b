//! Tasks that try to read or trace their worker, or to gain rights, get nowhere.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, Finished, Process, argon};

use crate::rust_programs::built;

const SOON: Duration = Duration::from_secs(60);

/// A user without rights, and its group.
const NOBODY: u32 = 65534;

/// True if these tests may change users.
pub(crate) fn is_root() -> bool {
    // SAFETY: asks only.
    unsafe { libc::geteuid() == 0 }
}

/// A copy of the cluster's key that only `owner` can read.
fn key_of(cluster: &Cluster, owner: u32) -> PathBuf {
    use std::os::unix::fs::{PermissionsExt, chown};
    let path = cluster.folder().join(format!("key-{owner}"));
    std::fs::copy(cluster.key(), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(owner), Some(owner)).unwrap();
    path
}

/// Starts a worker without any rights, so that tasks of its own user try.
fn add_powerless_worker(cluster: &mut Cluster) {
    if !is_root() {
        cluster.add_worker(&["--workers", "1"]);
        return;
    }
    let (address, key) = (cluster.address().to_owned(), key_of(cluster, NOBODY));
    let mut command = Command::new("setpriv");
    let nobody = NOBODY.to_string();
    command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "--"]).arg(argon());
    command.args(["worker", "--port", "0", "--workers", "1", "--manager", &address, "--key"]).arg(key);
    command.env_remove("XDG_RUNTIME_DIR").env("ARGON_TEST_SECRET", "of the worker").current_dir("/");
    let mut worker = cluster.run(command, "worker");
    worker.ready("pid");
    cluster.workers.push(worker);
}

/// A Perl sub that returns what it can read of the process `$_[0]`, or do to it, as words.
const READ: &str = r#"
my $read = sub {
    my ($process) = @_;
    my @read;
    for my $file (qw(environ mem maps auxv stack)) {
        open my $handle, '<', "/proc/$process/$file" or next;
        # Of its memory the first byte is never there.
        push @read, $file if $file eq 'mem' || sysread $handle, my $byte, 1;
    }
    my $folder;
    push @read, 'fd' if opendir($folder, "/proc/$process/fd") && grep { !/^\./ } readdir $folder;
    push @read, 'cwd' if defined readlink "/proc/$process/cwd";
    require Config;
    my $number = $Config::Config{archname} =~ /x86_64/ ? 101 : 117;
    push @read, 'ptrace' if syscall($number, 16, $process + 0, 0, 0) == 0;
    join ',', @read;
};
"#;

#[test]
fn a_task_can_neither_read_nor_trace_its_worker_and_the_guardians() {
    let mut cluster = Cluster::start();
    add_powerless_worker(&mut cluster);
    let printed = cluster.perl(&format!(
        "print join '|', $client->queue(sub {{ {READ} my $worker = getppid; \
           open my $children, '<', \"/proc/$worker/task/$worker/children\" or die $!; \
           my @guardians = grep {{ open my $line, '<', \"/proc/$_/cmdline\" or die $!; readline($line) =~ /^argon\\0guardian/ }} split ' ', readline $children; \
           my $own = $read->($$); \
           return join ' ', scalar(@guardians), (map {{ '<' . $read->($_) . '>' }} $worker, @guardians), $own =~ /environ,mem,maps/ ? 'own' : $own }})"
    ));
    assert_eq!(printed, "2 <> <> <> own");
}

#[test]
fn a_task_has_no_core_files_unless_it_asks_and_gains_no_rights() {
    let mut cluster = Cluster::with_workers(&[1]);
    let script =
        "grep -h NoNewPrivs /proc/self/status | tr -dc 0-9; ulimit -Sc; ulimit -c $(ulimit -Hc); ulimit -Sc";
    let address = cluster.address().to_owned();
    let mut in_command = cluster.argon(&["run", "--manager", &address]);
    in_command.args(["sh", "-c", script]);
    let printed = cluster.run(in_command, "run").finish(SOON).stdout;
    let limits = Command::new("sh").args(["-c", "ulimit -Hc"]).output().unwrap().stdout;
    let most = String::from_utf8(limits).unwrap();
    assert_eq!(printed, format!("10\n{most}"), "no_new_privs is 1, the limit 0, and what the task asks for");
    let in_runner = cluster.perl(
        "print $client->queue(sub { `grep -h NoNewPrivs /proc/self/status; ulimit -Sc` =~ s/\\s+/ /gr })",
    );
    assert_eq!(in_runner, "NoNewPrivs: 1 0 ");
}

/// Output of a program that must succeed.
pub(crate) fn printed(process: Process) -> String {
    let finished = process.finish(SOON);
    assert!(finished.status.success(), "{}", finished.stderr);
    finished.stdout
}

/// Runs a script of the shell as a task. It finds the program `argon` as `$ARGON`.
fn shell(cluster: &mut Cluster, script: &str, more: &[&str]) -> Finished {
    let address = cluster.address().to_owned();
    let mut command =
        cluster.argon(&["run", "--manager", &address, "--no-stdin", "--env", "ARGON", "--cwd", "/"]);
    command.env("ARGON", argon()).args(["sh", "-c", script, "sh"]).args(more);
    cluster.run(command, "run").finish(SOON)
}

/// Runs a Python program that finds a connected `client`.
pub(crate) fn python(cluster: &mut Cluster, program: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = cluster.folder().join("program.py");
    let preamble = "import sys as _sys\nfrom argon import Client as _Client\nclient = _Client(_sys.argv[1], key=_sys.argv[2])\n";
    std::fs::write(&file, preamble.to_owned() + program).unwrap();
    let mut command = Command::new(root.join("target/python-venv/bin/python"));
    command.env("PYTHONPATH", root.join("python/src")).arg(&file).arg(cluster.address()).arg(cluster.key());
    let process = cluster.run(command, "python");
    printed(process)
}

/// The number of the user nobody.
fn nobody() -> String {
    let output = Command::new("id").args(["-u", "nobody"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn tasks_of_every_kind_run_as_the_user_that_was_named() {
    if !is_root() {
        // Root alone can do that; the refusal has a test of its own.
        return;
    }
    let mut cluster = Cluster::start();
    cluster.add_worker(&["--workers", "2", "--run-as", "nobody"]);
    let uid = nobody();
    let facts = cluster.perl(
        "print $client->queue(sub { my ($stderr, $secret); join ' ', $<, $>, (grep { $_ == 0 } split ' ', $( . ' ' . $)) ? 'root' : 'no root', \
           \"$ENV{USER} $ENV{LOGNAME}\", $ENV{HOME} eq (getpwuid $<)[7] ? 'home' : $ENV{HOME}, \
           open($stderr, '>>', '/dev/stderr') ? 'opens' : \"$!\", kill(STOP => getppid) ? 'stops' : 'spares', \
           open($secret, '<', '/etc/shadow') ? 'reads' : 'not', -w '/dev/null' ? 'null' : 'none', \
           Argon::Client->current->queue(sub { $< }) })",
    );
    assert_eq!(facts, format!("{uid} {uid} no root nobody nobody home opens spares not null {uid}"));
    let ended = cluster.perl(
        "my @pids; print join ' ', (map { eval { $client->queue(@$_); 1 }; $@->kind } [sub { sleep 300 }, [], { timeout => 0.3 }], \
           [sub { my $big = 'x' x ($_[0] << 20); 1 }, [300], { memory => 64 }]), $client->queue(sub { my $big = 'x' x ($_[0] << 20); 'served' }, [8], { memory => 64 })",
    );
    assert_eq!(ended, "timeout died served");
    let script = "id -u; id -un; echo out >/dev/stdout; echo $HOME | grep -c root; cat /proc/self/stat >/dev/null; \"$ARGON\" run --no-stdin id -u";
    let ran = shell(&mut cluster, script, &[]);
    assert_eq!(ran.stdout, format!("{uid}\nnobody\nout\n0\n{uid}\n"), "{}", ran.stderr);
    assert_eq!(
        python(
            &mut cluster,
            "def task():\n    import os\n    return os.getuid(), os.environ['USER']\n\nprint(client.queue(task))"
        ),
        format!("({uid}, 'nobody')\n")
    );
    let mut rust = Command::new(built().join("rust-client"));
    rust.arg("fib").arg(cluster.address()).arg(cluster.key()).arg("4");
    let process = cluster.run(rust, "rust");
    assert_eq!(printed(process), "3\n");
    let status = cluster.status();
    assert_eq!(status["worker_list"][0]["run_as"], "nobody", "{status}");
}

#[test]
fn a_user_that_tasks_cannot_run_as_is_refused_in_words() {
    let mut cluster = Cluster::start();
    let address = cluster.address().to_owned();
    let mut refused = |user: &str, before: &[&str]| {
        let of_cluster = cluster.argon(&["worker", "--manager", &address, "--run-as", user]);
        let words =
            before.iter().map(|word| OsString::from(*word)).chain([of_cluster.get_program().to_owned()]);
        let words: Vec<OsString> = words.chain(of_cluster.get_args().map(OsStr::to_owned)).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let finished = cluster.run(command, "worker").finish(SOON);
        assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(2), ""), "{}", finished.stderr);
        finished.stderr
    };
    if !is_root() {
        assert!(refused("nobody", &[]).contains("needs a worker that root starts"));
        return;
    }
    for (user, why) in [
        ("root", "is the user root"),
        ("0", "is the user root"),
        ("nobody:root", "is in the group of root"),
        ("no-such-user", "there is no user 'no-such-user' on this machine"),
        ("4000000001", "there is no user '4000000001'"),
        ("nobody:no-such-group", "there is no group 'no-such-group'"),
        ("", "there is no user ''"),
    ] {
        let words = refused(user, &[]);
        assert!(words.contains(why), "{words}");
    }
    let words = refused("nobody", &["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    assert!(words.contains("needs a worker that root starts"), "{words}");
    let words = refused("nobody", &["setpriv", "--bounding-set", "-chown,-kill"]);
    assert!(words.contains("needs the capabilities CAP_CHOWN, CAP_KILL"), "{words}");
}
