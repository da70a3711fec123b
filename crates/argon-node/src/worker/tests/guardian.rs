//! A worker that is killed leaves no process behind: neither runners nor what their tasks forked.
//!
//! The worker and its guardian are processes of their own here: this test program, started again for one of the two
//! ignored tests.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;
use crate::worker::{guardian, run_guarded};

const IS_PART: &str = "ARGON_TEST_IS_WORKER_PROCESS";

fn this_program(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    let path = module_path!().split_once("::").expect("in a crate").1;
    command.args(["--exact", &format!("{path}::{test}"), "--ignored", "--nocapture"]);
    command
}

#[test]
fn a_killed_worker_leaves_nothing_behind() {
    let mut process = this_program("worker_process")
        .env(IS_PART, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let pids =
        lines.map_while(Result::ok).find_map(|line| line.split_once("pids: ").map(|it| it.1.to_owned()));
    process.kill().expect("killed");
    process.wait().expect("ended");
    let pids: Vec<i64> =
        pids.expect("pids").split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
    assert_eq!(pids.len(), 3);
    on_one_thread(async {
        for pid in pids {
            gone(pid).await;
        }
    });
}

#[test]
#[ignore = "the worker of a_killed_worker_leaves_nothing_behind, no test of its own"]
fn worker_process() {
    if std::env::var_os(IS_PART).is_none() {
        return;
    }
    on_one_thread(async {
        let mut worker = Worker::start_by(config(), |config, link, stop| {
            run_guarded(config, link, stop, Some(this_program("guardian_process")))
        })
        .await;
        let attempt = worker.run(
            "$| = 1; my $child = fork // die; if (!$child) { exec qw(sleep 1000) }
             pipe my $r, my $w; if (!fork) { require POSIX; POSIX::setsid(); my $far = fork;
                 if ($far) { syswrite $w, qq{$far\\n}; POSIX::_exit(0) } exec qw(sleep 1000) }
             print qq{$$ $child }, <$r> + 0; print qq{\\n}; sleep 1000",
        );
        let mut pids = String::new();
        while !pids.ends_with('\n') {
            pids.push_str(&worker.output_of(attempt).await);
        }
        println!("pids: {pids}");
        std::io::stdout().flush().expect("written");
        std::future::pending::<()>().await;
    });
}

#[test]
#[ignore = "the guardian of a_killed_worker_leaves_nothing_behind, no test of its own"]
fn guardian_process() {
    let _ = guardian::main();
}
