//! The liars in all roles for a bounded time under a fixed seed. `make soak` lets them try new seeds, and for longer.

use std::path::Path;
use std::process::Command;

/// Time of each role. What is checked in it does not depend on the machine.
const SECONDS: &str = "8";

fn holds_against(role: &str) {
    let fuzzer = Path::new(env!("CARGO_BIN_EXE_argon-fuzz-door"));
    let argon = fuzzer.with_file_name("argon");
    assert!(argon.exists(), "{} is missing; build it with: cargo build -p argon-node", argon.display());
    let output = Command::new(fuzzer)
        .args(["--seconds", SECONDS, "--seed", "20261130", "--role", role, "--argon"])
        .arg(&argon)
        .output()
        .expect("the fuzzer starts");
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{why}");
    assert!(said.contains("all promises held"), "{said}{why}");
}

#[test]
fn clients_that_lie_cost_an_honest_one_nothing() {
    holds_against("client");
}

#[test]
fn workers_that_lie_cost_an_honest_client_nothing() {
    holds_against("worker");
}

#[test]
fn observers_that_lie_cost_an_honest_client_nothing() {
    holds_against("observer");
}

#[test]
fn runners_that_lie_cost_an_honest_client_nothing() {
    holds_against("runner");
}
