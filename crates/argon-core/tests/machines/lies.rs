//! Workers that lie: what they say of attempts that are not theirs changes nothing, and what they measure is not believed.

use std::time::Duration;

use crate::manager::{Manager, attempt, id, outcome, task, with_flags};
use argon_core::scheduler::{ConnId, Effect, Input, Limits, Record};
use argon_proto::conversation::worker::{Lent, ToWorker};
use argon_proto::conversation::{Ask, TaskOutput};
use argon_proto::{AttemptId, Flags, Payload, Status, Task};
use bytes::Bytes;

/// A client, an honest worker that has its first task, and another worker.
fn with_a_liar() -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 1));
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    manager.join(12, 1, &[]);
    manager.sent_to_worker(12);
    manager
}

fn mean_us(manager: &Manager, name: &str) -> u64 {
    let view = manager.scheduler.view(manager.now);
    view.worker_list.iter().find(|worker| worker.name == name).expect("it is connected").mean_us
}

fn unproven(manager: &Manager) -> u64 {
    manager.scheduler.totals().unproven
}

#[test]
fn an_outcome_of_anothers_attempt_changes_nothing_and_may_be_forgotten() {
    for status in [Status::Ok, Status::Error, Status::Died, Status::Timeout] {
        for number in [1, 2, u32::MAX] {
            let mut manager = with_a_liar();
            manager.finish(12, attempt(1, 1, number), status, 10);
            assert_eq!(manager.outcomes(1), []);
            assert_eq!(manager.sent_to_worker(12), [ToWorker::Settled(vec![attempt(1, 1, number)])]);
            assert_eq!(manager.sent_to_worker(11), []);
            assert_eq!(unproven(&manager), 1);
            manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
            assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
        }
    }
}

#[test]
fn an_outcome_of_a_waiting_task_or_of_one_that_nobody_knows_changes_nothing() {
    let mut manager = with_a_liar();
    manager.submit(1, task(1, 2));
    assert_eq!(manager.runs(12), [attempt(1, 2, 1)]);
    manager.submit(1, task(1, 3));
    for number in [0, 1, 2] {
        manager.finish(12, attempt(1, 3, number), Status::Ok, 10);
        manager.finish(12, attempt(9, 9, number), Status::Ok, 10);
    }
    assert_eq!(manager.outcomes(1), []);
    assert_eq!(manager.scheduler.footprint().orphans, 0);
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.runs(11), [attempt(1, 3, 1)]);
}

#[test]
fn what_a_worker_gave_back_it_can_no_more_end() {
    let mut manager = with_a_liar();
    manager.returned(11, &[attempt(1, 1, 1)]);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1)], "the same number, since it never started");
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1), []);
    manager.finish(12, attempt(1, 1, 1), Status::Error, 10);
    assert_eq!(manager.outcomes(1)[0].1, Status::Error);
}

#[test]
fn an_attempt_of_another_worker_is_not_given_back_lent_or_heard() {
    let mut manager = with_a_liar();
    let theirs = attempt(1, 1, 1);
    let link = ConnId(12);
    manager.returned(12, &[theirs]);
    manager.step(Input::AttemptLent { link, lent: Lent { attempt: theirs, waits: true } });
    let bytes = Bytes::from_static(b"not from the task");
    manager.step(Input::OutputArrived { link, output: TaskOutput { from: theirs, fd: 1, bytes } });
    manager.step(Input::QuestionAsked { link, ask: Ask { from: theirs, ask: 1, question: Bytes::new() } });
    assert_eq!(manager.take_effects(), []);
    assert_eq!(manager.scheduler.view(manager.now).tasks_lent, 0);
    assert_eq!(manager.scheduler.task_state(id(1, 1)), Some("with worker w11".to_owned()));
}

#[test]
fn statuses_that_are_the_managers_to_give_close_the_connection() {
    for status in [Status::Rejected, Status::Cancelled, Status::Lost] {
        let mut manager = with_a_liar();
        let said = outcome(attempt(1, 1, 1), status, 10);
        manager.step(Input::OutcomeArrived { link: ConnId(11), outcome: said });
        let effects = manager.take_effects();
        let [Effect::Close { link: ConnId(11), why, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert!(why.contains(status.name()), "{why}");
        manager.lose(11);
        assert_eq!(manager.runs(12), [attempt(1, 1, 2)], "the task goes on elsewhere");
    }
}

#[test]
fn a_run_time_is_no_longer_than_the_attempt_was_away() {
    for (said, believed) in [(u64::MAX, 300), (400, 300), (200, 200), (0, 1)] {
        let mut manager = with_a_liar();
        manager.now = manager.now + Duration::from_micros(300);
        let outcome = outcome(attempt(1, 1, 1), Status::Ok, said);
        manager.step(Input::OutcomeArrived { link: ConnId(11), outcome });
        assert_eq!(mean_us(&manager, "w11"), believed, "{said}");
    }
}

#[test]
fn a_run_time_of_an_attempt_that_was_found_is_bounded_too() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    manager.join(11, 1, &[attempt(1, 1, 1)]);
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    let outcome = outcome(attempt(1, 1, 1), Status::Ok, u64::MAX);
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome });
    assert_eq!(mean_us(&manager, "w11"), 365 * 24 * 3600 * 1_000_000);
    assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
}

#[test]
fn a_worker_that_repeats_an_outcome_ends_nothing_twice() {
    let mut manager = with_a_liar();
    let ended: AttemptId = attempt(1, 1, 1);
    for _ in 0..3 {
        manager.finish(11, ended, Status::Ok, 10);
    }
    assert_eq!(manager.outcomes(1).len(), 1);
    manager.take(1, id(1, 1));
    manager.finish(11, ended, Status::Ok, 10);
    // The first two were of an outcome that it keeps, as one that comes again over a new connection.
    assert_eq!((manager.outcomes(1).len(), unproven(&manager)), (0, 1));
}

#[test]
fn an_outcome_that_a_worker_lists_and_brings_again_is_kept_once() {
    let mut manager = with_a_liar();
    let ended = attempt(1, 1, 1);
    manager.finish(11, ended, Status::Ok, 10);
    manager.cut(11);
    manager.join(111, 1, &[ended, ended]);
    for _ in 0..2 {
        manager.finish(111, ended, Status::Ok, 10);
    }
    manager.take(1, id(1, 1));
    manager.pass(Duration::from_secs(1));
    let settled = manager.sent_to_worker(111).into_iter().filter(|sent| matches!(sent, ToWorker::Settled(_)));
    assert_eq!(settled.collect::<Vec<_>>(), [ToWorker::Settled(vec![ended])]);
}

#[test]
fn a_task_that_is_offered_again_with_another_size_is_charged_as_it_is() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.submit(1, task(1, 1));
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: false });
    manager.open(101);
    let smaller = Task::new(task(1, 1).head, [], Bytes::new(), Payload::default());
    manager.submit(101, smaller);
    manager.step(Input::OwnTasksCancelled { link: ConnId(101), ids: vec![id(1, 1)] });
    manager.take(101, id(1, 1));
    manager.submit(101, task(1, 2));
    assert_eq!(manager.scheduler.footprint().tasks, 1);
}

#[test]
fn a_refused_commit_touches_no_other_task_under_the_same_id() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.step(Input::OwnTasksCancelled { link: ConnId(1), ids: vec![id(1, 1)] });
    manager.take(1, id(1, 1));
    manager.submit(1, task(1, 1));
    assert_eq!(manager.runs(11), [], "the first one was not told, and cannot be taken");
    manager.refuse();
    manager.submit(1, task(1, 1));
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    manager.refuse();
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 1);
    let statuses: Vec<Status> = manager.outcomes(1).iter().map(|outcome| outcome.1).collect();
    assert_eq!(statuses, [Status::Rejected, Status::Ok]);
}

#[test]
fn a_task_that_the_store_could_not_forget_is_forgotten_though_its_id_was_given_again() {
    for takes_the_second in [false, true] {
        let mut manager = Manager::new(Limits::default());
        manager.open(1);
        manager.join(11, 1, &[]);
        let detached = || with_flags(1, 1, Flags::DETACHED);
        let refuse = |manager: &mut Manager, up_to| {
            manager.step(Input::RecordsRefused { up_to, why: "no room".to_owned() });
        };
        manager.submit(1, detached());
        manager.commit();
        manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
        manager.commit();
        // The client takes it while the store is full, and gives the id to another task before that commit has ended.
        manager.take(1, id(1, 1));
        let forgets = manager.records.len() as u64;
        manager.submit(1, detached());
        let accepts = manager.records.len() as u64;
        refuse(&mut manager, forgets);
        if takes_the_second {
            manager.step(Input::OwnTasksCancelled { link: ConnId(1), ids: vec![id(1, 1)] });
        }
        refuse(&mut manager, accepts);
        assert_eq!(manager.records.last(), Some(&Record::TaskForgotten(id(1, 1))));
        manager.commit();
    }
}
