//! The pool: what it starts, ends, reports, keeps and gives back.

use std::time::Duration;

use argon_core::Machine;
use argon_core::pool::{Effect, Input, Program, RunnerId, RunnerKind, Signal};
use argon_proto::conversation::worker::FromWorker;
use argon_proto::{Priority, Runtime, Status};

use crate::hand::{Hand, handed, held, id, received, reported, returned, task};

#[test]
fn a_runner_is_replaced_after_its_requests() {
    let mut hand = Hand::new(|settings| settings.max_requests = 2);
    hand.receive(1);
    assert!(!hand.finish(1).contains(&Effect::Retire { runner: RunnerId(1) }));
    hand.receive(2);
    let effects = hand.finish(2);
    let kind = RunnerKind { runtime: Runtime::Perl, program: Program::Only, memory_mib: 0 };
    assert!(effects.contains(&Effect::Retire { runner: RunnerId(1) }), "{effects:?}");
    assert!(effects.contains(&Effect::Spawn { runner: RunnerId(2), kind, template: None }), "{effects:?}");
}

#[test]
fn a_runner_that_dies_in_a_task_ends_it_as_died_and_is_replaced_at_once() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    let effects = hand.gone(1);
    assert_eq!(reported(&effects), [Status::Died]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Spawn { runner: RunnerId(2), .. })));
}

#[test]
fn a_runner_that_does_not_come_up_is_tried_again_after_ever_longer_waits() {
    let mut hand = Hand::new(|_| ());
    hand.gone(1);
    let mut waits = Vec::new();
    for runner in 2..12 {
        hand.gone(runner);
        let deadline = hand.pool.next_deadline().expect("another try is planned");
        waits.push(deadline.since(hand.now));
        hand.now = deadline;
        assert!(hand.step(Input::TimePassed).iter().any(|effect| matches!(effect, Effect::Spawn { .. })));
    }
    assert!(waits.is_sorted() && waits[0] == Duration::from_millis(50), "{waits:?}");
    assert_eq!(waits.last(), Some(&Duration::from_secs(5)));
}

#[test]
fn a_task_beyond_its_time_is_asked_to_end_and_then_killed() {
    let mut hand = Hand::new(|_| ());
    let mut limited = task(1);
    limited.head.timeout_ms = 1_000;
    hand.step(received(limited));
    let signal = |signal| Effect::Signal { runner: RunnerId(1), signal };
    assert_eq!(hand.after(Duration::from_millis(999)), []);
    assert_eq!(hand.after(Duration::from_millis(1)), [signal(Signal::Term)]);
    assert_eq!(hand.after(Duration::from_secs(2)), [signal(Signal::Kill)]);
    assert_eq!(reported(&hand.gone(1)), [Status::Timeout]);
}

#[test]
fn a_stopped_attempt_is_returned_when_its_runner_is_gone_and_has_no_outcome() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.receive(2);
    let effects = hand.step(Input::StopReceived(vec![id(1), id(2), id(3)]));
    assert_eq!(returned(&effects), [id(2), id(3)], "what does not run is gone at once");
    assert_eq!(held(&hand.pool), [id(1)]);
    let effects = hand.gone(1);
    assert_eq!((returned(&effects), reported(&effects)), (vec![id(1)], vec![]));
}

#[test]
fn nothing_is_started_while_the_manager_may_have_given_the_worker_up() {
    let mut hand = Hand::new(|_| ());
    hand.now = hand.now + Duration::from_secs(15);
    assert!(handed(&hand.receive(1)).is_empty());
    assert_eq!(handed(&hand.step(Input::ManagerHeard)), [1]);
}

#[test]
fn outcomes_that_were_not_settled_are_told_to_the_next_connection() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.step(Input::ManagerLost);
    assert_eq!(reported(&hand.finish(1)), []);
    assert_eq!(held(&hand.pool), [id(1)]);
    assert_eq!(reported(&hand.step(Input::ManagerFound)), [Status::Ok]);
    hand.step(Input::OutcomesSettled(vec![id(1)]));
    assert_eq!(held(&hand.pool), []);
}

#[test]
fn an_attempt_that_is_given_again_while_its_outcome_is_kept_is_answered_with_it() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    assert!(reported(&hand.receive(1)).is_empty(), "its end answers");
    assert_eq!(reported(&hand.finish(1)), [Status::Ok]);
    let effects = hand.receive(1);
    assert_eq!((handed(&effects), reported(&effects)), (vec![], vec![Status::Ok]));
}

#[test]
fn a_worker_whose_outcomes_nobody_takes_starts_no_more() {
    let mut hand = Hand::new(|settings| settings.unsettled_bytes = 50);
    hand.receive(1);
    hand.receive(2);
    assert!(handed(&hand.finish(1)).is_empty());
    assert_eq!(handed(&hand.step(Input::OutcomesSettled(vec![id(1)]))), [2]);
}

#[test]
fn a_recall_gives_the_least_urgent_that_came_last() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    (2..5).for_each(|sequence| drop(hand.receive(sequence)));
    let mut urgent = task(9);
    urgent.head.priority = Priority::High;
    hand.step(received(urgent));
    assert_eq!(returned(&hand.step(Input::RetractRequested(2))), [id(3), id(4)]);
    assert_eq!(handed(&hand.finish(1)), [9]);
    assert_eq!(
        hand.step(Input::RetractRequested(9)),
        [Effect::Tell(FromWorker::Returned(vec![id(2)]))],
        "what runs is not given"
    );
}

#[test]
fn a_draining_worker_gives_back_what_waits_and_leaves_when_the_rest_is_settled() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.receive(2);
    let effects = hand.step(Input::DrainRequested("test".to_owned()));
    assert!(matches!(effects[0], Effect::Tell(FromWorker::Draining(_))));
    assert_eq!(returned(&effects), [id(2)]);
    assert_eq!(returned(&hand.receive(3)), [id(3)]);
    assert!(!hand.finish(1).contains(&Effect::Leave));
    assert!(hand.step(Input::OutcomesSettled(vec![id(1)])).contains(&Effect::Leave));
}

// kind: drain waits | the manager is away when the last task of a draining worker ends | right | the worker keeps the outcome until a manager has taken it
#[test]
fn a_draining_worker_that_lost_its_manager_stays_until_its_outcomes_are_settled() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.step(Input::DrainRequested("test".to_owned()));
    hand.step(Input::ManagerLost);
    assert!(!hand.finish(1).contains(&Effect::Leave), "the outcome is nowhere else");
    let back = hand.step(Input::ManagerFound);
    assert_eq!(reported(&back), [Status::Ok]);
    assert!(!back.contains(&Effect::Leave));
    assert!(hand.step(Input::OutcomesSettled(vec![id(1)])).contains(&Effect::Leave));
    let mut idle = Hand::new(|_| ());
    idle.step(Input::ManagerLost);
    assert!(idle.step(Input::DrainRequested("test".to_owned())).contains(&Effect::Leave), "it keeps nothing");
}
