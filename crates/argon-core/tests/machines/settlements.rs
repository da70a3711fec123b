//! Settlement of outcomes: a worker learns that it need not keep one once the client has it, with its next task,
//! after a while, or at once if much was settled. Also outcomes that their clients do not take.

use std::time::Duration;

use crate::manager::{HERE, Manager, attempt, id, outcome, task, with_flags, worker_id};
use argon_core::scheduler::{ConnId, Input, Limits};
use argon_proto::conversation::worker::ToWorker;
use argon_proto::{AttemptId, Flags, Status};

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

/// A manager whose client has the outcome.
fn after_one_taken() -> Manager {
    let mut manager = after_one_task();
    manager.take(1, id(1, 1));
    manager
}

fn settled(manager: &mut Manager) -> Vec<AttemptId> {
    let of = |message| if let ToWorker::Settled(attempts) = message { attempts } else { Vec::new() };
    manager.sent_to_worker(11).into_iter().flat_map(of).collect()
}

#[test]
fn nobody_is_written_to_for_a_settlement_alone_until_a_while_has_passed() {
    let mut manager = after_one_taken();
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
    let mut manager = after_one_taken();
    manager.submit(1, task(1, 2));
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 10);
    manager.take(1, id(1, 2));
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), [attempt(1, 2, 1)]);
}

#[test]
fn an_outcome_stays_with_its_worker_until_its_client_has_it() {
    let mut manager = after_one_task();
    manager.submit(1, task(1, 2));
    manager.pass(WHILE * 100);
    assert_eq!(settled(&mut manager), [], "nobody else has it if the manager is killed now");
    manager.take(1, id(1, 1));
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
}

#[test]
fn an_outcome_that_nobody_waits_for_any_more_is_settled() {
    for closed_cleanly in [true, false] {
        let mut manager = after_one_task();
        manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly });
        manager.pass(WHILE);
        assert_eq!(settled(&mut manager).is_empty(), !closed_cleanly, "the client may come back");
        manager.pass(Limits::default().session_grace);
        manager.pass(WHILE);
        assert_eq!(settled(&mut manager).is_empty(), closed_cleanly, "it was told twice, or never");
    }
}

#[test]
fn a_client_that_does_not_offer_a_task_again_has_its_outcome() {
    let mut manager = after_one_task();
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: false });
    manager.open(101);
    manager.step(Input::OfferEnded { link: ConnId(101) });
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
}

#[test]
fn the_outcome_of_a_detached_task_is_settled_when_the_store_holds_it() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), []);
    manager.refuse();
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), [], "the store was full");
    manager.commit();
    manager.pass(WHILE);
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
}

#[test]
fn a_worker_that_leaves_waits_for_no_client() {
    let mut manager = after_one_task();
    manager.submit(1, task(1, 2));
    manager.step(Input::WorkerDraining { link: ConnId(11) });
    assert_eq!(settled(&mut manager), [], "it still runs a task, and keeps what it has as long");
    manager.take(1, id(1, 1));
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 10);
    assert_eq!(settled(&mut manager), [attempt(1, 2, 1)], "nothing else keeps it");
    assert_eq!(manager.outcomes(1).len(), 2);

    let mut manager = after_one_task();
    manager.step(Input::WorkerDraining { link: ConnId(11) });
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)], "what it kept before it said that it leaves");
    assert_eq!(manager.outcomes(1).len(), 1, "the manager has it");
}

#[test]
fn a_worker_that_an_operator_drains_keeps_outcomes_while_it_runs_a_task() {
    let mut manager = after_one_task();
    manager.submit(1, task(1, 2));
    let worker = worker_id(11);
    manager.step(Input::DrainRequested { worker, within: None });
    assert_eq!(settled(&mut manager), []);
    manager.returned(11, &[attempt(1, 2, 1)]);
    assert_eq!(settled(&mut manager), [attempt(1, 1, 1)]);
}

#[test]
fn beyond_a_bound_the_oldest_outcomes_are_settled_before_their_clients_have_them() {
    let mut manager = Manager::new(Limits { kept_bytes: 10_000, ..Limits::default() });
    manager.open(1);
    manager.join(11, 1, &[]);
    let mut last = 0;
    for sequence in 1..=30 {
        manager.submit(1, task(1, sequence));
        let mut large = outcome(attempt(1, sequence, 1), Status::Ok, 10);
        large.payload = vec![1; 1_000].into();
        manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: large });
        // Each second one is taken at once, and the others never are.
        if sequence % 2 == 0 {
            manager.take(1, id(1, sequence));
        }
        last = sequence;
    }
    manager.pass(WHILE);
    let mut early = settled(&mut manager);
    early.retain(|attempt| attempt.task.sequence % 2 == 1);
    // Six fit: five of these, and the last that was taken before it was.
    let expected: Vec<AttemptId> = (1..=19).step_by(2).map(|sequence| attempt(1, sequence, 1)).collect();
    assert_eq!(early, expected, "the oldest, and no more than it takes");
    manager.take(1, id(1, last));
    assert_eq!(manager.outcomes(1).len(), 30, "the client gets all of them");
    // A single outcome above the bound does not stay, and nothing else has to go for longer than that.
    manager.submit(1, task(1, 31));
    let mut large = outcome(attempt(1, 31, 1), Status::Ok, 10);
    large.payload = vec![1; 20_000].into();
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: large });
    manager.pass(WHILE);
    assert!(settled(&mut manager).contains(&attempt(1, 31, 1)));
}

#[test]
fn a_worker_that_comes_back_keeps_what_its_clients_have_not_taken() {
    let mut manager = after_one_task();
    manager.cut(11);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    manager.finish(111, attempt(1, 1, 1), Status::Ok, 10);
    manager.pass(WHILE);
    let said = manager.sent_to_worker(111);
    let parts = |message: &ToWorker| matches!(message, ToWorker::Settled(_) | ToWorker::Stop(_));
    assert!(!said.iter().any(parts), "{said:?}");
    assert_eq!(manager.outcomes(1).len(), 1, "the client heard of it once");
    manager.take(1, id(1, 1));
    manager.submit(1, task(1, 2));
    let said = manager.sent_to_worker(111);
    assert!(said.contains(&ToWorker::Settled(vec![attempt(1, 1, 1)])), "{said:?}");
}

#[test]
fn a_worker_that_was_given_up_and_comes_back_keeps_its_outcome_and_no_other_worker_can_take_its_place() {
    let mut manager = after_one_task();
    manager.lose(11);
    manager.join(12, 1, &[]);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    manager.finish(111, attempt(1, 1, 1), Status::Ok, 10);
    // A second worker says that it has the same outcome.
    manager.finish(12, attempt(1, 1, 1), Status::Ok, 10);
    assert!(manager.sent_to_worker(12).contains(&ToWorker::Settled(vec![attempt(1, 1, 1)])));
    manager.take(1, id(1, 1));
    manager.pass(WHILE);
    assert!(manager.sent_to_worker(111).contains(&ToWorker::Settled(vec![attempt(1, 1, 1)])));
}

#[test]
fn an_outcome_that_was_taken_while_its_worker_was_away_is_dropped_there() {
    let mut manager = after_one_task();
    manager.cut(11);
    manager.take(1, id(1, 1));
    manager.join_from(111, 1, HERE, &[attempt(1, 1, 1)]);
    manager.finish(111, attempt(1, 1, 1), Status::Ok, 10);
    manager.pass(WHILE);
    let said = manager.sent_to_worker(111);
    let drops = |message: &ToWorker| matches!(message, ToWorker::Settled(of) | ToWorker::Stop(of) if of == &[attempt(1, 1, 1)]);
    assert!(said.iter().any(drops), "{said:?}");
}

#[test]
fn no_restart_of_the_manager_repeats_a_task_whose_worker_keeps_its_outcome() {
    for worker_first in [true, false] {
        // The client never takes it: each manager is gone before.
        for _ in 0..3 {
            let mut manager = Manager::just_started(Limits::default(), Vec::new());
            manager.join(12, 1, &[]);
            if worker_first {
                manager.join(11, 1, &[attempt(1, 1, 1)]);
                manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
            }
            manager.open(1);
            manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
            manager.step(Input::OfferEnded { link: ConnId(1) });
            if !worker_first {
                manager.join(11, 1, &[attempt(1, 1, 1)]);
                manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
            }
            manager.pass(WHILE * 20);
            assert_eq!(manager.outcomes(1).len(), 1);
            assert_eq!((settled(&mut manager), manager.runs(11), manager.runs(12)), (vec![], vec![], vec![]));
        }
    }
}

#[test]
fn a_worker_that_needs_to_keep_much_no_longer_is_told_at_once() {
    let mut manager = after_one_taken();
    manager.submit(1, task(1, 2));
    settled(&mut manager);
    let mut large = outcome(attempt(1, 2, 1), Status::Ok, 10);
    large.payload = vec![1; 4 << 20].into();
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: large });
    assert_eq!(settled(&mut manager), []);
    manager.take(1, id(1, 2));
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
    let mut manager = after_one_taken();
    manager.cut(11);
    manager.join(111, 1, &[]);
    manager.pass(WHILE);
    let said = manager.sent_to_worker(111);
    assert!(!said.iter().any(|message| matches!(message, ToWorker::Settled(_))), "{said:?}");
}
