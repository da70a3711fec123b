//! Tasks that try to read or trace their worker, or to gain rights, get nowhere.

use std::path::PathBuf;
use std::process::Command;

use argon_tests::{Cluster, argon};

/// A user without rights, and its group.
const NOBODY: u32 = 65534;

/// True if these tests may change users.
fn is_root() -> bool {
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
        "grep -h NoNewPrivs /proc/self/status | tr -dc 0-9; ulimit -Sc; ulimit -c unlimited; ulimit -Sc";
    let address = cluster.address().to_owned();
    let mut in_command = cluster.argon(&["run", "--manager", &address]);
    in_command.args(["sh", "-c", script]);
    let printed = cluster.run(in_command, "run").finish(std::time::Duration::from_secs(20)).stdout;
    let limits = Command::new("sh").args(["-c", "ulimit -Hc"]).output().unwrap().stdout;
    let most = String::from_utf8(limits).unwrap();
    assert_eq!(printed, format!("10\n{most}"), "no_new_privs is 1, the limit 0, and what the task asks for");
    let in_runner = cluster.perl(
        "print $client->queue(sub { `grep -h NoNewPrivs /proc/self/status; ulimit -Sc` =~ s/\\s+/ /gr })",
    );
    assert_eq!(in_runner, "NoNewPrivs: 1 0 ");
}
