//! A program that ends, in whatever way, takes the tasks along that it has asked for: at once, and not when the time for which a
//! client may be away has passed.

use std::process::Command;

use argon_tests::{Cluster, Process};

const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;
const KILL: i32 = 9;
const TERMINATE: i32 = 15;

/// A cluster whose clients may be away for longer than any test.
fn cluster() -> Cluster {
    let mut cluster = Cluster::start_with(&["--session-grace", "1h"]);
    cluster.add_worker(&["--workers", "1"]);
    cluster
}

fn start_python(cluster: &mut Cluster, options: &str, program: &str) -> Process {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/../python/src"));
    let client = format!("argon.Client({:?}, key={:?}{options})", cluster.address(), cluster.key());
    command.arg("-c").arg(format!("import argon, time\nclient = {client}\n{program}"));
    cluster.run(command, "python")
}

fn ends_its_task(cluster: &mut Cluster, what: &str, program: Process, signal: i32) {
    cluster.wait_for_status(&format!("a task of {what}"), |status| status["tasks_running"] == 1);
    program.signal(signal);
    cluster.wait_for_status(&format!("no task after the signal {signal} to {what}"), |status| {
        status["tasks_running"] == 0 && status["slots_free"] == 1
    });
    drop(program);
}

// kind: leaving a wait | a signal that ends a Perl program in or outside of a wait, in an event loop too | right | its
//    tasks end at once
#[test]
fn a_perl_program_that_a_signal_ends_takes_its_tasks_along() {
    let mut cluster = cluster();
    let programs = [
        ("a wait", "$client->queue(sub { sleep 600 })"),
        (
            "a program that does something else",
            "my $d = $client->defer(sub { sleep 600 }); $client->flush; sleep 600",
        ),
        (
            "AnyEvent",
            "if (eval { require AnyEvent; 1 }) { my $d = $client->defer(sub { sleep 600 }); $d->condvar->recv } \
             else { $client->queue(sub { sleep 600 }) }",
        ),
    ];
    for (what, program) in programs {
        for signal in [INTERRUPT, TERMINATE, HANGUP, KILL] {
            let program = cluster.start_perl(program);
            ends_its_task(&mut cluster, what, program, signal);
        }
    }
}

// kind: leaving a wait | a signal that ends a Python program in or outside of a wait | right | its tasks end at once
#[test]
fn a_python_program_that_a_signal_ends_takes_its_tasks_along() {
    let mut cluster = cluster();
    let programs = [
        ("a wait", "client.queue(time.sleep, 600)"),
        ("a program that does something else", "call = client.defer(time.sleep, 600)\ntime.sleep(600)"),
    ];
    for (what, program) in programs {
        for signal in [INTERRUPT, TERMINATE, HANGUP, KILL] {
            let program = start_python(&mut cluster, "", program);
            ends_its_task(&mut cluster, what, program, signal);
        }
    }
}

// kind: leaving a wait | SIGKILL of a Rust program | right | its tasks end at once
#[test]
fn a_rust_program_that_is_killed_takes_its_tasks_along() {
    let mut cluster = cluster();
    let address = cluster.address().to_owned();
    let mut command = cluster.argon(&["run", "--manager", &address]);
    command.args(["sleep", "600"]);
    let program = cluster.run(command, "run");
    ends_its_task(&mut cluster, "argon run", program, KILL);
}

#[test]
fn a_program_that_leaves_its_tasks_is_away_for_a_while() {
    let mut cluster = cluster();
    let (address, key) = (cluster.address().replace(':', "', '"), cluster.key());
    let perl = format!(
        "$client = Argon::Client->new('{address}', key => '{}', on_interrupt => 'leave'); $client->queue(sub {{ sleep 600 }})",
        key.display()
    );
    for language in ["perl", "python"] {
        let program = match language {
            "perl" => cluster.start_perl(&perl),
            _ => start_python(&mut cluster, ", on_interrupt='leave'", "client.queue(time.sleep, 600)"),
        };
        cluster.wait_for_status("its task", |status| status["tasks_running"] == 1);
        program.signal(TERMINATE);
        let status =
            cluster.wait_for_status("it to be away", |status| !status["away"].as_array().unwrap().is_empty());
        assert_eq!(status["tasks_running"], 1, "{language}: {status}");
        drop(program);
        let manager = cluster.address().to_owned();
        let mut cancel = cluster.argon(&["cancel", "--all", "--manager", &manager]);
        cancel.stdin(std::process::Stdio::null());
        let cancelled = cluster.run(cancel, "cancel").finish(std::time::Duration::from_mins(1));
        assert!(cancelled.status.success(), "{}", cancelled.stderr);
        cluster.wait_for_status("an idle pool", |status| status["tasks_running"] == 0);
    }
}
