//! Starts of servers: with or without a home, and ready when their port answers.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, argon, wait_for};

use crate::support::Folder;

const SOON: Duration = Duration::from_secs(60);

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// A server with nothing in its environment but these variables.
fn server(words: &[&str], variables: &[(&str, &Path)]) -> Command {
    let mut command = Command::new(argon());
    command.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(variables.iter().copied());
    command
}

// kind: a place for files | no HOME, a relative or empty one, one that cannot be written | loud | memory, with a warning
#[test]
fn a_manager_without_a_home_keeps_detached_tasks_in_memory_and_says_so() {
    let mut cluster = Cluster::start();
    let key = cluster.key().clone();
    let cases: [&[(&str, &Path)]; 4] = [
        &[],
        &[("HOME", Path::new(""))],
        &[("HOME", Path::new("home")), ("XDG_STATE_HOME", Path::new("state"))],
        &[("HOME", Path::new("/proc/nobody"))],
    ];
    for variables in cases {
        let port = free_port();
        let mut command = server(&["manager", "--port", &port, "--key"], variables);
        command.arg(&key).current_dir(cluster.folder());
        let mut manager = cluster.run(command, "homeless");
        manager.ready("addr");
        manager.signal(libc::SIGTERM);
        let finished = manager.finish(SOON);
        assert_eq!(finished.status.code(), Some(0), "{variables:?}");
        assert!(finished.stderr.contains("kept in memory"), "{variables:?}: {}", finished.stderr);
        assert!(finished.stderr.contains("--store"), "{variables:?}: {}", finished.stderr);
    }
    // Where the key would be is not known either: that is told, and nothing is listened on.
    let command = server(&["manager", "--port", "0"], &[]);
    let finished = cluster.run(command, "keyless").finish(SOON);
    assert_eq!(finished.status.code(), Some(4), "{}", finished.stderr);
    assert!(finished.stderr.contains("name a file with --key"), "{}", finished.stderr);
}

// kind: a place for files | STATE_DIRECTORY of systemd, without HOME | right | store and key are there, and workers find it
#[test]
fn a_service_keeps_store_and_key_in_the_folder_that_it_is_given() {
    let mut cluster = Cluster::start();
    let folder = Folder::new("state");
    let variables = [("STATE_DIRECTORY", folder.path())];
    let port = free_port();
    let mut manager = cluster.run(server(&["manager", "--port", &port], &variables), "service");
    assert_eq!(manager.ready("key"), folder.file("key"));
    assert!(Path::new(&folder.file(&format!("manager-127.0.0.1-{port}.redb"))).exists());
    let address = format!("127.0.0.1:{port}");
    let mut worker =
        cluster.run(server(&["worker", "--workers", "1", "--manager", &address], &variables), "its-worker");
    assert_eq!(worker.ready("slots"), "1");
}

/// Starts a server and does something in the moment in which its port answers; it must end well when it is asked to.
fn at_once(role: &str, options: &[&str], check: impl Fn(&Path, &str)) {
    let mut cluster = Cluster::start();
    for round in 0..8 {
        let folder = Folder::new(&format!("{role}-{round}"));
        let port = free_port();
        let mut words = vec![role, "--port", &port];
        words.extend(options);
        let command = server(&words, &[("HOME", folder.path())]);
        let server = cluster.run(command, role);
        let address = format!("127.0.0.1:{port}");
        // No pause: the first moment counts.
        let started = std::time::Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(started.elapsed() < SOON, "it never listened: {}", server.stderr());
        }
        check(folder.path(), &address);
        server.signal(libc::SIGTERM);
        let finished = server.finish(SOON);
        assert_eq!(finished.status.code(), Some(0), "{role}: {:?} {}", finished.status, finished.stderr);
    }
}

// kind: ready means ready | TERM, or a look for the key, in the moment in which the port answers | right | handled, found
#[test]
fn a_server_whose_port_answers_hears_signals_and_has_its_key_and_store() {
    for (role, options) in
        [("manager", &[][..]), ("up", &["--workers", "1"]), ("worker", &["--workers", "1"])]
    {
        at_once(role, options, |folder, address| {
            assert!(folder.join(".config/argon/key").exists(), "{role}: the key");
            let store = format!(".local/state/argon/manager-{}.redb", address.replace(':', "-"));
            assert!(folder.join(store).exists(), "{role}: the store");
        });
    }
}

#[test]
fn a_worker_that_starts_when_the_port_answers_joins() {
    let mut cluster = Cluster::start();
    let folder = Folder::new("joining");
    let port = free_port();
    let manager = cluster.run(server(&["manager", "--port", &port], &[("HOME", folder.path())]), "manager");
    let address = format!("127.0.0.1:{port}");
    wait_for("the port", SOON, || TcpStream::connect(&address).ok());
    let command = server(&["worker", "--workers", "1", "--manager", &address], &[("HOME", folder.path())]);
    let mut worker = cluster.run(command, "worker");
    assert_eq!(worker.ready("manager"), address);
    drop((worker, manager));
}

// kind: sentences for mistakes | negative, no number, too large, for every option | loud | the option and its bounds are named
#[test]
fn a_number_that_an_option_cannot_have_is_refused_with_its_name_and_bounds() {
    let mut cluster = Cluster::start();
    let options: [(&str, &[&str], &str); 21] = [
        ("manager", &["--port"], "0 to 65535"),
        ("manager", &["--queue-size"], "1 to 4294967295"),
        ("manager", &["--session-grace"], "0 to 4000000"),
        ("up", &["--result-ttl"], "0 to 4000000"),
        ("up", &["--workers"], "1 to 4096"),
        ("worker", &["--workers"], "1 to 4096"),
        ("worker", &["--slots"], "1 to 4096"),
        ("worker", &["--port"], "0 to 65535"),
        ("worker", &["--max-requests"], "0 to 18446744073709551615"),
        ("worker", &["--timeout"], "0 to 4000000"),
        ("worker", &["--drain-limit"], "0 to 4000000"),
        ("run", &["--timeout"], "0 to 4000000"),
        ("run", &["--retries"], "0 to 65535"),
        ("map", &["--jobs", "-j"], "1 to 4294967295"),
        ("map", &["--retries"], "0 to 65535"),
        ("submit", &["--timeout"], "0 to 4000000"),
        ("submit", &["--retries"], "0 to 65535"),
        ("run", &["--priority"], "high, normal, low"),
        ("map", &["--priority"], "high, normal, low"),
        ("map", &["--halt"], "now,fail=1"),
        ("drain", &["--within"], "0 to 4000000"),
    ];
    for (role, names, bounds) in options {
        for name in names {
            // `--jobs -1` is one fewer than the pool has slots, `--halt -1` a form of GNU parallel.
            let is_relative = matches!(names[0], "--jobs" | "--halt");
            let values = ["-1", "-0.5", "x", "99999999999999999999999", "1e99", "0x10", "NaN", "1 "];
            for value in values.into_iter().filter(|value| !is_relative || *value != "-1") {
                let mut command = Command::new(argon());
                command.args([role, name, value]);
                if matches!(role, "run" | "map" | "submit" | "drain") {
                    command.arg("true");
                }
                let finished = cluster.run(command, role).finish(SOON);
                let expected = if matches!(role, "run" | "map") { 255 } else { 2 };
                let said = &finished.stderr;
                assert_eq!(finished.status.code(), Some(expected), "{role} {name} {value}: {said}");
                assert!(said.contains(names[0]) && said.contains(bounds), "{role} {name} '{value}': {said}");
            }
        }
    }
}
