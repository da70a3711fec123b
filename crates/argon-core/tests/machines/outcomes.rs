//! Cancel, retries, detached tasks, the store's answers, and clients that come and go.

use std::time::Duration;

use crate::manager::{Manager, attempt, id, outcome, task, ticket, with_flags};
use argon_core::scheduler::{ConnId, Input, Limits, Record};
use argon_proto::conversation::Credit;
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::holder::OwnerName;
use argon_proto::{Flags, Status};

const SECOND: Duration = Duration::from_secs(1);

fn with_worker() -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager
}

fn cancel(manager: &mut Manager, sequence: u64) {
    manager.step(Input::CancelRequested { link: ConnId(1), ids: vec![id(1, sequence)], by: String::new() });
}

#[test]
fn cancel_ends_a_queued_task_and_stops_a_running_one() {
    let mut manager = with_worker();
    manager.submit(1, task(1, 1));
    manager.submit(1, task(1, 2));
    cancel(&mut manager, 2);
    cancel(&mut manager, 1);
    assert!(manager.sent_to_worker(11).contains(&ToWorker::Stop(vec![attempt(1, 1, 1)])));
    let outcomes = manager.outcomes(1);
    assert_eq!(outcomes.iter().map(|told| told.1).collect::<Vec<_>>(), [Status::Cancelled; 2]);
    // The runner occupies its slot until it is gone.
    manager.submit(1, task(1, 3));
    assert_eq!(manager.runs(11), []);
    manager.returned(11, &[attempt(1, 1, 1)]);
    assert_eq!(manager.runs(11), [attempt(1, 3, 1)]);
}

#[test]
fn a_task_that_was_cancelled_before_its_code_came_costs_no_credit() {
    let limits = Limits { window_tasks: 2, ..Limits::default() };
    let mut manager = Manager::new(limits);
    manager.open(1);
    for sequence in 1..=6 {
        let withdrawn = Input::TaskWithdrawn { link: ConnId(1), task: task(1, sequence), by: "ann".into() };
        manager.step(withdrawn);
        let outcomes = manager.outcomes(1);
        assert_eq!((outcomes[0].0, outcomes[0].1), (id(1, sequence), Status::Cancelled));
        assert!(outcomes[0].2.message.contains("by ann"), "{}", outcomes[0].2.message);
    }
}

#[test]
fn an_admin_without_a_session_cancels_any_task_and_an_ended_one_keeps_its_outcome() {
    let mut manager = with_worker();
    manager.submit(1, task(1, 1));
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 1);
    manager.submit(1, task(1, 2));
    manager.outcomes(1);
    let ids = vec![id(1, 1), id(1, 2), id(1, 3)];
    manager.step(Input::CancelRequested { link: ConnId(77), ids, by: "ann (an admin)".into() });
    let outcomes = manager.outcomes(1);
    assert_eq!(outcomes.len(), 1);
    assert_eq!((outcomes[0].0, outcomes[0].1), (id(1, 2), Status::Cancelled));
    assert!(outcomes[0].2.message.contains("by ann (an admin) while it was with worker w11"));
}

#[test]
fn a_retry_waits_outside_of_any_slot() {
    let mut manager = with_worker();
    let mut again = with_flags(1, 1, Flags::RETRY_ERROR);
    again.head.retries = 1;
    manager.submit(1, again);
    manager.submit(1, task(1, 2));
    manager.sent_to_worker(11);
    manager.finish(11, attempt(1, 1, 1), Status::Error, 500_000);
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)], "the slot is used meanwhile");
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 500_000);
    manager.pass(Duration::from_millis(101));
    assert_eq!(manager.runs(11), [attempt(1, 1, 2)]);
    manager.finish(11, attempt(1, 1, 2), Status::Error, 500_000);
    let outcomes = manager.outcomes(1);
    assert_eq!(outcomes.last().map(|told| told.1), Some(Status::Error));
}

#[test]
fn a_failure_that_is_reported_twice_uses_one_retry() {
    let mut manager = with_worker();
    let mut again = with_flags(1, 1, Flags::RETRY_ERROR);
    again.head.retries = 1;
    manager.submit(1, again);
    manager.finish(11, attempt(1, 1, 1), Status::Error, 10);
    // SETTLED was lost with the connection, so the worker lists and reports it again.
    manager.cut(11);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    manager.finish(111, attempt(1, 1, 1), Status::Error, 10);
    manager.pass(SECOND);
    assert_eq!(manager.runs(111), [attempt(1, 1, 2)]);
    assert_eq!(manager.outcomes(1), []);
}

#[test]
fn a_late_error_does_not_end_a_task_that_is_being_tried_again() {
    let mut manager = with_worker();
    let mut again = with_flags(1, 1, Flags::RETRY_ERROR);
    again.head.retries = 1;
    manager.submit(1, again);
    manager.join(12, 1, &[]);
    manager.step(Input::WorkerLost { link: ConnId(11), declared_dead: true });
    assert_eq!(manager.runs(12), [attempt(1, 1, 2)]);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    manager.finish(111, attempt(1, 1, 1), Status::Error, 10);
    assert_eq!(manager.outcomes(1), []);
    manager.finish(12, attempt(1, 1, 2), Status::Ok, 10);
    assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
}

#[test]
fn a_session_is_kept_for_its_grace_and_no_longer() {
    for (away, is_kept) in [(SECOND * 59, true), (SECOND * 61, false)] {
        let mut manager = with_worker();
        manager.submit(1, task(1, 1));
        manager.sent_to_worker(11);
        manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: false });
        manager.pass(away);
        let was_stopped = manager.sent_to_worker(11).contains(&ToWorker::Stop(vec![attempt(1, 1, 1)]));
        assert_eq!(was_stopped, !is_kept);
        assert_eq!(manager.scheduler.footprint().tasks, usize::from(is_kept));
    }
}

#[test]
fn a_detached_task_is_accepted_when_it_is_durable_and_runs_after_that() {
    let mut manager = with_worker();
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    assert_eq!((manager.sent_to_client(1), manager.runs(11)), (vec![], vec![]));
    manager.commit();
    assert_eq!(manager.sent_to_client(1), [ToClient::Accepted(vec![ticket(id(1, 1))])]);
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.pass(SECOND);
    assert_eq!(manager.sent_to_worker(11), [], "it is not settled before it is durable");
    manager.commit();
    manager.pass(SECOND);
    assert_eq!(manager.sent_to_worker(11), [ToWorker::Settled(vec![attempt(1, 1, 1)])]);
}

#[test]
fn an_accepted_task_that_is_offered_again_uses_no_credit() {
    let mut manager = Manager::new(Limits { window_tasks: 1, ..Limits::default() });
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    // ACCEPTED was lost with the connection.
    manager.open(101);
    manager.sent_to_client(101);
    manager.submit(101, with_flags(1, 1, Flags::DETACHED.with(Flags::OFFERED_AGAIN)));
    let credit = ToClient::Credit(Credit { tasks: 2, bytes: Limits::default().window_bytes + 10 });
    assert_eq!(manager.sent_to_client(101), [ToClient::Accepted(vec![ticket(id(1, 1))]), credit]);
}

#[test]
fn a_detached_task_that_the_store_refuses_is_rejected() {
    let mut manager = with_worker();
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.refuse();
    let outcomes = manager.outcomes(1);
    assert_eq!(outcomes[0].1, Status::Rejected);
    assert!(outcomes[0].2.message.contains("no room"), "{outcomes:?}");
    assert_eq!(manager.scheduler.footprint().tasks, 0);
}

#[test]
fn a_detached_task_that_is_cancelled_while_it_is_stored_is_accepted_and_collected_as_cancelled() {
    let mut manager = with_worker();
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    cancel(&mut manager, 1);
    assert_eq!(manager.records.len(), 1, "nothing is written of what may be refused");
    manager.commit();
    assert_eq!(manager.sent_to_client(1), [ToClient::Accepted(vec![ticket(id(1, 1))])]);
    manager.commit();
    manager.step(Input::CollectRequested { link: ConnId(1), tickets: vec![ticket(id(1, 1))] });
    assert_eq!(manager.outcomes(1)[0].1, Status::Cancelled);
}

#[test]
fn everybody_who_waits_to_collect_is_told() {
    let mut manager = with_worker();
    manager.open(2);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    for link in [1, 2] {
        manager.step(Input::CollectRequested { link: ConnId(link), tickets: vec![ticket(id(1, 1))] });
    }
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.commit();
    assert_eq!((manager.outcomes(1).len(), manager.outcomes(2).len()), (1, 1));
}

#[test]
fn a_record_of_forgetting_that_the_store_refused_is_written_again() {
    let mut manager = with_worker();
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.commit();
    manager.take(1, id(1, 1));
    manager.refuse();
    assert_eq!(manager.records[2..], [Record::TaskForgotten(id(1, 1)), Record::TaskForgotten(id(1, 1))]);
}

#[test]
fn it_is_written_again_if_its_id_was_submitted_again_meanwhile() {
    for flags in [Flags::default(), Flags::DETACHED] {
        let mut manager = with_worker();
        manager.submit(1, with_flags(1, 1, Flags::DETACHED));
        manager.commit();
        manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
        manager.commit();
        manager.take(1, id(1, 1));
        manager.submit(1, with_flags(1, 1, flags));
        manager.refuse();
        assert_eq!(manager.records.last(), Some(&Record::TaskForgotten(id(1, 1))), "{flags:?}");
    }
}

#[test]
fn an_accepted_task_survives_a_restart_and_is_run_or_collected() {
    let accepted = Record::TaskAccepted(with_flags(1, 1, Flags::DETACHED), OwnerName::admin());
    let mut manager = Manager::just_started(Limits::default(), vec![accepted.clone()]);
    manager.join(11, 1, &[]);
    manager.pass(SECOND * 5);
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);

    let ended = Record::TaskEnded(outcome(attempt(1, 1, 1), Status::Ok, 10));
    let mut manager = Manager::just_started(Limits::default(), vec![accepted, ended]);
    manager.open(2);
    manager.step(Input::CollectRequested { link: ConnId(2), tickets: vec![ticket(id(1, 1))] });
    assert_eq!(manager.outcomes(2)[0].1, Status::Ok);
}

#[test]
fn outcomes_that_were_collected_leave_no_timer_behind() {
    let mut manager = with_worker();
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.commit();
    let before = manager.scheduler.footprint().timers;
    manager.take(1, id(1, 1));
    assert_eq!(manager.scheduler.footprint().timers, before - 1);
}
