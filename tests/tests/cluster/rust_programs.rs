//! A Rust program outside the workspace, built against the crate by its path: its own executable is what workers run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, Finished, Process, wait_for};

use crate::support::{counts, lines};

/// The folder of the program's executables. nextest has built them before; another way to start this test builds them now.
pub(crate) fn built() -> PathBuf {
    built_in("debug")
}

/// The folder of one kind of build: `debug`, or `abort` for panics that end the process.
fn built_in(kind: &str) -> PathBuf {
    let programs = std::env::var_os("ARGON_TEST_PROGRAMS").map(PathBuf::from).unwrap_or_else(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let script = root.join("scripts/build-test-programs");
        let output = Command::new(script).output().expect("the script can be started");
        assert!(output.status.success(), "it does not build: {}", String::from_utf8_lossy(&output.stderr));
        root.join("target/programs")
    });
    programs.join(kind)
}

fn start(cluster: &mut Cluster, mode: &str, more: &[&str]) -> Process {
    let mut command = Command::new(built().join("rust-client"));
    command.arg(mode).arg(cluster.address()).arg(cluster.key()).args(more);
    cluster.run(command, mode)
}

fn run(cluster: &mut Cluster, mode: &str, more: &[&str]) -> Finished {
    let finished = start(cluster, mode, more).finish(Duration::from_secs(60));
    assert!(finished.status.success(), "{mode} failed: {}", finished.stderr);
    finished
}

#[test]
fn values_come_back_from_the_programs_own_executable() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    assert_eq!(run(&mut cluster, "values", &[]).stdout, "values\n");
}

// kind: what serde can express | generated types with every attribute that changes the shape | right | they arrive
//    as they were, or are refused where they are written
#[test]
fn values_of_every_shape_arrive_or_are_refused_where_they_are_written() {
    let mut cluster = Cluster::with_workers(&[1]);
    assert_eq!(run(&mut cluster, "shapes", &[]).stdout, "shapes\n");
}

// kind: what serde can express | an error value of any shape: boxed, generic, lossy, without serde | right | its text always,
//    itself where it can be read back
#[test]
fn errors_of_every_shape_bring_their_text_and_themselves_where_they_can() {
    let mut cluster = Cluster::with_workers(&[1]);
    assert_eq!(run(&mut cluster, "failures", &[]).stdout, "failures\n");
}

// kind: numbers between languages | integers of 128 bits and NaN, by name to Perl and Python | right | as they were, or
//    refused here
#[test]
fn numbers_go_to_other_languages_as_they_are_or_are_refused() {
    let mut cluster = Cluster::with_workers(&[1]);
    assert_eq!(run(&mut cluster, "numbers", &[]).stdout, "numbers\n");
}

// kind: leaving a wait | an iterator of a map that panics, a map that is dropped | right | the values before come first;
//    what is under way is cancelled
#[test]
fn a_map_delivers_what_came_before_a_panic_and_cancels_what_is_left() {
    let mut cluster = Cluster::with_workers(&[2]);
    assert_eq!(run(&mut cluster, "leaving", &[]).stdout, "leaving\n");
}

// kind: the reason of a wait | a map, its completed form, a blocking client, without a worker | loud | the hook receives it
//    once
#[test]
fn every_form_of_a_call_learns_why_it_waits() {
    let mut cluster = Cluster::with_workers(&[]);
    assert_eq!(run(&mut cluster, "waits", &[]).stdout, "waits\n");
    assert_eq!(run(&mut cluster, "waits-blocking", &[]).stdout, "waits\n");
}

// kind: a client and its process | used from two runtimes, its runtime shut down, used after a fork | right | it works, or
//    says what happened
#[test]
fn a_client_works_in_other_runtimes_and_says_when_its_own_is_gone() {
    let mut cluster = Cluster::with_workers(&[1]);
    assert_eq!(run(&mut cluster, "runtimes", &[]).stdout, "runtimes\n");
}

#[test]
fn a_fork_of_a_client_is_refused_and_leaves_the_parents_alone() {
    let mut cluster = Cluster::with_workers(&[1]);
    assert_eq!(run(&mut cluster, "forks", &[]).stdout, "forks\n");
}

/// The blocks of docs/guide/rust.md, each a program of its own.
#[test]
fn the_programs_of_the_guide_do_what_it_says() {
    let mut cluster = Cluster::with_workers(&[2]);
    let areas: Vec<u32> = (1..100).map(|n| n * n).collect();
    let root = 2_f64.sqrt();
    let blocks = [
        ("hello", "42\n".to_owned()),
        ("blocking", format!("{areas:?}\n")),
        ("nested", "21\n".to_owned()),
        ("lines", format!("42 {root}\n")),
    ];
    for (block, printed) in blocks {
        let mut command = Command::new(built().join(format!("guide-{block}")));
        command.env("ARGON_MANAGER", cluster.address()).env("ARGON_KEY", cluster.key());
        let finished = cluster.run(command, block).finish(Duration::from_secs(60));
        assert_eq!(finished.stdout, printed, "{block}: {}", finished.stderr);
    }
}

#[test]
fn calls_spread_over_two_workers() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    assert_eq!(run(&mut cluster, "spread", &[]).stdout, "places=2\n");
}

#[test]
fn each_bad_end_comes_back_as_what_it_was() {
    let mut cluster = Cluster::with_workers(&[2]);
    assert!(run(&mut cluster, "errors", &[]).stdout.ends_with("errors\n"));
}

// kind: panics | a panic that is caught and thrown on, or under a hook of the task | right | place and backtrace
//    belong to this panic, or are not given
#[test]
fn each_panic_comes_with_its_own_place_or_none() {
    let mut cluster = Cluster::with_workers(&[1]);
    let finished = run(&mut cluster, "panics", &[]);
    assert_eq!(finished.stdout, "panics\n");
    assert!(finished.stderr.contains("a caught panic"), "as if it were caught here: {}", finished.stderr);
}

// kind: panics | `panic = "abort"`, and a panic while unwinding | loud | message and place are in the last output
#[test]
fn a_panic_that_aborts_leaves_its_message_place_and_backtrace() {
    let mut cluster = Cluster::with_workers(&[1]);
    let mut command = Command::new(built_in("abort").join("rust-client"));
    command.arg("aborts").arg(cluster.address()).arg(cluster.key());
    let finished = cluster.run(command, "aborts").finish(Duration::from_secs(60));
    assert_eq!(finished.stdout, "aborts\n", "{}", finished.stderr);
}

#[test]
fn what_a_task_prints_is_printed_here_before_its_value_is_there() {
    let mut cluster = Cluster::with_workers(&[1]);
    let finished = run(&mut cluster, "prints", &[]);
    assert_eq!(finished.stdout, "hello to stdout\nafter\n");
    assert_eq!(finished.errors(), "hello to stderr\n");
}

#[test]
fn output_of_short_tasks_that_are_handed_ahead_comes_with_the_one_that_wrote_it() {
    let mut cluster = Cluster::with_workers(&[2]);
    assert_eq!(run(&mut cluster, "mutters", &[]).stdout, "mutters\n");
}

// kind: a process that dies | a process that dies with more tasks handed to it | right | only the running task
//    fails
#[test]
fn of_the_short_tasks_in_a_runner_that_dies_only_the_running_one_dies() {
    let mut cluster = Cluster::with_workers(&[2]);
    assert_eq!(run(&mut cluster, "perishes", &[]).stdout, "perishes\n");
}

#[test]
fn a_shared_value_is_there_in_every_task() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    assert_eq!(run(&mut cluster, "shared", &[]).stdout, "shared\n");
}

#[test]
fn a_function_starts_in_the_folder_of_its_program() {
    let mut cluster = Cluster::with_workers(&[1]);
    let mut command = Command::new(built().join("rust-client"));
    command.arg("folder").arg(cluster.address()).arg(cluster.key()).current_dir(cluster.folder());
    let finished = cluster.run(command, "folder").finish(Duration::from_secs(60));
    assert_eq!(finished.stdout.trim(), cluster.folder().to_str().unwrap(), "{}", finished.stderr);
}

#[test]
fn functions_of_other_languages_are_called_by_name() {
    let mut cluster = Cluster::with_workers(&[1]);
    assert_eq!(run(&mut cluster, "other-languages", &[]).stdout, "other languages\n");
}

#[test]
fn a_program_without_tokio_waits_for_its_calls() {
    let mut cluster = Cluster::with_workers(&[2]);
    assert_eq!(run(&mut cluster, "blocking", &[]).stdout, "blocking\n");
}

#[test]
fn a_detached_call_outlives_its_program() {
    let mut cluster = Cluster::with_workers(&[1]);
    let id = run(&mut cluster, "submit", &[]).stdout;
    assert_eq!(run(&mut cluster, "collect", &[id.trim()]).stdout, "42\n");
}

#[test]
fn a_manager_killed_under_load_loses_nothing() {
    let mut cluster = Cluster::with_workers(&[2, 2]);
    let count = 20_000_u64;
    let file = cluster.folder().join("ran");
    let program = start(&mut cluster, "load", &[&file.display().to_string(), &count.to_string()]);
    for share in [count / 4, count / 2] {
        wait_for("a share of the tasks", Duration::from_secs(30), || {
            (lines(&cluster, "ran").len() as u64 >= share).then_some(())
        });
        cluster.kill_manager();
        cluster.start_manager();
    }
    let finished = program.finish(Duration::from_secs(60));
    assert!(finished.status.success(), "{}", finished.stderr);
    assert_eq!(finished.stdout, format!("sum={}\n", count * (count - 1)));
    assert_eq!(counts(&cluster, "ran").len() as u64, count, "each task ran");
}

#[test]
fn a_program_moves_to_the_next_manager_of_its_list_and_loses_nothing() {
    let mut cluster = Cluster::start();
    let command = cluster.argon(&["manager", "--port", "0"]);
    let mut stand_by = cluster.run(command, "stand-by");
    let both = format!("{},{}", cluster.address(), stand_by.ready("addr"));
    let command = cluster.argon(&["worker", "--port", "0", "--workers", "2", "--manager", &both]);
    let mut worker = cluster.run(command, "worker");
    worker.ready("manager");

    let count = 20_000_u64;
    let file = cluster.folder().join("ran");
    let mut command = Command::new(built().join("rust-client"));
    command.arg("load").arg(&both).arg(cluster.key()).arg(&file).arg(count.to_string());
    let program = cluster.run(command, "load");
    wait_for("some of the tasks", Duration::from_secs(30), || {
        (lines(&cluster, "ran").len() as u64 >= count / 4).then_some(())
    });
    cluster.kill_manager();
    let finished = program.finish(Duration::from_secs(60));
    assert_eq!(finished.stdout, format!("sum={}\n", count * (count - 1)), "{}", finished.stderr);
    let ran = counts(&cluster, "ran");
    assert_eq!(ran.len() as u64, count, "each task ran");
    assert!(ran.values().all(|times| *times == 1), "and none of them twice");
}

#[test]
fn a_main_that_would_not_serve_is_told_how_to() {
    let mut cluster = Cluster::with_workers(&[1]);
    let mut command = Command::new(built().join("unmarked"));
    command.arg(cluster.address()).arg(cluster.key());
    let finished = cluster.run(command, "unmarked").finish(Duration::from_secs(30));
    assert!(finished.stdout.contains("mark main with #[argon::main]"), "{finished:?}");
}

#[test]
fn async_tasks_await_tasks_and_end_as_others_do() {
    let mut cluster = Cluster::with_workers(&[1]);
    let file = cluster.folder().join("went-on");
    let file = file.to_str().expect("a path of text").to_owned();
    assert_eq!(run(&mut cluster, "asynchronous", &[&file]).stdout, "asynchronous\n");
}

#[test]
fn tasks_that_wait_for_their_own_tasks_lend_their_slots() {
    let mut cluster = Cluster::with_workers(&[2]);
    let marker = cluster.folder().join("marker");
    let marker = marker.to_str().expect("a path of text").to_owned();
    assert_eq!(run(&mut cluster, "nested", &[&marker]).stdout, "nested\n");
}
