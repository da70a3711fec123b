//! Order of tasks, credit of clients, and choice of workers.

use std::time::Duration;

use crate::manager::{Manager, attempt, id, outcome, session, task};
use argon_core::scheduler::{ConnId, Input, Limits};
use argon_proto::conversation::Credit;
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::{Priority, Status, Task};

fn urgent(client: u64, sequence: u64, priority: Priority) -> Task {
    let mut task = task(client, sequence);
    task.head.priority = priority;
    task
}

/// Runs what is queued, one task after another, on the one slot; the tasks in their order.
fn drain(manager: &mut Manager, link: u64) -> Vec<(u64, u64)> {
    let mut order = Vec::new();
    while let [run] = manager.runs(link)[..] {
        let client =
            (1..9).find(|client| session(*client) == run.task.session).expect("a client of the test");
        order.push((client, run.task.sequence));
        manager.finish(link, run, Status::Ok, 500_000);
    }
    order
}

#[test]
fn the_urgent_come_first_and_within_a_priority_clients_take_turns() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.open(2);
    (0..3).for_each(|n| manager.submit(1, task(1, n)));
    (0..2).for_each(|n| manager.submit(2, task(2, n)));
    manager.submit(1, urgent(1, 8, Priority::Low));
    manager.submit(1, urgent(1, 9, Priority::High));
    manager.join(11, 1, &[]);
    assert_eq!(drain(&mut manager, 11), [(1, 9), (1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (1, 8)]);
}

#[test]
fn a_low_task_is_not_starved_by_a_stream_of_high_ones() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.submit(1, urgent(1, 1000, Priority::Low));
    manager.submit(1, urgent(1, 1001, Priority::Low));
    // The one in front is withdrawn; the next must be seen to have waited.
    manager.step(Input::CancelRequested { link: ConnId(1), ids: vec![id(1, 1000)], by: String::new() });
    (0..100).for_each(|n| manager.submit(1, urgent(1, n, Priority::High)));
    manager.pass(Duration::from_secs(6));
    manager.join(11, 1, &[]);
    let place = drain(&mut manager, 11).iter().position(|run| run.1 == 1001);
    assert!(place.is_some_and(|place| place < 4), "{place:?}");
}

#[test]
fn a_full_queue_rejects_and_an_offered_task_is_let_in_all_the_same() {
    let mut manager = Manager::new(Limits { queue_size: 1, ..Limits::default() });
    manager.open(1);
    manager.submit(1, task(1, 1));
    manager.submit(1, task(1, 2));
    assert_eq!(manager.outcomes(1)[0].1, Status::Rejected);
    manager.submit(1, crate::manager::with_flags(1, 3, argon_proto::Flags::OFFERED_AGAIN));
    assert_eq!(manager.outcomes(1), []);
}

#[test]
fn a_client_gets_credit_back_with_what_it_takes_and_is_closed_beyond_it() {
    let mut manager = Manager::new(Limits { window_tasks: 2, ..Limits::default() });
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 1));
    manager.submit(1, task(1, 2));
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.sent_to_client(1);
    manager.take(1, id(1, 1));
    assert!(matches!(manager.sent_to_client(1)[..], [ToClient::Credit(Credit { tasks: 3, .. })]));
    manager.submit(1, task(1, 3));
    manager.submit(1, task(1, 4));
    assert_eq!(manager.scheduler.footprint().tasks, 2, "the fourth was not let in");
}

#[test]
fn a_client_that_takes_no_outcomes_is_paused_and_costs_others_nothing() {
    let mut manager = Manager::new(Limits { untaken_bytes: 50, ..Limits::default() });
    manager.open(1);
    manager.open(2);
    manager.submit(1, task(1, 1));
    manager.submit(1, task(1, 2));
    manager.join(11, 1, &[]);
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 500_000);
    assert_eq!(manager.runs(11), []);
    manager.submit(2, task(2, 1));
    assert_eq!(manager.runs(11), [attempt(2, 1, 1)]);
    manager.finish(11, attempt(2, 1, 1), Status::Ok, 500_000);
    manager.take(1, id(1, 1));
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)]);
}

#[test]
fn a_paused_client_that_comes_back_without_its_old_outcomes_goes_on() {
    let mut manager = Manager::new(Limits { untaken_bytes: 50, ..Limits::default() });
    manager.open(1);
    manager.submit(1, task(1, 1));
    manager.join(11, 1, &[]);
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 500_000);
    manager.submit(1, task(1, 2));
    manager.open(101);
    manager.submit(101, crate::manager::with_flags(1, 2, argon_proto::Flags::OFFERED_AGAIN));
    manager.sent_to_worker(11);
    manager.step(Input::OfferEnded { link: ConnId(101) });
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)]);
}

#[test]
fn a_queue_of_withdrawn_tasks_stands_in_nobodys_way_and_takes_no_room() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    for n in 0..1000 {
        manager.submit(1, task(1, n));
        manager.step(Input::CancelRequested { link: ConnId(1), ids: vec![id(1, n)], by: String::new() });
    }
    assert!(manager.scheduler.footprint().lane_entries < 70);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 5000));
    assert_eq!(manager.runs(11), [attempt(1, 5000, 1)]);
}

#[test]
fn a_short_task_that_was_sent_ahead_is_recalled_when_another_slot_is_free() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 1));
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 100);
    (2..10).for_each(|n| manager.submit(1, task(1, n)));
    assert_eq!(manager.runs(11).len(), 9, "short ones are sent ahead");
    manager.join(12, 1, &[]);
    manager.pass(Duration::from_millis(10));
    assert!(manager.sent_to_worker(11).iter().any(|message| matches!(message, ToWorker::Recall(4))));
    manager.returned(11, &[attempt(1, 8, 1), attempt(1, 9, 1)]);
    assert_eq!(manager.runs(12)[0], attempt(1, 8, 1), "a worker that joins gets load at once");
}

#[test]
fn few_tasks_are_sent_ahead_whose_results_are_large() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 1));
    assert_eq!(manager.runs(11).len(), 1);
    let mut large = outcome(attempt(1, 1, 1), Status::Ok, 10);
    large.payload = vec![0; 4 << 20].into();
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: large });
    (2..100).for_each(|n| manager.submit(1, task(1, n)));
    assert_eq!(manager.runs(11).len(), 3, "one in the slot, two ahead, for all that it is so short");
}
