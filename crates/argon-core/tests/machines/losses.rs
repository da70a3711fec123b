//! Workers are lost, come back, freeze; managers start again: what becomes of the attempts.

use std::time::Duration;

use crate::manager::{Manager, attempt, id, task, with_flags, worker_id};
use argon_core::scheduler::Limits;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::{Flags, Status};

const SECOND: Duration = Duration::from_secs(1);

fn with_one_task(flags: Flags) -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, with_flags(1, 1, flags));
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    manager
}

#[test]
fn a_lost_workers_tasks_run_elsewhere() {
    let mut manager = with_one_task(Flags::default());
    manager.join(12, 1, &[]);
    manager.lose(11);
    assert_eq!(manager.runs(12), [attempt(1, 1, 2)]);
}

#[test]
fn three_losses_in_a_row_end_a_task_as_lost_with_the_story() {
    let mut manager = with_one_task(Flags::default());
    for link in [12, 13] {
        manager.join(link, 1, &[]);
        manager.lose(link - 1);
    }
    manager.lose(13);
    let outcomes = manager.outcomes(1);
    let [(task, Status::Lost, report)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(*task, id(1, 1));
    assert_eq!(report.story.len(), 3, "{report:?}");
    assert!(report.story[2].contains("w13"), "{report:?}");
}

#[test]
fn a_worker_that_comes_back_in_a_moment_keeps_its_attempts() {
    let mut manager = with_one_task(Flags::default());
    manager.join(12, 1, &[]);
    manager.cut(11);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    manager.pass(SECOND * 10);
    assert_eq!(manager.runs(12), []);
    assert!(!manager.sent_to_worker(111).iter().any(|message| matches!(message, ToWorker::Stop(_))));
    manager.finish(111, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1).len(), 1);
}

#[test]
fn what_was_on_its_way_when_the_connection_broke_is_sent_again() {
    let mut manager = with_one_task(Flags::default());
    manager.cut(11);
    manager.join(111, 1, &[]);
    assert_eq!(manager.runs(111), [attempt(1, 1, 1)], "it never started, so it has its number still");
}

/// A connection of worker `link` breaks with everything that is under way on it; returns the link of the next one.
fn break_connection(manager: &mut Manager, link: u64) -> u64 {
    manager.cut(link);
    manager.join(link + 100, 1, &[]);
    link + 100
}

fn large(sequence: u64, bytes: usize) -> argon_proto::Task {
    let mut task = task(1, sequence);
    task.payload = vec![0; bytes].into();
    task
}

#[test]
fn a_task_that_does_not_reach_its_only_worker_lets_others_pass_and_ends_as_lost_in_words() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, large(1, 100_000));
    manager.submit(1, task(1, 2));
    let mut link = 11;
    for connection in 1..=9 {
        assert_eq!(manager.runs(link), [attempt(1, 1, 1)], "connection {connection}");
        link = break_connection(&mut manager, link);
        if connection % 3 == 0 && connection < 9 {
            // Another task is served in between.
            let other = attempt(1, 1 + connection / 3, 1);
            assert_eq!(manager.runs(link), [other]);
            manager.finish(link, other, Status::Ok, 300_000);
            manager.submit(1, task(1, 2 + connection / 3));
        }
    }
    let outcomes = manager.outcomes(1);
    let (_, status, report) = outcomes.last().unwrap();
    assert_eq!((outcomes.len(), *status), (3, Status::Lost), "{outcomes:?}");
    let message = &report.message;
    assert!(["w11", "100000 bytes", "MTU"].iter().all(|words| message.contains(words)), "{message}");
    assert_eq!(report.story.len(), 3, "{report:?}");
    assert_eq!(manager.runs(link), [attempt(1, 4, 1)], "the worker serves others");
}

#[test]
fn a_task_that_does_not_reach_a_worker_goes_to_another_as_soon_as_there_is_one() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, large(1, 100_000));
    manager.runs(11);
    manager.join(12, 1, &[]);
    manager.cut(11);
    manager.join(111, 1, &[]);
    assert_eq!((manager.runs(111), manager.runs(12)), (vec![], vec![attempt(1, 1, 1)]));
    manager.finish(12, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
}

#[test]
fn of_the_tasks_that_were_under_way_one_is_blamed_and_the_others_are_sent_again() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 4, &[]);
    for (sequence, bytes) in [(1, 600), (2, 100_000), (3, 10), (4, 50_000)] {
        manager.submit(1, large(sequence, bytes));
    }
    let mut link = 11;
    for _ in 0..9 {
        assert_eq!(manager.runs(link).len(), 4);
        manager.cut(link);
        link += 100;
        manager.join(link, 4, &[]);
    }
    let outcomes = manager.outcomes(1);
    assert_eq!(outcomes.iter().map(|(task, ..)| task.sequence).collect::<Vec<_>>(), [2], "{outcomes:?}");
    assert_eq!(manager.runs(link), [attempt(1, 1, 1), attempt(1, 3, 1), attempt(1, 4, 1)]);
}

#[test]
fn connections_that_break_while_a_worker_holds_the_task_count_as_nothing() {
    let mut manager = with_one_task(Flags::default());
    let mut link = 11;
    for _ in 0..9 {
        for held in [vec![], vec![], vec![attempt(1, 1, 1)]] {
            manager.cut(link);
            link += 100;
            manager.join(link, 1, &held);
        }
    }
    assert_eq!(manager.outcomes(1), []);
    manager.finish(link, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
}

#[test]
fn a_frozen_workers_stale_attempts_are_dropped() {
    let mut manager = with_one_task(Flags::default());
    manager.join(12, 1, &[]);
    manager.lose(11);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    assert!(manager.sent_to_worker(111).contains(&ToWorker::Stop(vec![attempt(1, 1, 1)])));
}

#[test]
fn a_late_outcome_of_an_old_attempt_is_accepted_if_none_came_yet() {
    let mut manager = with_one_task(Flags::default());
    manager.join(12, 1, &[]);
    manager.lose(11);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    manager.finish(111, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
    assert!(
        manager.sent_to_worker(12).contains(&ToWorker::Stop(vec![attempt(1, 1, 2)])),
        "the other one changes nothing"
    );
    manager.finish(12, attempt(1, 1, 2), Status::Ok, 10);
    assert_eq!(manager.outcomes(1), []);
}

#[test]
fn a_task_that_must_never_run_twice_is_lost_with_its_worker() {
    let mut manager = with_one_task(Flags::NEVER_TWICE);
    manager.join(12, 1, &[]);
    manager.lose(11);
    assert_eq!(manager.outcomes(1)[0].1, Status::Lost);
    assert_eq!(manager.runs(12), []);
}

#[test]
fn a_task_that_must_never_run_twice_starts_elsewhere_if_its_worker_was_lost_before_run() {
    for is_durable_first in [true, false] {
        let mut manager = Manager::new(Limits::default());
        manager.open(1);
        manager.join(11, 1, &[]);
        manager.submit(1, with_flags(1, 1, Flags::DETACHED.with(Flags::NEVER_TWICE)));
        manager.commit();
        assert_eq!(manager.runs(11), [], "the store does not know of the start");
        // The worker may come back for a moment: RUN finds no connection meanwhile.
        manager.cut(11);
        if is_durable_first {
            manager.commit();
        }
        manager.join(12, 1, &[]);
        manager.pass(SECOND);
        manager.commit();
        assert_eq!(manager.runs(12), [attempt(1, 1, 1)]);
        manager.lose(12);
        manager.join(13, 1, &[]);
        manager.commit();
        assert_eq!(manager.runs(13), [], "worker 12 was sent RUN");
    }
}

#[test]
fn a_task_whose_start_was_stored_while_its_worker_began_to_drain_starts_elsewhere() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED.with(Flags::NEVER_TWICE)));
    manager.commit();
    let worker = worker_id(11);
    manager.step(argon_core::scheduler::Input::DrainRequested { worker, within: None });
    manager.join(12, 1, &[]);
    manager.commit();
    manager.commit();
    assert_eq!((manager.runs(11), manager.runs(12)), (vec![], vec![attempt(1, 1, 1)]));
}

#[test]
fn after_a_restart_what_still_runs_is_adopted_whoever_comes_first() {
    for worker_first in [true, false] {
        let mut manager = Manager::just_started(Limits::default(), Vec::new());
        manager.join(12, 1, &[]);
        manager.open(1);
        if worker_first {
            manager.join(11, 1, &[attempt(1, 1, 3)]);
        }
        manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
        if !worker_first {
            manager.pass(SECOND);
            manager.join(11, 1, &[attempt(1, 1, 3)]);
        }
        manager.pass(SECOND * 20);
        assert_eq!(manager.runs(12), []);
        manager.finish(11, attempt(1, 1, 3), Status::Ok, 10);
        assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
    }
}

#[test]
fn unclaimed_attempts_survive_a_reconnect_of_their_worker() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    manager.join(11, 1, &[attempt(1, 1, 1)]);
    manager.cut(11);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    assert!(!manager.sent_to_worker(111).iter().any(|message| matches!(message, ToWorker::Stop(_))));
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    manager.finish(111, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
}

#[test]
fn an_unclaimed_outcome_is_kept_when_another_worker_drops_its_copy() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    manager.join(11, 1, &[attempt(1, 1, 1)]);
    manager.join(12, 1, &[attempt(1, 1, 1)]);
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.returned(12, &[attempt(1, 1, 1)]);
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
}

#[test]
fn attempts_that_nobody_claims_are_stopped_in_the_end() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    manager.join(11, 2, &[attempt(1, 1, 1)]);
    manager.pass(SECOND * 61);
    assert!(manager.sent_to_worker(11).contains(&ToWorker::Stop(vec![attempt(1, 1, 1)])));
    // Its client comes while the runner is still being ended: the next attempt has another number.
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    manager.pass(SECOND * 4);
    assert_eq!(manager.runs(11), [attempt(1, 1, 2)]);
    manager.returned(11, &[attempt(1, 1, 1)]);
    assert_eq!(manager.scheduler.task_state(id(1, 1)), Some("with worker w11".to_owned()));
}

#[test]
fn an_adopted_attempt_that_comes_back_unfinished_is_in_doubt_if_it_must_never_run_twice() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN.with(Flags::NEVER_TWICE)));
    manager.join(11, 1, &[attempt(1, 1, 1)]);
    manager.returned(11, &[attempt(1, 1, 1)]);
    assert_eq!(manager.outcomes(1)[0].1, Status::Lost);
    assert_eq!(manager.runs(11), []);
}

#[test]
fn a_worker_that_gives_tasks_back_unasked_is_left_alone_for_a_while() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 3, &[]);
    (1..4).for_each(|number| manager.submit(1, task(1, number)));
    assert_eq!(manager.runs(11).len(), 3);
    manager.returned(11, &[attempt(1, 1, 1)]);
    assert_eq!(manager.runs(11), [], "sent again at once, it would go to and fro");
    manager.join(12, 1, &[]);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1)]);
    manager.returned(11, &[attempt(1, 2, 1)]);
    manager.pass(SECOND * 5);
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)], "it may be able again");
}

#[test]
fn a_drain_is_said_again_to_a_worker_that_may_not_have_heard_it() {
    let mut manager = with_one_task(Flags::default());
    let worker = worker_id(11);
    manager.step(argon_core::scheduler::Input::DrainRequested { worker, within: None });
    manager.cut(11);
    manager.join(111, 2, &[attempt(1, 1, 1)]);
    assert!(manager.sent_to_worker(111).iter().any(|message| matches!(message, ToWorker::Drain(_))));
    manager.submit(1, task(1, 2));
    assert_eq!(manager.runs(111), [], "a draining worker gets none");
    manager.finish(111, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1).len(), 1, "and loses none");
}

#[test]
fn a_worker_that_comes_back_is_told_again_to_leave_with_the_time_that_is_left() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 1));
    let drained = |manager: &mut Manager, link| {
        let limit = |message| if let ToWorker::Drain(drain) = message { Some(drain.within_ms) } else { None };
        let drains = manager.sent_to_worker(link).into_iter().filter_map(limit);
        drains.collect::<Vec<_>>()
    };
    let within = |seconds| Some(Duration::from_secs(seconds));
    let worker = worker_id(11);
    for limit in [None, within(60), within(90)] {
        manager.step(argon_core::scheduler::Input::DrainRequested { worker, within: limit });
    }
    assert_eq!(drained(&mut manager, 11), [None, Some(60_000), Some(60_000)]);
    manager.pass(Duration::from_secs(20));
    manager.cut(11);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    assert_eq!(drained(&mut manager, 111), [Some(40_000)]);
}

#[test]
fn a_saturated_attempt_number_costs_no_time_and_ends_its_task_in_words() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    let last = attempt(1, 1, u32::MAX);
    manager.join(11, 1, &[last]);
    manager.join(12, 2, &[last]);
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    manager.returned(11, &[last]);
    let outcomes = manager.outcomes(1);
    assert_eq!(outcomes[0].1, Status::Lost);
    assert!(outcomes[0].2.message.contains("used up the numbers"), "{outcomes:?}");
}

#[test]
fn numbers_that_a_worker_is_still_ending_are_passed_over_once() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    let held: Vec<_> = (u32::MAX - 2..=u32::MAX).map(|number| attempt(1, 1, number)).collect();
    manager.join(11, 1, &held);
    manager.pass(SECOND * 61);
    manager.open(1);
    manager.submit(1, task(1, 1));
    manager.returned(11, &held);
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)], "numbers of others are not taken over");
}
