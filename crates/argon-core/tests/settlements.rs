//! When a worker hears that it need not keep an outcome: with its next task, or after a while; at once if it keeps much,
//! or is leaving.

mod manager;

use std::time::Duration;

use argon_core::scheduler::{ConnId, Input, Limits};
use argon_proto::conversation::worker::ToWorker;
use argon_proto::{AttemptId, Flags, Status};
use manager::{Manager, attempt, outcome, task, with_flags};

const MOMENT: Duration = Duration::from_millis(1);
const WHILE: Duration = Duration::from_secs(1);

/// A manager with one worker of one slot that has run one task.
fn after_one_task() -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 1));
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager
}

fn settled(manager: &mut Manager) -> Vec<AttemptId> {
    let of = |message| if let ToWorker::Settled(attempts) = message { attempts } else { Vec::new() };
    manager.sent_to_worker(11).into_iter().flat_map(of).collect()
}

#[test]
fn nobody_is_written_to_for_a_settlement_alone_until_a_while_has_passed() {
    let mut manager = after_one_task();
    assert_eq!(settled(&mut manager), []);
    manager.pass(MOMENT);
    assert_eq!(settled(&mut manager), []);
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), [], "it was told twice");
}

#[test]
fn a_settlement_rides_with_the_next_task() {
    let mut manager = after_one_task();
    manager.submit(1, task(1, 2));
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 10);
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), [attempt(1, 2, 1)]);
}

#[test]
fn a_worker_that_leaves_is_not_kept_waiting() {
    let mut manager = after_one_task();
    manager.submit(1, task(1, 2));
    settled(&mut manager);
    manager.step(Input::WorkerDraining { link: ConnId(11) });
    assert_eq!(settled(&mut manager), []);
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 10);
    assert_eq!(settled(&mut manager), [attempt(1, 2, 1)]);

    let mut manager = after_one_task();
    manager.step(Input::WorkerDraining { link: ConnId(11) });
    assert_eq!(
        settled(&mut manager),
        [attempt(1, 1, 1)],
        "what it was not told before it said that it leaves"
    );
}

#[test]
fn a_worker_that_keeps_much_is_told_at_once() {
    let mut manager = after_one_task();
    manager.submit(1, task(1, 2));
    settled(&mut manager);
    let mut large = outcome(attempt(1, 2, 1), Status::Ok, 10);
    large.payload = vec![1; 1 << 20].into();
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: large });
    assert_eq!(settled(&mut manager), [attempt(1, 2, 1)]);
}

#[test]
fn an_outcome_that_calls_for_a_retry_is_settled_at_once() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    let mut retried = with_flags(1, 1, Flags::RETRY_ERROR);
    retried.head.retries = 1;
    manager.submit(1, retried);
    settled(&mut manager);
    manager.finish(11, attempt(1, 1, 1), Status::Error, 10);
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
}

#[test]
fn what_was_settled_over_a_lost_connection_is_not_said_on_the_next_one() {
    let mut manager = after_one_task();
    manager.cut(11);
    manager.join(111, 1, &[]);
    manager.pass(WHILE);
    let said = manager.sent_to_worker(111);
    assert!(!said.iter().any(|message| matches!(message, ToWorker::Settled(_))), "{said:?}");
}
