//! Why a client's tasks wait: each reason, its number of tasks, and that the counts are right after whatever happened.

use std::time::Duration;

use argon_core::Machine;
use argon_core::scheduler::{ConnId, Input, Limits, WaitReason, with_installing};
use argon_proto::conversation::admin::WaitingReport;
use argon_proto::{Flags, Runtime, Status, Task, TaskHead};

use crate::manager::{Manager, attempt, id, secret, task, ticket, with_flags};

/// Longer than a worker may look for its interpreters.
const SETTLED: Duration = Duration::from_secs(3);

fn python(client: u64, sequence: u64, version: &str) -> Task {
    let head = TaskHead::new(id(client, sequence), Runtime::Python);
    let meta = if version.is_empty() { String::new() } else { format!("{{\"python\":\"{version}\"}}") };
    Task::new(head, [], meta.into(), vec![0; 10].into())
}

/// Code, runtime and number of tasks of each reason.
fn reasons(manager: &Manager, link: u64) -> Vec<(WaitReason, String, u64)> {
    let waiting = manager.scheduler.waiting_of(manager.now, ConnId(link)).expect("the client is connected");
    let reason = |code: &str| WaitReason::ALL.into_iter().find(|reason| reason.name() == code).expect(code);
    waiting.waiting.into_iter().map(|why| (reason(&why.code), why.runtime, why.tasks)).collect()
}

fn plain(code: WaitReason, tasks: u64) -> Vec<(WaitReason, String, u64)> {
    vec![(code, String::new(), tasks)]
}

// kind: the reason of a wait | tasks without any worker | loud | the sentence names the command that starts one
#[test]
fn without_workers_all_tasks_wait_for_one_and_the_sentence_names_the_command() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    assert_eq!(reasons(&manager, 1), []);
    for sequence in 1..=12 {
        manager.submit(1, task(1, sequence));
    }
    assert_eq!(reasons(&manager, 1), plain(WaitReason::NoWorker, 12));
    let waiting = manager.scheduler.waiting_of(manager.now, ConnId(1)).unwrap();
    assert_eq!(
        waiting.waiting[0].message,
        "12 tasks wait: no worker is connected; start one with: argon worker --manager HOST:PORT"
    );
    assert_eq!(serde_json::to_value(&waiting).unwrap()["waiting"][0]["code"], "no_worker");
    assert_eq!(manager.scheduler.waiting_of(manager.now, ConnId(9)), None, "nobody is at this connection");
}

#[test]
fn tasks_of_others_are_not_counted() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.open(2);
    manager.submit(1, task(1, 1));
    assert_eq!(reasons(&manager, 2), []);
    assert_eq!(manager.scheduler.waiting(manager.now).waiting[0].tasks, 1);
}

// kind: the reason of a wait | all slots taken, or all workers draining | loud | two reasons of their own
#[test]
fn taken_slots_and_draining_workers_are_told_apart() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(10, 1, &[]);
    for sequence in 1..=3 {
        manager.submit(1, task(1, sequence));
    }
    assert_eq!(reasons(&manager, 1), plain(WaitReason::Busy, 2));
    assert_eq!(manager.scheduler.waiting_of(manager.now, ConnId(1)).unwrap().running, 1);
    manager.step(Input::WorkerDraining { link: ConnId(10) });
    assert_eq!(reasons(&manager, 1), plain(WaitReason::Draining, 2));
    manager.join(11, 1, &[]);
    assert_eq!(reasons(&manager, 1), plain(WaitReason::Busy, 1), "one worker of two drains");
    manager.lose(10);
    manager.lose(11);
    assert_eq!(reasons(&manager, 1), plain(WaitReason::NoWorker, 3));
}

// kind: the reason of a wait | an interpreter that no worker has | loud | it is named
#[test]
fn an_interpreter_that_no_worker_has_is_named() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join_with(10, 1, &[("perl", "5.36.0"), ("python", "3.11.2, 3.9.1")], &[]);
    manager.submit(1, task(1, 1));
    for sequence in 2..=101 {
        manager.submit(1, python(1, sequence, "3.12"));
    }
    assert_eq!(
        reasons(&manager, 1),
        plain(WaitReason::Busy, 100),
        "it may still be looking for interpreters"
    );
    manager.pass(SETTLED);
    assert_eq!(reasons(&manager, 1), [(WaitReason::NoRuntime, "python3.12".to_owned(), 100)]);
    manager.submit(1, python(1, 200, "3.9"));
    manager.submit(1, python(1, 201, ""));
    manager.submit(1, task(1, 202));
    let told = reasons(&manager, 1);
    assert_eq!(told.last(), Some(&(WaitReason::Busy, String::new(), 3)), "{told:?}");
    manager.join_with(11, 1, &[("python", "3.12.1")], &[]);
    manager.pass(SETTLED);
    assert!(reasons(&manager, 1).iter().all(|(code, _, _)| *code == WaitReason::Busy));
}

#[test]
fn a_worker_without_any_python_has_none_and_one_that_names_nothing_may_have_all() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join_with(10, 1, &[("exec", "linux")], &[]);
    manager.submit(1, python(1, 1, ""));
    manager.submit(1, python(1, 2, ""));
    manager.submit(1, task(1, 3));
    manager.pass(SETTLED);
    let told = reasons(&manager, 1);
    assert_eq!(
        told,
        [(WaitReason::NoRuntime, "perl".to_owned(), 1), (WaitReason::NoRuntime, "python".to_owned(), 1)]
    );
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 4));
    manager.pass(SETTLED);
    assert!(reasons(&manager, 1).iter().all(|(code, _, _)| *code == WaitReason::Busy));
}

#[test]
fn a_retry_a_store_and_a_restart_are_reasons_of_their_own() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    assert_eq!(reasons(&manager, 1), plain(WaitReason::Recovery, 1));
    manager.pass(Duration::from_secs(5));
    assert_eq!(reasons(&manager, 1), plain(WaitReason::NoWorker, 1));
    manager.join(10, 1, &[]);
    manager.finish(10, attempt(1, 1, 1), Status::Ok, 1);
    manager.take(1, id(1, 1));

    let mut retried = with_flags(1, 2, Flags::RETRY_ERROR);
    retried.head.retries = 1;
    retried.head.backoff_ms = 60_000;
    manager.submit(1, retried);
    manager.finish(10, attempt(1, 2, 1), Status::Error, 1);
    manager.submit(1, with_flags(1, 3, Flags::DETACHED));
    let told = reasons(&manager, 1);
    assert_eq!(told, [(WaitReason::Store, String::new(), 1), (WaitReason::Delayed, String::new(), 1)]);
}

// kind: the reason of a wait | a client that does not take its outcomes | loud | it is told so
#[test]
fn a_client_that_takes_no_outcomes_is_told_that_it_holds_its_tasks_up() {
    let limits = Limits { untaken_bytes: 50, ..Limits::default() };
    let mut manager = Manager::new(limits);
    manager.open(1);
    manager.join(10, 1, &[]);
    for sequence in 1..=3 {
        manager.submit(1, task(1, sequence));
    }
    manager.finish(10, attempt(1, 1, 1), Status::Ok, 1_000_000);
    assert_eq!(reasons(&manager, 1), plain(WaitReason::Outcomes, 2));
    manager.take(1, id(1, 1));
    assert_eq!(reasons(&manager, 1), plain(WaitReason::Busy, 1));
}

#[test]
fn who_collects_a_task_of_another_session_is_told_why_it_waits() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: true });
    manager.open(2);
    assert_eq!(reasons(&manager, 2), []);
    manager.step(Input::CollectRequested { link: ConnId(2), tickets: vec![ticket(id(1, 1))] });
    manager.step(Input::CollectRequested { link: ConnId(2), tickets: vec![ticket(id(1, 1))] });
    assert_eq!(reasons(&manager, 2), plain(WaitReason::NoWorker, 1));
    manager.join(10, 1, &[]);
    assert_eq!(reasons(&manager, 2), []);
    assert_eq!(manager.scheduler.waiting_of(manager.now, ConnId(2)).unwrap().running, 1);
    manager.step(Input::ClientLost { link: ConnId(2), closed_cleanly: false });
    assert_eq!(manager.scheduler.footprint().collectors, 0);
}

#[test]
fn a_long_queue_is_answered_as_fast_as_a_short_one() {
    let (short, long) = (time_to_answer(1_000), time_to_answer(300_000));
    // A walk over the tasks would take 300 times as long.
    assert!(long < short * 20, "{long:?} with 300,000 tasks, {short:?} with 1,000");
}

/// Time that 200 answers take with a queue of Python tasks.
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the answer itself is measured")]
fn time_to_answer(tasks: u64) -> Duration {
    let mut manager = Manager::new(Limits { window_tasks: 1_000_000, ..Limits::default() });
    manager.open(1);
    // Not through the test's manager: it asserts invariants, which walk over everything.
    let mut out = argon_core::scheduler::Out::default();
    for sequence in 1..=tasks {
        let task = python(1, sequence, "3.12");
        manager.scheduler.step(manager.now, Input::TaskSubmitted { link: ConnId(1), task }, &mut out);
    }
    let profile = Manager::profile(10, 1, &[("python", "3.11.2")]);
    let joined = Input::WorkerJoined {
        link: ConnId(10),
        profile,
        secret: secret(10),
        previous: None,
        held: Vec::new(),
    };
    manager.scheduler.step(manager.now, joined, &mut out);
    manager.now = manager.now + SETTLED;
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        assert_eq!(reasons(&manager, 1)[0].2, tasks - 1);
    }
    begun.elapsed()
}

#[test]
fn tasks_that_wait_for_packages_at_a_worker_count_as_waiting() {
    let report = WaitingReport { running: 3, waiting: Vec::new() };
    let report = with_installing(report, 2, "box:1", 3, Duration::from_secs(12));
    assert_eq!(
        (report.running, report.waiting[0].tasks, report.waiting[0].code.as_str()),
        (1, 2, "environment")
    );
    assert_eq!(report.waiting[0].message, "2 tasks wait: worker box:1 is installing 3 packages (12 s)");
    assert_eq!(with_installing(report.clone(), 0, "box:1", 1, Duration::ZERO), report);
}

#[test]
fn the_tasks_at_a_worker_that_need_a_list_of_packages_are_counted_for_their_client() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.open(2);
    let list = argon_proto::BlobHash([7; 32]);
    let with_list = |client, sequence| {
        let Task { head, payload, .. } = task(client, sequence);
        Task::new(head, [list], bytes::Bytes::new(), payload)
    };
    manager.join(11, 4, &[]);
    manager.submit(1, with_list(1, 1));
    manager.submit(1, task(1, 2));
    manager.submit(2, with_list(2, 1));
    let worker = manager.scheduler.view(manager.now).worker_list[0].worker.parse().expect("an id");
    let count = |of| manager.scheduler.held_with_blob(worker, list, of);
    assert_eq!((count(Some(ConnId(1))), count(Some(ConnId(2))), count(None)), (1, 1, 2));
    assert_eq!(count(Some(ConnId(99))), 0, "no client");
}
