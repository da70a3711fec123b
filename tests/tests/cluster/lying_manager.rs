//! A Rust client and a manager that lies: a proxy changes what a real manager sends, under seeds that a failure prints.
//!
//! The tests of Perl and Python use the same proxy. `ARGON_FUZZ_SECONDS` (default 4) and `ARGON_FUZZ_SEED` (default 1)
//! try more.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use argon_tests::Cluster;

use crate::rust_programs::built;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("it is a number"))
}

// Frames are changed, cut, doubled, foreign or endless. Every task ends all the same; the client never hangs, panics or
// grows, and values that the manager did not touch are right.
#[test]
fn a_rust_client_survives_a_manager_that_lies() {
    let (seconds, seed) = (from_environment("ARGON_FUZZ_SECONDS", 4), from_environment("ARGON_FUZZ_SEED", 1));
    let mut cluster = Cluster::with_workers(&[2]);
    let (mut proxy, port) = start_proxy(cluster.address(), seed);
    let mut client = Command::new(built().join("rust-client"));
    client.arg("lied-to").arg(format!("127.0.0.1:{port}")).arg(cluster.key());
    client.args([seconds.to_string(), seed.to_string()]);
    let finished = cluster.run(client, "client").finish(Duration::from_secs(seconds + 100));
    drop(proxy.stdin.take());
    proxy.wait().expect("our child can be waited for");
    assert!(finished.status.success(), "{}", finished.stderr);
    assert!(finished.stdout.ends_with("lied to\n"), "{}", finished.stdout);
}

/// The proxy and its port. It ends with its standard input, also when this test panics or is killed.
fn start_proxy(manager: &str, seed: u64) -> (Child, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/tests/mutating_manager.py");
    let mut command = Command::new("python3");
    command.arg(program).args(["--manager", manager, "--seed", &seed.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut proxy = command.spawn().expect("python3 can be started");
    let mut port = String::new();
    let stdout = proxy.stdout.take().expect("it is a pipe");
    BufReader::new(stdout).read_line(&mut port).expect("the proxy prints its port");
    (proxy, port.trim().to_owned())
}
