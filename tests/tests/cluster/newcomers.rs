//! Machines without a key: a code that a person approves, and a pasted line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use argon_tests::{Process, wait_for};

use crate::machines::{At, Machines, SOON};
use crate::partitions::network::HERE;

/// The code that a machine shows, as the line of it that is to be run.
fn code(process: &Process) -> String {
    wait_for("a code", SOON, || {
        let text = process.stderr();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("argon approve "))?;
        Some(line.to_owned())
    })
}

/// The line that a manager prints for another machine.
fn join_line(manager: &Process) -> String {
    wait_for("a line to paste", SOON, || {
        let text = manager.stderr();
        let line = text.lines().find(|line| line.starts_with("argon join "))?;
        line.strip_prefix("argon ").map(str::to_owned)
    })
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

fn held(machines: &Machines, file: &str) -> String {
    let path = machines.folder.file(file);
    assert_eq!(mode(Path::new(&path)), 0o600, "{file}");
    fs::read_to_string(path).unwrap()
}

// kind: encryption | the seed's lines on machines without a key | right | a code, one approval, then the worker runs with a worker's key
#[test]
fn the_lines_of_the_seed_work_on_machines_without_a_key() {
    let mut machines = Machines::new("newcomers");
    // The worker may be first.
    let line = "worker --port 8001 --host workerhost --manager somehost:8000";
    let mut worker = machines.argon(At::Second, "worker", line);
    let mut manager = machines.argon(At::First, "manager", "manager --port 8000 --host mgrhost");
    assert_eq!(manager.ready("addr"), format!("{HERE}:8000"));
    let shown = code(&worker);
    assert!(!Path::new(&machines.folder.file("worker/.config/argon/key")).exists());

    let wrong = if shown == "000-000" { "000-001" } else { "000-000" };
    let refused = machines.ask(At::First, "manager", &format!("approve {wrong}"));
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("do not let it in"), "{}", refused.stderr);
    let list = machines.ask(At::First, "manager", "approve");
    assert!(list.stdout.contains(&shown) && list.stdout.contains("worker"), "{}{}", list.stdout, list.stderr);
    let approved = machines.ask(At::First, "manager", &format!("approve {shown}"));
    assert!(approved.stdout.starts_with("let in: "), "{}{}", approved.stdout, approved.stderr);
    assert_eq!(worker.ready("name"), "workerhost:8001");
    assert!(held(&machines, "worker/.config/argon/key").starts_with("argon1-worker-"));

    let without = machines.ask(At::Second, "client", "run --manager mgrhost:8000 -- echo 4711");
    assert!(without.stderr.contains("run 'argon pair mgrhost:8000' here"), "{}", without.stderr);
    let pairing = machines.argon(At::Second, "client", "pair mgrhost:8000");
    let approved = machines.ask(At::First, "manager", &format!("approve {}", code(&pairing)));
    assert!(approved.status.success(), "{}", approved.stderr);
    let paired = pairing.finish(SOON);
    assert!(paired.stdout.ends_with("client/.config/argon/key\n"), "{}{}", paired.stdout, paired.stderr);
    assert!(held(&machines, "client/.config/argon/key").starts_with("argon1-client-"));
    let ran = machines.ask(At::Second, "client", "run --manager mgrhost:8000 -- echo 4711");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("4711\n", ""));

    // The machine that has a client's key gets a worker's next to it, and finds each where it belongs.
    let second = machines.argon(At::Second, "client", "pair mgrhost:8000 --role observer");
    let denied = machines.ask(At::First, "manager", &format!("approve --deny {}", code(&second)));
    assert!(denied.stdout.starts_with("sent away: "), "{}", denied.stderr);
    let second = second.finish(SOON);
    assert_eq!(second.status.code(), Some(4), "{}", second.stdout);
    assert!(second.stderr.contains("was denied"), "{}", second.stderr);
    let mut other = machines.argon(At::Second, "client", "worker --manager mgrhost:8000");
    let approved = machines.ask(At::First, "manager", &format!("approve {}", code(&other)));
    assert!(approved.status.success(), "{}", approved.stderr);
    other.ready("name");
    assert!(held(&machines, "client/.config/argon/worker.key").starts_with("argon1-worker-"));
}

// kind: encryption | a pasted line on a second machine | right | a worker in one step; the line opens nothing twice, late, or elsewhere
#[test]
fn a_pasted_line_makes_a_machine_a_worker_once() {
    let mut machines = Machines::new("pasted");
    let mut manager = machines.argon(At::First, "manager", "manager --port 8000 --host mgrhost");
    manager.ready("addr");
    let line = join_line(&manager);
    assert!(line.starts_with("join argon1-join-mgrhost:8000-"), "{line}");
    let client = machines.ask(At::First, "manager", "key --join client");
    let client = client.stdout.strip_prefix("argon ").expect("a line to paste").trim().to_owned();

    let pasted = Instant::now();
    let mut worker = machines.argon(At::Second, "worker", &line);
    worker.ready("name");
    let joined = machines.ask(At::Second, "client", &client);
    assert!(joined.stdout.ends_with("client/.config/argon/key\n"), "{}{}", joined.stdout, joined.stderr);
    assert!(joined.stderr.contains("export ARGON_MANAGER=mgrhost:8000"), "{}", joined.stderr);
    let ran = machines.ask(At::Second, "client", "run --manager mgrhost:8000 -- echo 4711");
    assert_eq!(ran.stdout, "4711\n", "{}", ran.stderr);
    eprintln!("from pasting two lines to a result: {:?}", pasted.elapsed());
    assert!(held(&machines, "worker/.config/argon/key").starts_with("argon1-worker-"));

    let mut refused = |line: &str, words: &str| {
        let refused = machines.ask(At::Second, "other", line);
        assert_eq!(refused.status.code(), Some(4), "{}", refused.stdout);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    };
    refused(&line, "is used up");
    refused(&client, "is used up");
    let unknown = format!("{}{}", &line[..line.len() - 32], "0".repeat(32));
    refused(&unknown, "does not know the join token");
    let short = machines.ask(At::First, "manager", "key --join worker --for 1ms").stdout;
    let short = short.strip_prefix("argon ").expect("a line to paste").trim().to_owned();
    let late = machines.ask(At::Second, "other", &short);
    assert!(late.stderr.contains("has expired"), "{}", late.stderr);
    let cut = machines.ask(At::Second, "other", &line[..line.len() - 1]);
    assert_eq!(cut.status.code(), Some(2), "{}", cut.stderr);
    assert!(cut.stderr.contains("not a join token"), "{}", cut.stderr);
    // Another manager took the address: its certificate is not that of the token.
    drop(manager);
    let mut other = machines.argon(At::First, "another", "manager --port 8000 --host mgrhost");
    other.ready("addr");
    let foreign = machines.ask(At::Second, "other", &line);
    assert!(foreign.stderr.contains("nothing was sent to it"), "{}", foreign.stderr);
    // The machine that has joined starts again with the same line, also if it opens nothing.
    drop(worker);
    let again = machines.argon(At::Second, "worker", &line);
    wait_for("a word about the key", SOON, || {
        (again.stderr().contains("nothing was sent to it")).then_some(())
    });
}

// kind: encryption | `argon join --service` without systemd | right | a unit that starts the worker with its key
#[test]
fn a_pasted_line_installs_a_service() {
    let mut machines = Machines::new("service");
    let mut manager = machines.argon(At::First, "manager", "manager --port 8000 --host mgrhost");
    manager.ready("addr");
    let units = machines.folder.file("units");
    let line = format!("{} --service --slots 3", join_line(&manager));
    let program = argon_tests::argon().display().to_string();
    let words: Vec<&str> = [program.as_str()].into_iter().chain(line.split_whitespace()).collect();
    let mut command = machines.command(At::Second, "worker", &words);
    command.env("ARGON_UNIT_FOLDER", &units);
    let done = machines.start(command, "service").finish(SOON);
    assert!(done.stdout.ends_with("units/argon-worker.service\n"), "{}{}", done.stdout, done.stderr);
    let unit = fs::read_to_string(Path::new(&units).join("argon-worker.service")).unwrap();
    let key = machines.folder.file("worker/.config/argon/key");
    let start = format!("ExecStart={program} worker --manager mgrhost:8000 --key {key} --slots 3\n");
    assert!(unit.contains(&start), "{unit}");
    let mut worker =
        machines.argon(At::Second, "worker", &format!("worker --manager mgrhost:8000 --key {key} --slots 3"));
    assert_eq!(worker.ready("slots"), "3");
}
