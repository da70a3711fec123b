//! Why one task waits: each reason, in the words that people read.

use std::time::Duration;

use argon_core::scheduler::{ConnId, Input, Limits};
use argon_proto::conversation::admin::Explanation;
use argon_proto::holder::OwnerName;
use argon_proto::{BlobHash, Flags, Priority, Report, Runtime, Status, Task, TaskHead};

use crate::manager::{Manager, attempt, id, outcome, task, with_flags};

fn explain(manager: &Manager, client: u64, sequence: u64) -> Explanation {
    manager.scheduler.explain(manager.now, id(client, sequence)).expect("the task is here")
}

/// The last reason, which is the one of the moment.
fn told(manager: &Manager, client: u64, sequence: u64) -> (String, String) {
    let reason = explain(manager, client, sequence).reasons.pop().expect("a reason");
    (reason.code, reason.message)
}

fn code(manager: &Manager, client: u64, sequence: u64) -> String {
    told(manager, client, sequence).0
}

fn verdicts(manager: &Manager, client: u64, sequence: u64) -> Vec<String> {
    let workers = explain(manager, client, sequence).workers;
    workers.into_iter().map(|verdict| format!("{} {}", verdict.worker, verdict.why)).collect()
}

fn python(sequence: u64, version: &str) -> Task {
    let head = TaskHead::new(id(1, sequence), Runtime::Python);
    Task::new(head, [], format!("{{\"python\":\"{version}\"}}").into(), vec![0; 10].into())
}

// kind: the reason of a wait | `argon explain` of a task behind others | right | how many are before it, of which kind
#[test]
fn a_task_behind_others_learns_how_many_are_before_it() {
    let mut manager = Manager::new(Limits::default());
    (1..=2).for_each(|client| manager.open(client));
    manager.join(11, 1, &[]);
    (1..=3).for_each(|sequence| manager.submit(1, task(1, sequence)));
    let (code, why) = told(&manager, 1, 3);
    assert_eq!(
        (code.as_str(), why.as_str()),
        ("busy", "the only slot is taken, and 1 task is before it (1 of its own client)")
    );
    assert_eq!(told(&manager, 1, 2).1, "the only slot is taken, and it is the next to start");
    (1..=5).for_each(|sequence| manager.submit(2, task(2, sequence)));
    let mut urgent = task(2, 6);
    urgent.head.priority = Priority::High;
    manager.submit(2, urgent);
    assert_eq!(
        told(&manager, 1, 3).1,
        "the only slot is taken, and about 4 tasks are before it (1 more urgent, 1 of its own client, 2 of clients that \
         take turns with it)"
    );
    assert_eq!(explain(&manager, 1, 3).before, Some(4));
    assert_eq!(verdicts(&manager, 1, 3), ["w11 its slot is taken"]);
}

// kind: the reason of a wait | `argon explain` of a task that no worker can take | loud | what each worker lacks
#[test]
fn a_task_that_no_worker_can_take_learns_what_each_of_them_lacks() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.submit(1, python(1, "3.12"));
    assert_eq!(code(&manager, 1, 1), "no_worker");
    manager.join_with(11, 1, &[("exec", "linux")], &[]);
    manager.join_with(12, 1, &[("python", "3.11.2, 3.9.1")], &[]);
    manager.submit(1, python(2, "3.12"));
    manager.submit(1, python(3, "3.12"));
    manager.pass(Duration::from_secs(3));
    let (code, why) = told(&manager, 1, 3);
    assert_eq!(code, "no_runtime");
    assert!(why.starts_with("no worker has python3.12"), "{why}");
    assert_eq!(
        verdicts(&manager, 1, 3),
        ["w11 has no python3.12", "w12 has no python3.12, but 3.11.2, 3.9.1"]
    );
}

#[test]
fn draining_and_resting_workers_are_reasons_of_their_own() {
    let mut manager = Manager::with_one_running();
    manager.submit(1, task(1, 2));
    manager.returned(11, &[attempt(1, 1, 1)]);
    assert_eq!(code(&manager, 1, 1), "exhausted");
    assert!(verdicts(&manager, 1, 1)[0].contains("could not start a process"));
    let mut manager = Manager::with_one_running();
    manager.submit(1, task(1, 2));
    manager.step(Input::WorkerDraining { link: ConnId(11) });
    assert_eq!(code(&manager, 1, 2), "draining");
    assert_eq!(verdicts(&manager, 1, 2), ["w11 drains: it takes no more tasks"]);
}

#[test]
fn the_store_a_restart_and_a_retry_are_reasons_of_their_own() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    assert_eq!(code(&manager, 1, 1), "recovery");
    manager.submit(1, with_flags(1, 2, Flags::DETACHED));
    assert_eq!(code(&manager, 1, 2), "store");

    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    let mut retried = with_flags(1, 1, Flags::RETRY_ERROR);
    (retried.head.retries, retried.head.backoff_ms) = (1, 60_000);
    manager.submit(1, retried);
    let failed = argon_proto::Outcome {
        report: Report::of("no disk").to_json(),
        ..outcome(attempt(1, 1, 1), Status::Error, 1)
    };
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: failed });
    let (code, why) = told(&manager, 1, 1);
    assert_eq!(code, "delayed");
    assert!(why.starts_with("attempt 1 ended as error: no disk; the next attempt is due in "), "{why}");
}

#[test]
fn a_client_that_takes_nothing_and_an_owner_with_its_share_learn_so() {
    let limits = Limits { untaken_bytes: 10, ..Limits::default() };
    let mut manager = Manager::new(limits);
    manager.open(1);
    manager.join(11, 1, &[]);
    (1..=2).for_each(|sequence| manager.submit(1, task(1, sequence)));
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 1);
    manager.submit(1, task(1, 3));
    let waiting =
        (2..=3).find(|sequence| explain(&manager, 1, *sequence).before.is_some()).expect("one waits");
    assert_eq!(explain(&manager, 1, waiting).reasons[0].code, "outcomes");

    let mut manager = Manager::new(Limits { max_running: 1, ..Limits::default() });
    let ann: OwnerName = "ann".parse().expect("a name");
    manager.open_as(1, ann, None);
    manager.join(11, 2, &[]);
    (1..=2).for_each(|sequence| manager.submit(1, task(1, sequence)));
    let told = explain(&manager, 1, 2);
    assert_eq!(told.reasons[0].code, "owner");
    assert!(told.reasons[0].message.starts_with("its owner ann has 1 tasks at workers"), "{told:?}");
    assert_eq!(verdicts(&manager, 1, 2), ["w11 would take it"]);
}

// kind: the reason of a wait | `argon explain` of a task that its worker was sent ahead | right | which tasks are before it there
#[test]
fn a_task_with_a_worker_learns_whether_it_runs_waits_there_or_lacks_its_code() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 1));
    // Short tasks are sent ahead.
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    (2..=3).for_each(|sequence| manager.submit(1, task(1, sequence)));
    manager.now = manager.now + Duration::from_secs(5);
    assert_eq!(told(&manager, 1, 2), ("running".to_owned(), "worker w11 runs it since 5 s".to_owned()));
    let (code, why) = told(&manager, 1, 3);
    assert_eq!(code, "sent_ahead");
    assert!(
        why.starts_with(
            "worker w11 has it, and 1 tasks before it for 1 slots; the oldest of them is there for 5 s"
        ),
        "{why}"
    );
    manager.cut(11);
    assert_eq!(told(&manager, 1, 2).0, "worker_away");
}

#[test]
fn a_blob_that_its_worker_lacks_is_a_reason() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    let blob = BlobHash([7; 32]);
    let head = TaskHead::new(id(1, 1), Runtime::Perl);
    manager.submit(1, Task::new(head, [blob], Vec::new().into(), Vec::new().into()));
    manager.step(Input::BlobsMissing { link: ConnId(11), hashes: vec![blob] });
    let (code, why) = told(&manager, 1, 1);
    assert_eq!(code, "blob");
    assert!(why.contains("worker w11 has it and lacks its code or arguments"), "{why}");
}

#[test]
fn a_task_that_is_not_here_has_no_explanation() {
    let manager = Manager::new(Limits::default());
    assert!(manager.scheduler.explain(manager.now, id(1, 1)).is_none());
}
