//! The least that starting commands can cost: a loop that starts a program with `posix_spawn` and waits for it, some at a
//! time, with nothing read from it and nothing kept.
//!
//! `cargo run --release -p argon-tests --example spawn-loop AT_ONCE COUNT PROGRAM`. `scripts/bench-commands` compares with it.

#![allow(clippy::unwrap_used, reason = "a measurement may stop at the first surprise")]

use std::process::{Command, Stdio};

#[allow(clippy::zombie_processes, reason = "whichever ends first is waited for, by its number")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).expect("a number");
    let (at_once, count) = (number(), number());
    let program = arguments.next().unwrap_or_else(|| "/bin/true".to_owned());
    let mut under_way = 0;
    for input in 0..count {
        if under_way == at_once {
            wait();
            under_way -= 1;
        }
        let mut command = Command::new(&program);
        command.arg(input.to_string()).stdin(Stdio::null());
        let _ = command.spawn().unwrap();
        under_way += 1;
    }
    (0..under_way).for_each(|_| wait());
}

/// Waits for any of them.
fn wait() {
    let mut status = 0;
    // SAFETY: `status` may be written to; the children are ours, and nothing else waits for them.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, 0) };
    assert!(pid > 0 && status == 0, "a command failed");
}
