//! Tasks in the sandbox try what it refuses, and do what it allows.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, argon};

use crate::isolation::{is_root, printed, python};
use crate::rust_programs::built;
use crate::support::wait_until_gone;

const SOON: Duration = Duration::from_secs(60);

/// Starts a worker whose tasks are in the sandbox.
fn add_sandbox(cluster: &mut Cluster, options: &[&str]) {
    cluster.add_worker(&[&["--workers", "2", "--sandbox"], options].concat());
}

/// A Perl sub that tries what the sandbox refuses, and returns what it could do, as words. `$folder` is the test's, with a
/// file `file`.
const TRY: &str = r#"
my $try = sub {
    my ($folder, $port) = @_;
    require Socket;
    my %number = $Config::Config{archname} =~ /x86_64/
        ? (ptrace => 101, mount => 165, unshare => 272, bpf => 321, keyctl => 250, kexec_load => 246, shmget => 29, io_uring_setup => 425, setns => 308, perf_event_open => 298)
        : (ptrace => 117, mount => 40, unshare => 97, bpf => 280, keyctl => 219, kexec_load => 104, shmget => 194, io_uring_setup => 425, setns => 268, perf_event_open => 241);
    my $text = "none\0";
    my ($handle, @could);
    my %tries = (
        (map { my $path = $_; ("read $path" => sub { open $handle, '<', $path or opendir $handle, $path }) } $folder, "$folder/file", '/root', '/home', '/tmp', '/proc/1/environ'),
        (map { my $path = $_; ("write $path" => sub { open $handle, '>>', "$path/sandbox-test-$$" and unlink "$path/sandbox-test-$$" }) } $folder, '/tmp', '/var/tmp', '/etc', '/dev/shm', '/usr', $ENV{HOME}),
        truncate => sub { truncate "$folder/file", 0 },
        link     => sub { link '/etc/hostname', "$folder/link" or rename "$folder/file", "$ENV{TMPDIR}/file" },
        setid    => sub { my $made = ($ENV{TMPDIR} // $folder) . '/made'; open $handle, '>', $made or die $!; my $could = chmod 04755, $made; unlink $made; $could },
        tcp      => sub { socket $handle, Socket::PF_INET(), Socket::SOCK_STREAM(), 0 and connect $handle, Socket::pack_sockaddr_in($port, Socket::inet_aton('127.0.0.1')) },
        udp      => sub { socket $handle, Socket::PF_INET(), Socket::SOCK_DGRAM(), 0 },
        unix     => sub { socket $handle, Socket::PF_UNIX(), Socket::SOCK_STREAM(), 0 or die $!; connect $handle, Socket::pack_sockaddr_un("$folder/socket") },
        datagram => sub { socket $handle, Socket::PF_UNIX(), Socket::SOCK_DGRAM(), 0 },
        signal   => sub { kill 0 => getppid },
        ptrace   => sub { syscall($number{ptrace}, 16, getppid, 0, 0) == 0 },
        namespace => sub { syscall($number{unshare}, 0x10000000) == 0 },
        (map { my $name = $_; ($name => sub { my $n = syscall $number{$name}, $text, $text, $text, 0, 0; $n >= 0 || !($!{EPERM} || $!{ENOSYS}) }) } qw(mount bpf keyctl kexec_load shmget io_uring_setup setns perf_event_open)),
    );
    require Errno;
    for my $name (sort keys %tries) { push @could, $name if eval { $tries{$name}->() } }
    join ',', @could;
};
"#;

/// A folder with a file and a socket that listens, which tasks must not reach.
fn forbidden(cluster: &Cluster) -> (PathBuf, std::os::unix::net::UnixListener) {
    let folder = cluster.folder().join("forbidden");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "secret").unwrap();
    let listener = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    // Whatever keeps tasks out, it is not the mode.
    for path in [folder.clone(), folder.join("file"), folder.join("socket")] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    (folder, listener)
}

#[test]
fn a_task_in_the_sandbox_reaches_what_it_is_allowed_and_nothing_else() {
    let mut cluster = Cluster::start();
    let (folder, _listener) = forbidden(&cluster);
    let port = cluster.address().rsplit(':').next().unwrap().to_owned();
    // Each try succeeds outside of the sandbox, or the test shows nothing.
    cluster.add_worker(&["--workers", "1"]);
    let program = format!(
        "print $client->queue(sub {{ use Config; {TRY} $try->(@_) }}, ['{}', {port}])",
        folder.display()
    );
    let outside = cluster.perl(&program);
    for what in ["read /tmp", "write /tmp", "truncate", "tcp", "udp", "unix", "datagram", "signal"] {
        assert!(outside.split(',').any(|could| could == what), "{what} is not in {outside}");
    }
    cluster.workers.clear();
    std::fs::write(folder.join("file"), "secret").unwrap();
    add_sandbox(&mut cluster, &[]);
    assert_eq!(cluster.perl(&program), "");
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "secret");
    // What it may.
    let allowed = cluster.perl(
        "print $client->queue(sub { require File::Temp; my ($handle, $file) = File::Temp::tempfile(TMPDIR => 1); print $handle 'x'; close $handle; \
           open my $relative, '>', 'relative' or die $!; mkdir \"$ENV{TMPDIR}/sub\" or die $!; open my $null, '>', '/dev/null' or die $!; \
           print STDERR 'logged'; my $child = `cat $file`; socketpair my $one, my $two, 1, 1, 0 or die $!; \
           join ' ', $child, index($file, $ENV{TMPDIR}), -s '/etc/passwd' ? 'passwd' : 'none', kill(0 => $$) })",
    );
    assert_eq!(allowed, "x 0 passwd 1");
    let left = cluster.perl(
        "my $first = $client->queue(sub { open my $file, '>', 'left' or die $!; mkdir 'folder'; $ENV{TMPDIR} }); \
         print join ' ', map { $client->queue(sub { my $left = () = glob '* .[!.]*'; $left }) } 1 .. 2",
    );
    assert_eq!(left, "0 0");
    let status = cluster.status();
    assert_eq!(status["worker_list"][0]["sandbox"]["network"], false, "{status}");
}

#[test]
fn tasks_of_every_kind_work_in_the_sandbox_and_submit_tasks() {
    let mut cluster = Cluster::start();
    let (folder, _listener) = forbidden(&cluster);
    let readable = cluster.folder().join("readable");
    let writable = cluster.folder().join("writable");
    for path in [&readable, &writable] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("file"), "here\n").unwrap();
    }
    add_sandbox(
        &mut cluster,
        &["--sandbox-read", readable.to_str().unwrap(), "--sandbox-write", writable.to_str().unwrap()],
    );
    let nested = cluster.perl(
        "print $client->queue(sub { Argon::Client->current->queue(sub { $ENV{TMPDIR} }) ne $ENV{TMPDIR} ? 'nested' : 'same' })",
    );
    assert_eq!(nested, "nested");
    let script = "cat $0/file; cat $1/file >/dev/null 2>&1 && echo read; cat $2/file; echo x >$0/new 2>/dev/null && echo wrote; echo x >$2/new && echo wrote; \
                  echo x >$TMPDIR/own && cat $TMPDIR/own; echo err >/dev/stderr; grep -h -e CapEff: -e Seccomp: /proc/self/status; \"$ARGON\" run --no-stdin --cwd / echo nested; \
                  \"$ARGON\" run --no-stdin $1/program 2>/dev/null || echo refused";
    let paths: Vec<&str> =
        [&readable, &folder, &writable].iter().map(|path| path.to_str().unwrap()).collect();
    let address = cluster.address().to_owned();
    let mut command =
        cluster.argon(&["run", "--manager", &address, "--no-stdin", "--env", "ARGON", "--cwd", "/"]);
    command.env("ARGON", argon()).args(["sh", "-c", script]).args(&paths);
    let ran = cluster.run(command, "run").finish(SOON);
    let none = "CapEff:\t0000000000000000\nSeccomp:\t2\n";
    assert_eq!(ran.stdout, format!("here\nhere\nwrote\nx\n{none}nested\nrefused\n"), "{}", ran.stderr);
    let in_python = python(
        &mut cluster,
        "def task(folder):\n    import os, socket, tempfile, argon\n    could = []\n    for name, act in [('read', lambda: os.listdir(folder)), ('net', lambda: socket.socket()), ('kill', lambda: os.kill(os.getppid(), 0))]:\n        try:\n            act()\n            could.append(name)\n        except PermissionError:\n            pass\n    with tempfile.NamedTemporaryFile() as file:\n        file.write(b'x')\n        inside = file.name.startswith(os.environ['TMPDIR'])\n    return could, inside, argon.current_client().queue(pow, 2, 5)\n\nprint(client.queue(task, '/home'))",
    );
    assert_eq!(in_python, "([], True, 32)\n");
    let mut rust = Command::new(built().join("rust-client"));
    rust.arg("fib").arg(cluster.address()).arg(cluster.key()).arg("4");
    let process = cluster.run(rust, "rust");
    assert_eq!(printed(process), "3\n");
    let scratch = cluster.perl("print $client->queue(sub { $ENV{TMPDIR} })");
    assert!(Path::new(&scratch).is_dir());
    let worker = cluster.workers[0].pid();
    // SAFETY: kill has no memory effects.
    unsafe { libc::kill(worker, libc::SIGTERM) };
    wait_until_gone(&[worker], SOON);
    assert!(!Path::new(&scratch).parent().unwrap().exists(), "{scratch} is left");
}

#[test]
fn the_sandbox_with_network_and_another_user_reaches_the_manager_and_no_file_of_others() {
    let mut cluster = Cluster::start();
    let (folder, _listener) = forbidden(&cluster);
    let port = cluster.address().rsplit(':').next().unwrap().to_owned();
    let user: &[&str] = if is_root() { &["--run-as", "nobody"] } else { &[] };
    add_sandbox(&mut cluster, &[&["--sandbox-network"], user].concat());
    let printed = cluster.perl(&format!(
        "print $client->queue(sub {{ use Config; {TRY} $try->(@_) }}, ['{}', {port}]), ' ', \
         $client->queue(sub {{ open my $file, '>', 'own' or die $!; Argon::Client->current->queue(sub {{ 'nested' }}) }})",
        folder.display()
    ));
    assert_eq!(printed, "datagram,tcp,udp,unix nested");
}

#[test]
fn a_sandbox_that_cannot_be_had_is_refused_in_words() {
    let mut cluster = Cluster::start();
    let address = cluster.address().to_owned();
    let folder = std::fs::canonicalize(cluster.folder()).unwrap();
    let mut refused = |options: &[&str], before: &str| {
        let of_cluster = cluster.argon(&["worker", "--manager", &address]);
        let words = of_cluster.get_args().map(OsStr::to_owned).chain(options.iter().map(OsString::from));
        let mut command = Command::new("perl");
        command.args(["-e", &format!("{before}; exec {{ $ARGV[0] }} @ARGV")]).arg(argon()).args(words);
        let finished = cluster.run(command, "worker").finish(SOON);
        assert_eq!(finished.stdout, "", "it started");
        (finished.status.code(), finished.stderr)
    };
    // A filter that answers landlock_create_ruleset as a kernel without Landlock does, or with version 4.
    let without = |errno: u32| {
        format!(
            "my $f = join '', map {{ pack 'S C C L', @$_ }} [0x20, 0, 0, 0], [0x15, 0, 1, 444], [6, 0, 0, {}], [6, 0, 0, 0x7fff0000]; \
             my $p = pack 'S x6 P', 4, $f; my ($prctl, $seccomp) = `uname -m` =~ /x86_64/ ? (157, 317) : (167, 277); \
             syscall($prctl, 38, 1, 0, 0, 0); syscall($seccomp, 1, 0, $p) == 0 or die $!",
            0x0005_0000 | errno
        )
    };
    for (errno, why) in
        [(38, "this kernel has no Landlock"), (95, "Landlock is switched off"), (0, "has version 0")]
    {
        let (code, words) = refused(&["--sandbox"], &without(errno));
        assert_ne!(code, Some(0));
        assert!(words.contains(why) && words.contains("this worker does not start"), "{words}");
    }
    for (options, why) in [
        (&["--sandbox", "--sandbox-read", "/no/such"][..], "--sandbox-read /no/such: No such file"),
        (&["--sandbox", "--sandbox-write", "/no/such"], "--sandbox-write /no/such: No such file"),
        (&["--sandbox-network"], "--sandbox"),
        (&["--sandbox-read", "/tmp"], "--sandbox"),
    ] {
        let (code, words) = refused(options, "1");
        assert_eq!(code, Some(2), "{words}");
        assert!(words.contains(why), "{words}");
    }
    let (code, words) = refused(&["--sandbox", "--sandbox-read", folder.to_str().unwrap()], "1");
    assert_eq!(code, Some(4), "{words}");
    assert!(words.contains("tasks could read the key"), "{words}");
}
