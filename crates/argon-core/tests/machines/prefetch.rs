//! Short tasks are handed ahead, and come back when that was a mistake.

use std::time::Duration;

use argon_core::pool::{Effect, Input, RunnerId, Signal};
use argon_proto::Status;

use crate::hand::{Hand, ahead, handed, held, id, outcome, received, reported, returned, task};

/// A pool of one slot whose runner takes tasks ahead and has had only short ones.
fn quick(change: impl FnOnce(&mut argon_core::pool::Settings)) -> Hand {
    let mut hand = Hand::new(change);
    hand.gone(1);
    hand.step(Input::RunnerReady { runner: RunnerId(2), takes_prefetch: true });
    for sequence in 1_000..1_020 {
        hand.receive(sequence);
        finish(&mut hand, sequence);
        hand.step(Input::OutcomesSettled(vec![id(sequence)]));
    }
    hand
}

fn finish(hand: &mut Hand, sequence: u64) -> Vec<Effect> {
    hand.step(Input::RunnerFinished { runner: RunnerId(2), outcome: outcome(sequence) })
}

fn reclaimed(hand: &mut Hand, sequences: &[u64]) -> Vec<Effect> {
    let attempts = sequences.iter().map(|sequence| id(*sequence)).collect();
    hand.step(Input::Retracted { runner: RunnerId(2), attempts })
}

fn asks_back(effects: &[Effect]) -> bool {
    effects.contains(&Effect::Retract { runner: RunnerId(2) })
}

fn signals(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Signal { signal: Signal::Term, .. })).count()
}

#[test]
fn short_tasks_are_handed_ahead_and_run_without_another_word() {
    let mut hand = quick(|_| ());
    assert_eq!(handed(&hand.receive(1)), [1]);
    assert_eq!(ahead(&hand.receive(2)), [2]);
    let effects = finish(&mut hand, 1);
    assert!(handed(&effects).is_empty() && ahead(&effects).is_empty());
    assert_eq!(reported(&finish(&mut hand, 2)), [Status::Ok]);
}

#[test]
fn a_runner_is_supplied_for_as_long_as_what_it_has_ahead_takes() {
    let mut hand = quick(|_| ());
    assert_eq!(hand.pool.supplied_for(), Duration::ZERO, "an idle runner needs its worker");
    (1..42).for_each(|sequence| drop(hand.receive(sequence)));
    let supplied = hand.pool.supplied_for();
    assert!(supplied >= Duration::from_micros(40), "{supplied:?}");
    finish(&mut hand, 1);
    assert!(hand.pool.supplied_for() < supplied);
    assert!(asks_back(&hand.after(Duration::from_millis(2))));
    assert_eq!(hand.pool.supplied_for(), Duration::ZERO, "what was asked back may be gone");
}

#[test]
fn a_runner_that_cannot_claim_or_had_long_tasks_gets_nothing_ahead() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    assert!(ahead(&hand.receive(2)).is_empty());
    let mut hand = quick(|_| ());
    let mut room = Vec::new();
    for sequence in [1, 3, 5, 7] {
        hand.receive(sequence);
        room.push(ahead(&hand.receive(sequence + 1)).len());
        for sequence in [sequence, sequence + 1] {
            let mut long = outcome(sequence);
            long.head.run_us = 50_000;
            hand.step(Input::RunnerFinished { runner: RunnerId(2), outcome: long });
        }
    }
    assert_eq!(room, [1, 1, 1, 0], "one that was long is an exception, some in a row are not");
}

#[test]
fn what_is_ahead_of_a_long_run_comes_back_and_can_be_recalled() {
    let mut hand = quick(|_| ());
    (1..4).for_each(|sequence| drop(hand.receive(sequence)));
    assert!(asks_back(&hand.after(Duration::from_millis(2))));
    assert!(
        ahead(&reclaimed(&mut hand, &[2, 3])).is_empty(),
        "the run is long: nothing is ahead of it any more"
    );
    assert_eq!(returned(&hand.step(Input::RetractRequested(9))), [id(2), id(3)]);
    assert_eq!(held(&hand.pool), [id(1)]);
}

#[test]
fn a_recall_is_answered_with_what_the_runner_has_not_claimed() {
    let mut hand = quick(|_| ());
    (1..4).for_each(|sequence| drop(hand.receive(sequence)));
    let effects = hand.step(Input::RetractRequested(9));
    assert!(asks_back(&effects) && returned(&effects).is_empty());
    assert_eq!(returned(&reclaimed(&mut hand, &[3])), [id(3)], "the second one is claimed");
}

#[test]
fn a_stopped_task_that_is_ahead_is_given_up_or_ended_when_its_turn_has_come() {
    let mut hand = quick(|_| ());
    (1..4).for_each(|sequence| drop(hand.receive(sequence)));
    assert!(asks_back(&hand.step(Input::StopReceived(vec![id(2), id(3)]))));
    assert_eq!(returned(&reclaimed(&mut hand, &[3])), [id(3)]);
    assert_eq!(signals(&finish(&mut hand, 1)), 1, "the second one was claimed, so it runs now");
    let exit = argon_core::pool::Exit::default();
    let effects = hand.step(Input::RunnerGone { runner: RunnerId(2), exit });
    assert_eq!(returned(&effects), [id(2)]);
}

#[test]
fn a_run_is_not_ended_when_its_runner_is_beyond_it() {
    let mut hand = quick(|_| ());
    (1..3).for_each(|sequence| drop(hand.receive(sequence)));
    assert!(asks_back(&hand.step(Input::StopReceived(vec![id(1)]))));
    assert_eq!(signals(&reclaimed(&mut hand, &[])), 0, "what would be hit is the second one");
    let effects = finish(&mut hand, 1);
    assert_eq!((returned(&effects), reported(&effects)), (vec![id(1)], vec![]));
    assert_eq!(reported(&finish(&mut hand, 2)), [Status::Ok]);
}

#[test]
fn a_dead_runner_takes_only_its_run_with_it() {
    let mut hand = quick(|_| ());
    (1..4).for_each(|sequence| drop(hand.receive(sequence)));
    hand.step(Input::RunnerEnded { runner: RunnerId(2) });
    assert!(handed(&reclaimed(&mut hand, &[2, 3])).is_empty());
    let exit = argon_core::pool::Exit { signal: Some(9), ..Default::default() };
    let effects = hand.step(Input::RunnerGone { runner: RunnerId(2), exit });
    assert_eq!(reported(&effects), [Status::Died]);
    let effects = hand.step(Input::RunnerReady { runner: RunnerId(3), takes_prefetch: true });
    assert_eq!(handed(&effects), [2]);
}

#[test]
fn a_runner_that_ends_after_its_outcome_is_handed_nothing_more() {
    let mut hand = quick(|_| ());
    hand.receive(1);
    hand.step(received(task(2)));
    hand.step(Input::RunnerEnded { runner: RunnerId(2) });
    reclaimed(&mut hand, &[2]);
    assert!(handed(&finish(&mut hand, 1)).is_empty());
    let exit = argon_core::pool::Exit::default();
    assert_eq!(reported(&hand.step(Input::RunnerGone { runner: RunnerId(2), exit })), []);
}

#[test]
fn a_runner_gets_no_more_ahead_than_it_may_serve() {
    let mut hand = quick(|settings| settings.max_requests = 22);
    hand.receive(1);
    assert_eq!(ahead(&hand.receive(2)), [2]);
    assert!(ahead(&hand.receive(3)).is_empty());
}
