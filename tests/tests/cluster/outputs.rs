//! Output that cannot be written: a full disk, a closed descriptor, a reader that went away.

use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, Finished, argon};

const SOON: Duration = Duration::from_secs(60);

/// Runs a line of a shell in which `argon` is the program under test.
fn shell(cluster: &mut Cluster, line: &str) -> Finished {
    let mut command = Command::new("bash");
    let script = format!("argon() {{ \"$ARGON\" \"$@\"; }}; {line}");
    command.args(["-c", &script]).current_dir(cluster.folder()).env("ARGON", argon());
    command.env("ARGON_KEY", cluster.key()).env("ARGON_MANAGER", cluster.address());
    cluster.run(command, "shell").finish(SOON)
}

/// Commands that print, and the status that they have when it cannot be written.
const PRINTING: [(&str, i32); 15] = [
    ("argon run -- echo hi", 125),
    ("argon map -- echo ::: a b", 125),
    ("argon map --dry-run -- echo ::: a b", 125),
    ("argon collect $(argon submit -- echo hi)", 125),
    ("argon collect --json $(argon submit -- echo hi)", 125),
    ("argon submit -- true", 8),
    ("argon status", 8),
    ("argon status --json", 8),
    ("argon key", 8),
    ("argon man", 8),
    ("argon completions bash", 8),
    ("argon --help", 8),
    ("argon --version", 8),
    ("argon status --help", 8),
    ("argon run --help", 125),
];

// kind: output that cannot be written | every command with its output to a full disk or closed | loud | a status of its own and a sentence
#[test]
fn output_that_cannot_be_written_is_a_failure_with_a_status_of_its_own() {
    let mut cluster = Cluster::with_workers(&[1]);
    for (command, status) in PRINTING {
        for (to, why) in [(">/dev/full", "No space left"), (">&-", "Bad file descriptor")] {
            let finished = shell(&mut cluster, &format!("{command} {to}"));
            assert_eq!(finished.status.code(), Some(status), "{command} {to}: {}", finished.stderr);
            assert!(finished.errors().starts_with("argon: "), "{command} {to}: {}", finished.stderr);
            assert!(finished.stderr.contains(why), "{command} {to}: {}", finished.stderr);
            assert_eq!(finished.errors().lines().count(), 1, "{command} {to}: {}", finished.stderr);
            // Where nothing can be said the status is the same.
            let mute = shell(&mut cluster, &format!("{command} {to} 2>/dev/full"));
            assert_eq!(mute.status.code(), Some(status), "{command} {to} 2>/dev/full");
        }
    }
}

// kind: output that cannot be written | every command with its output to a reader that ended | loud | status 141, as of a signal
#[test]
fn a_reader_that_went_away_ends_every_command_as_shells_have_it() {
    let mut cluster = Cluster::with_workers(&[1]);
    for (command, _) in PRINTING {
        let line = format!("{{ sleep 0.1; {command}; echo $? >&2; }} | true; wait");
        let finished = shell(&mut cluster, &line);
        assert_eq!(finished.errors(), "141\n", "{command}");
    }
}

// kind: output that cannot be written | standard error to a full disk or closed | right | the status stays, nothing panics
#[test]
fn errors_that_cannot_be_printed_change_no_status() {
    let mut cluster = Cluster::with_workers(&[1]);
    for (command, status) in [
        ("argon run -- no-such-command", 127),
        ("argon run -- sh -c 'exit 3'", 3),
        ("argon run --nonsense", 255),
        ("argon run --cwd /no/such/folder -- true", 126),
        ("argon map -- false ::: a b", 2),
        ("argon map -- no-such-command ::: a b", 2),
        ("argon collect 00", 255),
        ("argon status --nonsense", 2),
        ("argon status --manager 127.0.0.1:1", 5),
        ("argon drain nobody", 1),
        ("argon manager --host 192.0.2.1", 3),
    ] {
        for to in ["2>/dev/full", "2>&-", ">/dev/full 2>&1", ">&- 2>&-"] {
            let finished = shell(&mut cluster, &format!("{command} {to}"));
            assert_eq!(finished.status.code(), Some(status), "{command} {to}");
            assert_eq!(finished.stdout, "", "{command} {to}");
        }
    }
    for (command, status) in
        [("argon run -- sh -c 'echo e >&2'", 125), ("argon map -- sh -c 'echo e >&2' ::: a", 125)]
    {
        for to in ["2>/dev/full", "2>&-"] {
            let finished = shell(&mut cluster, &format!("{command} {to}"));
            assert_eq!(finished.status.code(), Some(status), "{command} {to}");
        }
    }
}

#[test]
fn servers_serve_on_without_a_place_for_their_ready_line_and_log() {
    let mut cluster = Cluster::start();
    for to in [">/dev/full 2>/dev/full", ">&- 2>&-"] {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let line = format!(
            "\"$ARGON\" up --port {port} --store memory --workers 1 {to} & for i in $(seq 500); do \
             argon status --manager 127.0.0.1:{port} >/dev/null 2>&1 && break; sleep 0.02; done; \
             argon run --manager 127.0.0.1:{port} -- echo served; kill $!; wait $!; echo $?"
        );
        let finished = shell(&mut cluster, &line);
        assert_eq!(finished.stdout, "served\n0\n", "{to}: {}", finished.stderr);
    }
}
