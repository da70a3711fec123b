//! The command line: ready lines, exit statuses, messages.

use std::time::Duration;

use argon_tests::{Cluster, Finished};

const SOON: Duration = Duration::from_secs(10);

fn argon(cluster: &mut Cluster, arguments: &[&str]) -> Finished {
    let command = cluster.argon(arguments);
    cluster.run(command, "argon").finish(SOON)
}

fn assert_fails(finished: &Finished, status: i32, words: &str) {
    assert_eq!(finished.status.code(), Some(status), "{}", finished.stderr);
    assert!(finished.stderr.contains(words), "expected '{words}' in: {}", finished.stderr);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

// kind: sentences for mistakes | wrong options and missing files | loud | a sentence and an exit status
#[test]
fn mistakes_get_a_sentence_and_an_exit_status() {
    let mut cluster = Cluster::start();
    let port = cluster.address().rsplit(':').next().unwrap().to_owned();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["status", "--manager", "127.0.0.1:1"], 5, "Connection refused"),
        (&["status", "--manager", "nowhere.invalid:80"], 5, "cannot be reached"),
        (&["status", "--manager", "nowhere.invalid"], 5, "nowhere.invalid:8000"),
        (&["ps"], 2, "there is no command 'ps' here: 'argon status' shows"),
        (&["statsu"], 2, "did you mean 'argon status'?"),
        (&["mapp"], 2, "did you mean 'argon map'?"),
        (&["key", "lsit"], 2, "did you mean 'argon key list'?"),
        (&["run", "--priroity", "high"], 255, "'--priority'"),
        (&["run", "--priority", "hgih", "--", "true"], 255, "'high'"),
        (&["help", "frobnicate"], 2, "'argon help' lists all commands"),
        (&["worker", "--workers", "0"], 2, "'0'"),
        (&["worker", "--manager", "mgrhost:none"], 2, "'none' in 'mgrhost:none' is not a port"),
        (
            &["worker", "--manager", "127.0.0.1:1", "--queue-size", "9"],
            2,
            "cannot be used with '--queue-size",
        ),
        (&["manager", "--port", "0", "--store", "/proc/nowhere/store"], 7, "--store memory"),
        (&["run"], 255, "argon run [OPTIONS] [--] COMMAND"),
        (&["manager", "--colour"], 2, "--colour"),
        (&["manager", "--port", &port], 3, "in use"),
        (&["manager", "--port", "0", "--tls-cert", "/nowhere.pem"], 2, "--tls-key"),
        (
            &["manager", "--port", "0", "--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key"],
            2,
            "/nowhere.pem",
        ),
        (&["status", "--tls-ca", "/nowhere.pem"], 2, "/nowhere.pem"),
        (&["manager", "--port", "0", "--host", "nowhere.invalid"], 3, "nowhere.invalid"),
        (&["drain", "nobody"], 1, "nobody"),
    ];
    for (arguments, status, words) in cases {
        assert_fails(&argon(&mut cluster, arguments), *status, words);
    }
}

#[test]
fn a_worker_without_a_host_is_named_after_its_machine() {
    let mut cluster = Cluster::start();
    let address = cluster.address().to_owned();
    let command = cluster.argon(&["worker", "--port", "8123", "--workers", "1", "--manager", &address]);
    let mut worker = cluster.run(command, "worker");
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(worker.ready("name"), format!("{}:8123", machine.trim()));
}

#[test]
fn of_workers_with_one_name_the_ids_are_told_when_one_is_to_be_drained() {
    let mut cluster = Cluster::start();
    let address = cluster.address().to_owned();
    let mut twins: Vec<_> = (0..2)
        .map(|_| {
            let arguments =
                ["worker", "--host", "twin", "--port", "1", "--workers", "1", "--manager", &address];
            let command = cluster.argon(&arguments);
            cluster.run(command, "twin")
        })
        .collect();
    assert!(twins.iter_mut().all(|twin| twin.ready("name") == "twin:1"));
    let refused = argon(&mut cluster, &["drain", "twin:1", "--manager", &address]);
    assert_fails(&refused, 1, "say the id of one: ");
    let (_, ids) = refused.stderr.split_once("say the id of one: ").unwrap();
    let id = ids.split(' ').next().unwrap();
    assert_eq!(argon(&mut cluster, &["drain", id, "--manager", &address]).status.code(), Some(0));
}

// kind: keys | a wrong key | loud | an exit status of its own
#[test]
fn a_wrong_key_is_told_and_gives_its_own_status() {
    let cluster = Cluster::start();
    let mut other = Cluster::start();
    let address = cluster.address().to_owned();
    let finished = argon(&mut other, &["status", "--manager", &address]);
    assert_fails(&finished, 4, "does not open this manager");
}

#[test]
fn a_manager_is_ready_soon_and_ends_cleanly() {
    let mut cluster = Cluster::start();
    let manager = cluster.manager.take().unwrap();
    manager.signal(libc::SIGTERM);
    let finished = manager.finish(SOON);
    assert_eq!(finished.status.code(), Some(0));
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 1, "one ready line and nothing else: {lines:?}");
    assert!(lines[0].starts_with("argon-ready role=manager addr=127.0.0.1:"));
}

#[test]
fn help_and_version_teach() {
    let mut cluster = Cluster::start();
    for command in ["manager", "worker", "up", "status", "drain", "key"] {
        let finished = cluster.argon(&[command, "--help"]);
        let finished = cluster.run(finished, "help").finish(SOON);
        assert_eq!(finished.status.code(), Some(0));
        assert!(finished.stdout.contains("Examples:"), "{command} has no examples");
    }
}

#[test]
fn the_key_of_a_role_opens_that_role_only() {
    let mut cluster = Cluster::start();
    let observer = argon(&mut cluster, &["key", "--role", "observer"]).stdout;
    let file = cluster.folder().join("observer.key");
    std::fs::write(&file, observer).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let address = cluster.address().to_owned();
    let with_observer_key = |arguments: &[&str]| {
        let mut command = std::process::Command::new(argon_tests::argon());
        command.args(arguments).arg("--manager").arg(&address).arg("--key").arg(&file);
        command
    };
    let look = with_observer_key(&["status"]);
    assert_eq!(cluster.run(look, "look").finish(SOON).status.code(), Some(0));
    let touch = with_observer_key(&["drain", "somebody"]);
    assert_fails(&cluster.run(touch, "touch").finish(SOON), 4, "does not open the role admin");
}

#[test]
fn commands_find_the_manager_of_this_user_on_this_machine() {
    let mut cluster = Cluster::with_workers(&[1]);
    let address = cluster.address().to_owned();
    let status = argon(&mut cluster, &["status"]);
    assert!(status.stdout.starts_with(&format!("manager {address} ")), "{}{}", status.stdout, status.stderr);
    assert!(status.stdout.contains("1 of 1 free on 1 worker; 0 clients"), "{}", status.stdout);
    let mut command = cluster.argon(&["run"]);
    command.args(["echo", "found"]);
    assert_eq!(cluster.run(command, "run").finish(SOON).stdout, "found\n");
    let names = argon(&mut cluster, &["complete", "workers"]);
    assert_eq!(names.stdout.lines().count(), 1, "{}{}", names.stdout, names.stderr);
}

#[test]
fn completion_of_names_is_silent_without_a_manager() {
    let mut cluster = Cluster::start();
    for what in ["workers", "tasks", "owners"] {
        let finished = argon(&mut cluster, &["complete", what, "--manager", "127.0.0.1:1"]);
        assert_eq!((&*finished.stdout, &*finished.stderr), ("", ""));
        assert!(finished.status.success());
    }
}

#[test]
fn help_and_version_are_words_too() {
    let mut cluster = Cluster::start();
    let mut said = |words: &[&str]| {
        let mut command = std::process::Command::new(argon_tests::argon());
        command.args(words);
        cluster.run(command, "argon").finish(SOON).stdout
    };
    assert_eq!(said(&["help", "map"]), said(&["map", "--help"]));
    assert_eq!(said(&["help"]), said(&["--help"]));
    assert_eq!(said(&["version"]), said(&["--version"]));
}
