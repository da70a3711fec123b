//! A manager that takes over from another one, however long it has been up: what still runs is not started again.

use std::time::Duration;

use crate::manager::{HERE, Manager, attempt, id, task, with_flags};
use argon_core::scheduler::{ConnId, Input, Limits, Record};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::holder::OwnerName;
use argon_proto::{Flags, Incarnation, Status};

const SECOND: Duration = Duration::from_secs(1);
/// The manager that is gone.
const BEFORE: Option<Incarnation> = Some(Incarnation([9; 16]));

/// A manager that has been up for long, with a worker of its own.
fn standby() -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.pass(SECOND * 100_000);
    manager.join(12, 4, &[]);
    manager
}

fn again(client: u64, sequence: u64) -> argon_proto::Task {
    with_flags(client, sequence, Flags::OFFERED_AGAIN)
}

fn stops(manager: &mut Manager, link: u64) -> Vec<ToWorker> {
    manager.sent_to_worker(link).into_iter().filter(|sent| matches!(sent, ToWorker::Stop(_))).collect()
}

#[test]
fn a_task_that_still_runs_is_not_started_elsewhere_whoever_is_late() {
    let limits = Limits::default();
    for late in [Duration::ZERO, SECOND, limits.recovery - Duration::from_millis(1)] {
        let mut manager = standby();
        manager.open_from(1, BEFORE);
        manager.submit(1, again(1, 1));
        manager.pass(late);
        assert_eq!(manager.runs(12), []);
        manager.join_from(11, 1, BEFORE, &[attempt(1, 1, 3)]);
        manager.pass(SECOND * 100);
        assert_eq!((manager.runs(12), stops(&mut manager, 11)), (vec![], vec![]));
        manager.finish(11, attempt(1, 1, 3), Status::Ok, 10);
        assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
    }
    for late in [SECOND, limits.orphan_timeout - Duration::from_millis(1)] {
        let mut manager = standby();
        manager.join_from(11, 1, BEFORE, &[attempt(1, 1, 3)]);
        manager.pass(late);
        manager.open_from(1, BEFORE);
        manager.submit(1, again(1, 1));
        manager.pass(SECOND * 100);
        assert_eq!((manager.runs(12), stops(&mut manager, 11)), (vec![], vec![]));
        manager.finish(11, attempt(1, 1, 3), Status::Ok, 10);
        assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
    }
}

#[test]
fn the_wait_counts_from_each_sessions_own_arrival_and_ends() {
    let mut manager = standby();
    manager.open_from(1, BEFORE);
    manager.submit(1, again(1, 1));
    manager.pass(SECOND * 3);
    manager.open_from(2, BEFORE);
    manager.submit(2, again(2, 1));
    // A task that waits from its arrival on waits no longer than the others of its session.
    manager.submit(1, again(1, 2));
    manager.pass(SECOND);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1), attempt(1, 2, 1)]);
    manager.pass(SECOND * 2);
    assert_eq!(manager.runs(12), []);
    manager.pass(SECOND);
    assert_eq!(manager.runs(12), [attempt(2, 1, 1)]);
    manager.submit(2, again(2, 2));
    assert_eq!(manager.runs(12), [attempt(2, 2, 1)], "its workers had the time to come");
}

#[test]
fn a_client_that_does_not_say_where_it_was_waits_too() {
    let mut manager = standby();
    manager.open_from(1, None);
    manager.submit(1, again(1, 1));
    manager.submit(1, task(1, 2));
    assert_eq!(manager.runs(12), [attempt(1, 2, 1)], "a new task never waits");
    manager.pass(SECOND * 4);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1)]);
}

#[test]
fn nothing_waits_where_the_connection_to_this_manager_broke() {
    for flags in [Flags::OFFERED_AGAIN, Flags::OFFERED_AGAIN.with(Flags::NEVER_TWICE)] {
        let mut manager = standby();
        manager.open_from(1, None);
        manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: false });
        manager.open_from(101, HERE);
        manager.submit(101, with_flags(1, 1, flags));
        assert_eq!(manager.runs(12), [attempt(1, 1, 1)], "it never came here, and was nowhere else");
    }
}

#[test]
fn a_wait_does_not_end_early_for_a_client_whose_first_manager_never_answered() {
    let mut manager = standby();
    manager.open_from(1, None);
    manager.submit(1, again(1, 1));
    assert_eq!(manager.runs(12), []);
    // It names this manager now, but another one that it does not know may have given the task out.
    manager.open_from(101, HERE);
    manager.pass(SECOND);
    assert_eq!(manager.runs(12), []);
    manager.pass(SECOND * 4);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1)]);
}

#[test]
fn a_second_connection_does_not_end_the_wait_after_a_takeover() {
    let mut manager = standby();
    manager.open_from(1, BEFORE);
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: false });
    manager.pass(SECOND);
    // WELCOME of this manager was the last that the client received, but it had its tasks from the other one.
    manager.open_from(101, HERE);
    manager.submit(101, again(1, 1));
    manager.pass(SECOND * 2);
    assert_eq!(manager.runs(12), []);
    manager.join_from(11, 1, BEFORE, &[attempt(1, 1, 1)]);
    manager.pass(SECOND * 100);
    assert_eq!((manager.runs(12), stops(&mut manager, 11)), (vec![], vec![]));
}

#[test]
fn a_session_that_was_given_up_here_waits_like_a_strange_one() {
    let mut manager = standby();
    manager.open_from(1, None);
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: false });
    manager.pass(SECOND * 61);
    manager.open_from(101, HERE);
    manager.submit(101, again(1, 1));
    assert_eq!(manager.runs(12), []);
    manager.pass(SECOND * 4);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1)]);
}

#[test]
fn a_task_that_must_never_run_twice_is_in_doubt_after_a_takeover() {
    let mut manager = standby();
    manager.open_from(1, BEFORE);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN.with(Flags::NEVER_TWICE)));
    manager.pass(SECOND * 3);
    assert_eq!(manager.outcomes(1), [], "its worker may come");
    manager.pass(SECOND);
    assert_eq!(manager.outcomes(1)[0].1, Status::Lost);
    assert_eq!(manager.runs(12), []);
}

#[test]
fn a_detached_task_that_is_offered_again_waits_when_it_is_stored() {
    let mut manager = standby();
    manager.open_from(1, BEFORE);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED.with(Flags::OFFERED_AGAIN)));
    manager.commit();
    assert!(matches!(manager.sent_to_client(1)[..], [ToClient::Accepted(_)]));
    assert_eq!(manager.runs(12), []);
    manager.pass(SECOND);
    manager.join_from(11, 1, BEFORE, &[attempt(1, 1, 1)]);
    manager.pass(SECOND * 100);
    assert_eq!((manager.runs(12), stops(&mut manager, 11)), (vec![], vec![]));
}

#[test]
fn unclaimed_attempts_are_kept_from_their_workers_arrival_and_then_stopped() {
    let mut manager = standby();
    manager.join_from(11, 2, BEFORE, &[attempt(1, 1, 1)]);
    manager.pass(SECOND * 30);
    manager.join_from(13, 2, BEFORE, &[attempt(2, 1, 1)]);
    manager.pass(SECOND * 30);
    assert_eq!(stops(&mut manager, 11), [ToWorker::Stop(vec![attempt(1, 1, 1)])]);
    assert_eq!(stops(&mut manager, 13), []);
    manager.pass(SECOND * 30);
    assert_eq!(stops(&mut manager, 13), [ToWorker::Stop(vec![attempt(2, 1, 1)])]);
    assert_eq!(manager.scheduler.footprint().orphans, 0);
}

#[test]
fn what_has_ended_here_is_stopped_at_once_when_its_worker_comes_back() {
    let mut manager = standby();
    manager.open_from(1, None);
    (1..=5).for_each(|sequence| manager.submit(1, task(1, sequence)));
    manager.join(11, 1, &[]);
    assert_eq!(manager.runs(11), [attempt(1, 5, 1)]);
    manager.lose(11);
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: true });
    manager.join_from(111, 1, HERE, &[attempt(1, 5, 1)]);
    assert_eq!(stops(&mut manager, 111), [ToWorker::Stop(vec![attempt(1, 5, 1)])]);
    // One that this manager has never registered may have its attempts from elsewhere, whatever it says.
    manager.join_from(13, 1, HERE, &[attempt(3, 1, 1)]);
    assert_eq!(stops(&mut manager, 13), []);
}

#[test]
fn unclaimed_attempts_survive_the_loss_of_their_worker() {
    let mut manager = standby();
    manager.join_from(11, 1, BEFORE, &[attempt(1, 1, 1)]);
    manager.lose(11);
    manager.pass(SECOND);
    manager.join_from(111, 1, HERE, &[attempt(1, 1, 1)]);
    assert_eq!(stops(&mut manager, 111), [], "its client may still come");
    manager.open_from(1, BEFORE);
    manager.submit(1, again(1, 1));
    manager.pass(SECOND * 100);
    assert_eq!((manager.runs(12), stops(&mut manager, 111)), (vec![], vec![]));
}

#[test]
fn a_task_that_was_cancelled_while_its_worker_was_late_is_stopped_when_it_comes() {
    let mut manager = standby();
    manager.open_from(1, BEFORE);
    manager.submit(1, again(1, 1));
    manager.step(Input::OwnTasksCancelled { link: ConnId(1), ids: vec![id(1, 1)] });
    assert_eq!(manager.outcomes(1)[0].1, Status::Cancelled);
    manager.take(1, id(1, 1));
    manager.pass(SECOND * 2);
    manager.join_from(11, 1, BEFORE, &[attempt(1, 1, 1)]);
    assert_eq!(stops(&mut manager, 11), [ToWorker::Stop(vec![attempt(1, 1, 1)])]);
}

#[test]
fn a_stored_task_waits_anew_when_its_session_arrives_and_is_started_once() {
    let accepted = Record::TaskAccepted(with_flags(1, 1, Flags::DETACHED), OwnerName::admin());
    let mut manager = Manager::just_started(Limits::default(), vec![accepted]);
    manager.join(12, 4, &[]);
    manager.pass(SECOND * 2);
    manager.open_from(1, BEFORE);
    manager.pass(SECOND * 2);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1)], "its own wait is over");
    manager.submit(1, again(1, 2));
    manager.pass(SECOND);
    assert_eq!(manager.runs(12), []);
    manager.pass(SECOND);
    assert_eq!(manager.runs(12), [attempt(1, 2, 1)]);
}

#[test]
fn many_tasks_that_have_waited_are_let_go_in_short_steps() {
    let mut manager = standby();
    manager.open_from(1, BEFORE);
    let mut out = argon_core::scheduler::Out::default();
    for sequence in 1..=10_000 {
        let input = Input::TaskSubmitted { link: ConnId(1), task: again(1, sequence) };
        argon_core::Machine::step(&mut manager.scheduler, manager.now, input, &mut out);
    }
    manager.now = manager.now + SECOND * 4;
    manager.step(Input::TimePassed);
    let view = manager.scheduler.view(manager.now);
    assert_eq!((view.tasks_queued, view.waiting), (4096 - 4, 10_000 - 4096));
    manager.pass(Duration::from_micros(10));
    assert_eq!(manager.scheduler.view(manager.now).tasks_queued, 9996);
}

#[test]
fn what_is_offered_again_may_exceed_the_queue_while_it_is_offered_and_no_longer() {
    let limits = Limits { queue_size: 2, ..Limits::default() };
    let mut manager = Manager::new(limits);
    manager.open_from(1, BEFORE);
    (1..=5).for_each(|sequence| manager.submit(1, again(1, sequence)));
    let rejected = |manager: &mut Manager| {
        let outcomes = manager.outcomes(1);
        assert!(outcomes.iter().all(|outcome| outcome.1 == Status::Rejected), "{outcomes:?}");
        outcomes.iter().map(|outcome| outcome.0.sequence).collect::<Vec<_>>()
    };
    assert_eq!(rejected(&mut manager), [5], "twice the size is the limit");
    manager.join_from(11, 1, BEFORE, &[attempt(1, 6, 1)]);
    manager.submit(1, again(1, 6));
    assert_eq!(rejected(&mut manager), [0; 0], "a worker holds it");
    manager.step(Input::OwnTasksCancelled { link: ConnId(1), ids: vec![id(1, 1), id(1, 2)] });
    manager.sent_to_client(1);
    manager.submit(1, again(1, 7));
    assert_eq!(rejected(&mut manager), [0; 0]);
    manager.step(Input::OfferEnded { link: ConnId(1) });
    manager.submit(1, again(1, 8));
    assert_eq!(rejected(&mut manager), [8], "who has offered everything has offered everything");
}

#[test]
fn a_later_attempt_replaces_a_failed_one_that_its_worker_brought_first() {
    for (status, is_replaced) in [(Status::Died, true), (Status::Error, true), (Status::Ok, false)] {
        let mut manager = standby();
        manager.join_from(11, 1, BEFORE, &[attempt(1, 1, 2)]);
        manager.finish(11, attempt(1, 1, 2), status, 10);
        manager.join_from(13, 1, BEFORE, &[attempt(1, 1, 3)]);
        assert_eq!(stops(&mut manager, 13).is_empty(), is_replaced, "{status:?}");
        manager.open_from(1, BEFORE);
        manager.submit(1, again(1, 1));
        if is_replaced {
            manager.finish(13, attempt(1, 1, 3), Status::Ok, 10);
        }
        assert_eq!(manager.outcomes(1)[0].1, Status::Ok, "{status:?}");
        assert_eq!(manager.runs(12), []);
    }
}
