//! Payloads of detached tasks leave memory when they are durable, and an unreadable one ends in words.

use crate::manager::{Manager, attempt, id, outcome, ticket, with_flags};
use argon_core::scheduler::{ConnId, Input, Limits, Record};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::{AttemptId, Flags, Outcome, Payload, Report, Status, Task};

const LARGE: u64 = 5000;

fn limits() -> Limits {
    Limits { stored_above: 1024, ..Limits::default() }
}

fn detached(sequence: u64, bytes: u64) -> Task {
    large(with_flags(1, sequence, Flags::DETACHED), bytes)
}

fn large(mut task: Task, bytes: u64) -> Task {
    task.payload = vec![1; bytes as usize].into();
    task
}

fn large_outcome(attempt: AttemptId) -> Outcome {
    Outcome { payload: vec![2; LARGE as usize].into(), ..outcome(attempt, Status::Ok, 10) }
}

fn run(manager: &mut Manager, link: u64) -> Option<Task> {
    let tasks = |message| if let ToWorker::Run(run) = message { Some(run.task) } else { None };
    manager.sent_to_worker(link).into_iter().find_map(tasks)
}

fn received(manager: &mut Manager, link: u64) -> Vec<Outcome> {
    let outcomes = |message| if let ToClient::Outcome(outcome) = message { Some(outcome) } else { None };
    manager.sent_to_client(link).into_iter().filter_map(outcomes).collect()
}

/// One worker executes one large task that is stored.
fn with_one_running() -> Manager {
    let mut manager = Manager::new(limits());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, detached(1, LARGE));
    manager.commit();
    manager
}

#[test]
fn large_arguments_leave_memory_with_the_commit_and_run_as_a_placeholder() {
    let mut manager = with_one_running();
    assert!(matches!(&manager.records[0], Record::TaskAccepted(task, _) if task.payload.resident() == LARGE));
    let task = run(&mut manager, 11).expect("it starts");
    assert_eq!(task.payload, Payload::stored(LARGE));
}

#[test]
fn small_arguments_stay_in_memory() {
    let mut manager = Manager::new(limits());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, detached(1, 1024));
    manager.commit();
    assert_eq!(run(&mut manager, 11).expect("it starts").payload.resident(), 1024);
}

#[test]
fn arguments_of_attached_tasks_stay_in_memory() {
    let mut manager = Manager::new(limits());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, large(with_flags(1, 1, Flags::default()), LARGE));
    assert_eq!(run(&mut manager, 11).expect("it starts").payload.resident(), LARGE);
}

#[test]
fn large_results_leave_memory_with_the_commit_and_are_delivered_as_placeholders() {
    let mut manager = with_one_running();
    manager.step(Input::CollectRequested { link: ConnId(1), tickets: vec![ticket(id(1, 1))] });
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: large_outcome(attempt(1, 1, 1)) });
    assert!(received(&mut manager, 1).is_empty(), "it is not durable");
    manager.commit();
    let outcomes = received(&mut manager, 1);
    assert_eq!(outcomes[0].payload, Payload::stored(LARGE));
    manager.step(Input::CollectRequested { link: ConnId(1), tickets: vec![ticket(id(1, 1))] });
    assert_eq!(received(&mut manager, 1)[0].payload, Payload::stored(LARGE));
}

#[test]
fn a_refused_commit_writes_the_bytes_again() {
    let mut manager = with_one_running();
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: large_outcome(attempt(1, 1, 1)) });
    manager.refuse();
    let last = manager.records.last().expect("it is written again");
    assert!(matches!(last, Record::TaskEnded(outcome) if outcome.payload.resident() == LARGE));
}

#[test]
fn a_task_whose_arguments_cannot_be_read_ends_as_lost_and_frees_its_slot() {
    let mut manager = with_one_running();
    manager.submit(1, detached(2, 10));
    manager.commit();
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    let why = "page 7 is damaged".to_owned();
    manager.step(Input::ArgumentsUnreadable { link: ConnId(11), attempt: attempt(1, 1, 1), why });
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)], "the slot is free");
    manager.commit();
    manager.step(Input::CollectRequested { link: ConnId(1), tickets: vec![ticket(id(1, 1))] });
    let outcomes = manager.outcomes(1);
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].1, Status::Lost);
    assert!(outcomes[0].2.message.contains("page 7 is damaged"), "{}", outcomes[0].2.message);
}

#[test]
fn arguments_that_cannot_be_read_of_a_stopped_attempt_free_its_slot() {
    let mut manager = with_one_running();
    manager.submit(1, detached(2, 10));
    manager.commit();
    manager.step(Input::CancelRequested { link: ConnId(1), ids: vec![id(1, 1)], by: String::new() });
    manager.commit();
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)], "the stopped attempt has the slot");
    let why = "the task has ended".to_owned();
    manager.step(Input::ArgumentsUnreadable { link: ConnId(11), attempt: attempt(1, 1, 1), why });
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)]);
}

#[test]
fn an_old_report_about_arguments_changes_nothing() {
    let mut manager = with_one_running();
    manager.cut(11);
    manager.join(111, 1, &[]);
    manager.sent_to_worker(111);
    let why = "late".to_owned();
    manager.step(Input::ArgumentsUnreadable {
        link: ConnId(11),
        attempt: attempt(1, 1, 1),
        why: why.clone(),
    });
    manager.step(Input::ArgumentsUnreadable { link: ConnId(111), attempt: attempt(1, 1, 7), why });
    assert_eq!(manager.scheduler.unfinished(), 1);
}

#[test]
fn a_result_that_cannot_be_read_is_lost_in_words() {
    let mut manager = with_one_running();
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: large_outcome(attempt(1, 1, 1)) });
    manager.commit();
    let why = "page 7 is damaged".to_owned();
    manager.step(Input::ResultUnreadable { link: ConnId(1), id: id(1, 1), why });
    let told = |manager: &mut Manager| {
        let (_, status, report): (_, Status, Report) = manager.outcomes(1).remove(0);
        assert_eq!(status, Status::Lost);
        report.message
    };
    assert!(told(&mut manager).contains("the task ended (ok)"));
    manager.step(Input::CollectRequested { link: ConnId(1), tickets: vec![ticket(id(1, 1))] });
    assert!(told(&mut manager).contains("page 7 is damaged"), "each collector gets the same");
    manager.take(1, id(1, 1));
    manager.step(Input::ResultUnreadable { link: ConnId(1), id: id(1, 1), why: "late".to_owned() });
    assert!(told(&mut manager).contains("collected by another client"));
}
