//! The pool with tasks of several kinds: who gets which slot, and what happens to what cannot start.

use std::time::Duration;

use argon_core::Machine;
use argon_core::pool::{Blame, Effect, Exit, Input, Program, RunnerId, RunnerKind, Signal, Version};
use argon_proto::conversation::worker::FromWorker;
use argon_proto::{BlobHash, Flags, Report, Runtime, Status, Task, TaskHead};
use bytes::Bytes;

use crate::hand::{Hand, handed, held, id, received, reported, returned, task};

fn all(slots: usize) -> Hand {
    Hand::new(|settings| {
        settings.slots = slots;
        settings.runtimes = Runtime::ALL.map(|(runtime, _)| runtime).to_vec();
        settings.pythons = vec![Version { major: 3, minor: 11 }, Version { major: 3, minor: 9 }];
    })
}

fn python(sequence: u64, version: &str) -> Task {
    let Task { head, payload, .. } = task(sequence);
    let head = TaskHead { runtime: Runtime::Python, ..head };
    Task::new(head, [], Bytes::from(version.to_owned()), payload)
}

fn native(sequence: u64, executable: u8) -> Task {
    let Task { head, payload, .. } = task(sequence);
    let head = TaskHead { runtime: Runtime::Native, ..head };
    Task::new(head, [BlobHash([executable; 32])], Bytes::new(), payload)
}

fn command(sequence: u64) -> Task {
    let mut task = task(sequence);
    task.head.runtime = Runtime::Exec;
    task
}

fn of_python(minor: u8) -> RunnerKind {
    let program = Program::Version(Version { major: 3, minor });
    RunnerKind { runtime: Runtime::Python, program, memory_mib: 0 }
}

fn of_native(executable: u8) -> RunnerKind {
    let program = Program::Executable(BlobHash([executable; 32]));
    RunnerKind { runtime: Runtime::Native, program, memory_mib: 0 }
}

fn spawned(effects: &[Effect]) -> Vec<(u64, RunnerKind)> {
    let spawn = |effect: &Effect| {
        let Effect::Spawn { runner, kind, .. } = effect else { return None };
        Some((runner.0, *kind))
    };
    effects.iter().filter_map(spawn).collect()
}

fn retired(effects: &[Effect]) -> Vec<u64> {
    let runner = |effect: &Effect| {
        let Effect::Retire { runner } = effect else { return None };
        Some(runner.0)
    };
    effects.iter().filter_map(runner).collect()
}

fn executed(effects: &[Effect]) -> Vec<(u64, u64)> {
    let command = |effect: &Effect| {
        let Effect::Execute { runner, task } = effect else { return None };
        Some((runner.0, task.head.id.sequence))
    };
    effects.iter().filter_map(command).collect()
}

fn reports(effects: &[Effect]) -> Vec<Report> {
    let report = |effect: &Effect| {
        let Effect::Tell(FromWorker::Outcome(outcome)) = effect else { return None };
        Some(Report::from_json(&outcome.report))
    };
    effects.iter().filter_map(report).collect()
}

impl Hand {
    fn left(&mut self, runner: u64, exit: Exit) -> Vec<Effect> {
        self.step(Input::RunnerGone { runner: RunnerId(runner), exit })
    }
}

#[test]
fn as_many_runners_are_started_at_once_as_tasks_wait_for_them() {
    let mut hand = all(4);
    let effects: Vec<Effect> =
        (1..=3).flat_map(|sequence| hand.step(received(python(sequence, "")))).collect();
    assert_eq!(spawned(&effects), [5, 6, 7].map(|runner| (runner, of_python(11))));
    assert!(retired(&effects).is_empty(), "the Perl runners stay beside them");
    let effects: Vec<Effect> =
        (4..=6).flat_map(|sequence| hand.step(received(python(sequence, "")))).collect();
    assert_eq!(spawned(&effects), [(8, of_python(11))], "no more than can run at once");
}

#[test]
fn a_task_that_waits_for_its_runner_holds_up_none_whose_runner_is_there() {
    let mut hand = all(2);
    assert_eq!(spawned(&hand.step(received(native(1, 5)))), [(3, of_native(5))]);
    assert_eq!(handed(&hand.receive(2)), [2], "a Perl runner is idle");
    assert_eq!(handed(&hand.ready(3)), [1]);
}

#[test]
fn each_version_and_each_executable_has_runners_of_its_own() {
    let mut hand = all(1);
    let effects = hand.step(received(python(1, r#"{"label":"x","python":"3.9"}"#)));
    assert_eq!(spawned(&effects), [(2, of_python(9))]);
    assert_eq!(handed(&hand.ready(2)), [1]);

    let mut hand = all(1);
    assert_eq!(spawned(&hand.step(received(native(1, 5)))), [(2, of_native(5))]);
    assert_eq!(handed(&hand.ready(2)), [1]);
    hand.step(received(native(2, 6)));
    let outcome = crate::hand::outcome(1);
    let effects = hand.step(Input::RunnerFinished { runner: RunnerId(2), outcome });
    assert_eq!(spawned(&effects), [(3, of_native(6))], "another executable needs another runner");
    assert_eq!(handed(&hand.ready(3)), [2]);
    let outcome = crate::hand::outcome(2);
    hand.step(Input::RunnerFinished { runner: RunnerId(3), outcome });
    assert_eq!(handed(&hand.step(received(native(3, 5)))), [3], "the first one is still there");
}

#[test]
fn a_version_that_is_not_there_ends_the_task_in_words() {
    let mut hand = all(1);
    let effects = hand.step(received(python(1, r#"{"python":"3.12"}"#)));
    assert_eq!(reported(&effects), [Status::Died]);
    let message = &reports(&effects)[0].message;
    assert!(message.starts_with("worker w has no Python 3.12 (it has: 3.11, 3.9); install it"), "{message}");
    let effects = hand.step(received(python(2, r#"{"python":"new"}"#)));
    assert!(reports(&effects)[0].message.contains("asks for Python 'new', which is no version"));
    hand.step(Input::PythonsFound(vec![Version { major: 3, minor: 12 }]));
    let effects = hand.step(received(python(3, r#"{"python":"3.12.1"}"#)));
    assert_eq!(spawned(&effects), [(2, of_python(12))]);
}

#[test]
fn a_worker_without_interpreters_runs_what_needs_none() {
    let mut hand = Hand::new(|settings| settings.runtimes = vec![Runtime::Native, Runtime::Exec]);
    assert_eq!(hand.pool.next_deadline(), None);
    assert_eq!(reported(&hand.receive(1)), [Status::Died]);
    assert_eq!(executed(&hand.step(received(command(2)))), [(1, 2)]);
}

#[test]
fn an_executable_that_does_not_start_ends_what_waits_for_it_and_nothing_else() {
    let mut hand = all(1);
    for sequence in 1..=2 {
        hand.step(received(native(sequence, 5)));
    }
    hand.step(received(task(3)));
    let exit = Exit { code: Some(127), output: "libfoo.so is missing\n".to_owned(), ..Exit::default() };
    let effects = hand.left(2, exit);
    assert_eq!(reported(&effects), [Status::Died, Status::Died]);
    let report = &reports(&effects)[0];
    assert!(report.message.contains("does not start on worker w: it exited with status 127"), "{report:?}");
    assert!(report.message.contains("link it statically"), "{report:?}");
    assert_eq!(report.output.as_deref(), Some("libfoo.so is missing\n"));
    assert_eq!(held(&hand.pool), [id(3), id(1), id(2)]);
    assert_eq!(hand.pool.runner_of(id(3)), Some(RunnerId(1)), "others run");
}

#[test]
fn an_executable_that_the_kernel_refuses_ends_its_task_and_a_busy_machine_does_not() {
    let mut hand = all(1);
    hand.step(received(native(1, 5)));
    let failed = |runner, blame| {
        let why = "Exec format error".to_owned();
        Input::SpawnFailed { runner: RunnerId(runner), why, blame }
    };
    let effects = hand.step(failed(2, Blame::Machine));
    assert_eq!((reported(&effects), returned(&effects)), (vec![], vec![id(1)]));
    hand.step(received(native(1, 5)));
    let effects = hand.after(Duration::from_millis(50));
    assert_eq!(spawned(&effects), [], "what was given back is not wanted here");
    assert_eq!(spawned(&hand.step(received(native(2, 5)))), [(3, of_native(5))]);
    let effects = hand.step(failed(3, Blame::Program));
    assert_eq!(reported(&effects), [Status::Died]);
    assert!(reports(&effects)[0].message.contains("Exec format error"));
}

#[test]
fn a_command_takes_a_slot_and_its_status_is_the_outcome() {
    let mut hand = all(1);
    assert_eq!(executed(&hand.step(received(command(1)))), [(2, 1)]);
    for sequence in 2..=3 {
        assert_eq!(executed(&hand.step(received(command(sequence)))), []);
    }
    let effects = hand.left(2, Exit { code: Some(0), output: "seen".to_owned(), ..Exit::default() });
    assert_eq!((reported(&effects), executed(&effects)), (vec![Status::Ok], vec![(3, 2)]));
    let where_it_ran = Report { worker: Some("w".to_owned()), ..Report::default() };
    assert_eq!(reports(&effects)[0], where_it_ran, "output that went out already is not told again");
    let effects = hand.left(3, Exit { code: Some(3), ..Exit::default() });
    assert_eq!((reported(&effects), executed(&effects)), (vec![Status::Died], vec![(4, 3)]));
    assert_eq!(reports(&effects)[0].message, "the command exited with status 3");
    assert_eq!(reports(&effects)[0].exit, Some(3));
    let complaint = Some("there is no command 'foo'".to_owned());
    let effects = hand.left(4, Exit { code: Some(127), complaint, ..Exit::default() });
    assert_eq!(reports(&effects)[0].message, "there is no command 'foo'");
    assert_eq!(handed(&hand.receive(9)), [9], "a Perl runner was ready all the time");
}

#[test]
fn captured_output_of_a_good_command_comes_with_its_outcome() {
    let mut hand = all(1);
    let mut task = command(1);
    task.head.flags = Flags::CAPTURE;
    hand.step(received(task));
    let effects = hand.left(2, Exit { code: Some(0), output: "seen".to_owned(), ..Exit::default() });
    assert_eq!(reports(&effects)[0].output.as_deref(), Some("seen"));
}

#[test]
fn a_command_beyond_its_time_and_a_stopped_one_are_ended_like_any_task() {
    let mut hand = all(1);
    let mut limited = command(1);
    limited.head.timeout_ms = 1_000;
    hand.step(received(limited));
    let signal = |runner, signal| Effect::Signal { runner: RunnerId(runner), signal };
    assert_eq!(hand.after(Duration::from_secs(1)), [signal(2, Signal::Term)]);
    assert_eq!(hand.after(Duration::from_secs(2)), [signal(2, Signal::Kill)]);
    assert_eq!(reported(&hand.left(2, Exit::default())), [Status::Timeout]);
    hand.step(received(command(2)));
    assert_eq!(hand.step(Input::StopReceived(vec![id(2)])), [signal(3, Signal::Term)]);
    assert_eq!(returned(&hand.left(3, Exit::default())), [id(2)]);
}

#[test]
fn a_command_that_the_machine_has_no_process_for_is_given_back() {
    let mut hand = all(1);
    hand.step(received(command(1)));
    let why = "no more processes".to_owned();
    let failed = Input::SpawnFailed { runner: RunnerId(2), why, blame: Blame::Machine };
    let effects = hand.step(failed);
    assert_eq!((returned(&effects), reported(&effects)), (vec![id(1)], vec![]));
    assert_eq!(held(&hand.pool), []);
    hand.step(received(command(2)));
    assert_eq!(executed(&hand.after(Duration::from_millis(49))), [], "the machine may have more in a moment");
    assert_eq!(executed(&hand.after(Duration::from_millis(1))), [(3, 2)]);
}

#[test]
fn commands_run_where_no_interpreter_comes_up() {
    let mut hand = all(1);
    hand.left(1, Exit::default());
    let effects = hand.left(2, Exit::default());
    assert!(spawned(&effects).is_empty(), "it rests");
    assert_eq!(returned(&hand.receive(1)), [id(1)]);
    assert_eq!(executed(&hand.step(received(command(2)))), [(3, 2)]);
}
