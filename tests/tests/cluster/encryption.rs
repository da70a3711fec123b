//! Machines that reach each other by name, each with its own home: what leaves a machine is encrypted, a peer that does not hold
//! the right key, or one that does not encrypt, is refused in words, and what stays on a machine is plain.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use argon_tests::wait_for;

use crate::machines::{At, Machines, SOON};
use crate::partitions::network::HERE;

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

// kind: encryption | the seed's lines, letter for letter, on machines with their own homes | right | the manager starts, workers and clients join by name
#[test]
fn the_lines_of_the_seed_work_between_machines() {
    let mut machines = Machines::new("seed-lines");
    let mut manager = machines.argon(At::First, "manager", "manager --port 8000 --host mgrhost");
    assert_eq!(manager.ready("addr"), format!("{HERE}:8000"));
    let pin = manager.ready("pin");
    assert_eq!((manager.ready("tls").as_str(), pin.len()), ("required", 16));
    machines.give_key("worker", "worker");
    machines.give_key("client", "client");
    let line = "worker --port 8001 --host workerhost --manager somehost:8000";
    let mut worker = machines.argon(At::Second, "worker", line);
    assert_eq!(worker.ready("name"), "workerhost:8001");
    let ran = machines.ask(At::Second, "client", "run --manager mgrhost:8000 -- echo 4711");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("4711\n", ""));
    let status = machines.ask(At::Second, "client", "status --manager mgrhost:8000");
    assert!(status.stdout.contains(&format!("tls     pin {pin}")), "{}{}", status.stdout, status.stderr);
    // On its own machine the manager is reached by the same name, also without a file of a key for that.
    let near = machines.ask(At::First, "manager", "status --manager mgrhost:8000");
    assert!(near.status.success(), "{}", near.stderr);
}

// kind: encryption | a recorder of the network between two machines | right | sees TLS and no text of a task; loopback stays plain
#[test]
fn nothing_of_a_task_can_be_read_between_machines_and_loopback_is_plain() {
    let mut machines = Machines::new("recorded");
    let mut manager = machines.argon(At::First, "manager", "manager --port 8000 --host 0.0.0.0");
    manager.ready("addr");
    let (_relay, address, seen) = machines.relay(&format!("{HERE}:0"), &format!("{HERE}:8000"));
    machines.give_key("worker", "worker");
    machines.give_key("client", "client");
    let mut worker = machines.argon(At::Second, "worker", &format!("worker --port 8001 --manager {address}"));
    worker.ready("name");
    let words = "a-text-that-nobody-else-reads";
    let ran = machines.ask(At::Second, "client", &format!("run --manager {address} -- echo {words}"));
    assert_eq!(ran.stdout, format!("{words}\n"), "{}", ran.stderr);
    let bytes = wait_for("recorded bytes", SOON, || {
        let bytes = fs::read(&seen).unwrap();
        (bytes.len() > 4000).then_some(bytes)
    });
    assert_eq!(bytes[0], 0x16, "it begins as TLS");
    for text in [words, "ARGN", "nonce", "echo", "workerhost", "CN=argon"] {
        assert!(!holds(&bytes, text), "{text} was sent in the clear");
    }
    // The same on one machine, where the recorder sees everything.
    let (_near, address, seen) = machines.relay("127.0.0.1:0", "127.0.0.1:8000");
    let ran = machines.ask(At::First, "manager", &format!("run --manager {address} -- echo {words}"));
    assert_eq!(ran.stdout, format!("{words}\n"), "{}", ran.stderr);
    let bytes = fs::read(&seen).unwrap();
    assert!(bytes.starts_with(b"ARGN") && holds(&bytes, words));
}

// kind: encryption | plain text from another machine, another cluster's manager, a port that is not a manager's | loud | refused in words before anything is said
#[test]
fn a_peer_that_does_not_encrypt_or_trusts_another_manager_is_refused_in_words() {
    let mut machines = Machines::new("refused");
    let mut manager = machines.argon(At::First, "manager", "manager --port 8000 --host mgrhost");
    manager.ready("addr");
    machines.give_key("client", "client");
    let status = "status --manager mgrhost:8000";
    assert!(machines.ask(At::Second, "client", status).status.success());

    let plain = machines.ask(At::Second, "client", &format!("{status} --insecure-plaintext"));
    assert_eq!(plain.status.code(), Some(5), "{}", plain.stdout);
    assert!(plain.stderr.contains("takes encrypted connections only"), "{}", plain.stderr);
    for program in [
        r#"exec perl -I"$0/perl/lib" -MArgon::Client -e \
        'Argon::Client->new(host => "mgrhost", port => 8000, insecure_plaintext => 1)->process(sub { 1 })'"#,
        r#"PYTHONPATH="$0/python/src" exec "$0/target/python-venv/bin/python" -c \
        'import argon; argon.Client("mgrhost:8000", insecure_plaintext=True).call(len, [1])'"#,
    ] {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let command = machines.command(At::Second, "client", &["sh", "-c", program, root]);
        let refused = machines.start(command, "plain").finish(SOON);
        assert!(!refused.status.success(), "{program}");
        assert!(refused.stderr.contains("takes encrypted connections only"), "{program}: {}", refused.stderr);
    }

    // A manager of another cluster, at the address that this one's clients dial.
    let mut other = machines.argon(At::First, "other", "manager --port 8001 --host mgrhost");
    other.ready("addr");
    let (_relay, address, _) = machines.relay(&format!("{HERE}:0"), &format!("{HERE}:8001"));
    for address in ["mgrhost:8001", &address] {
        let foreign = machines.ask(At::Second, "client", &format!("status --manager {address}"));
        assert_eq!(foreign.status.code(), Some(4), "{}", foreign.stdout);
        assert!(foreign.stderr.contains("nothing was sent to it"), "{}", foreign.stderr);
    }

    // A key of an older release does not say which manager to trust.
    let key = machines.folder.path().join("client/.config/argon/key");
    let with_pin = fs::read_to_string(&key).unwrap();
    let without_pin = with_pin.trim().rsplit_once('-').unwrap().0.to_owned();
    fs::write(&key, without_pin).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let older = machines.ask(At::Second, "client", status);
    assert_eq!(
        (older.status.code(), older.stderr.contains("make it anew")),
        (Some(4), true),
        "{}",
        older.stderr
    );

    // Both sides say it: then plain text is spoken, and a peer that encrypts still may.
    let mut lax =
        machines.argon(At::First, "manager", "manager --port 8002 --host mgrhost --insecure-plaintext");
    assert_eq!(lax.ready("tls"), "optional");
    let both = machines.ask(At::Second, "client", "status --manager mgrhost:8002 --insecure-plaintext");
    assert!(both.status.success(), "{}", both.stderr);
    fs::write(&key, with_pin).unwrap();
    assert!(machines.ask(At::Second, "client", "status --manager mgrhost:8002").status.success());
}
