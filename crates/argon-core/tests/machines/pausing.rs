//! Workers whose machine has less left than their limits ask for: nothing starts there, nothing waits there, what runs
//! goes on.

use std::time::Duration;

use argon_core::pool::{Effect, Exit, Input as PoolInput, RunnerId};
use argon_core::scheduler::{ConnId, Input, Limits, WaitReason};
use argon_proto::Status;

use crate::hand::{Hand, ahead, handed, held, id, outcome, received, reported, returned};
use crate::manager::{Manager, attempt, secret, task};

/// The worker at a connection says that it pauses for this reason, or no longer.
fn say(manager: &mut Manager, link: u64, slots: u32, paused: Option<&str>) {
    let mut profile = Manager::profile(link, slots, &[]);
    profile.paused = paused.map(str::to_owned);
    let secret = secret(link % 100);
    manager.step(Input::WorkerJoined {
        link: ConnId(link),
        profile,
        secret,
        previous: None,
        held: Vec::new(),
    });
}

fn waits_for(manager: &Manager) -> Vec<(String, u64)> {
    let report = manager.scheduler.waiting(manager.now);
    report.waiting.into_iter().map(|why| (why.code, why.tasks)).collect()
}

#[test]
fn a_busy_machine_gives_back_what_has_not_started_and_goes_on_with_what_runs() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.receive(2);
    let effects = hand.step(PoolInput::MachineBusy(true));
    assert_eq!(returned(&effects), [id(2)]);
    assert_eq!(held(&hand.pool), [id(1)]);
    assert_eq!(returned(&hand.receive(3)), [id(3)], "sent before the manager knew");
    assert_eq!(reported(&hand.finish(1)), [Status::Ok]);
    assert!(handed(&hand.step(PoolInput::MachineBusy(false))).is_empty());
    assert_eq!(handed(&hand.receive(4)), [4]);
}

#[test]
fn what_was_prefetched_comes_back_from_its_runner_and_goes_to_the_manager() {
    let mut hand = Hand::new(|_| ());
    hand.gone(1);
    hand.step(PoolInput::RunnerReady { runner: RunnerId(2), takes_prefetch: true });
    let finish = |hand: &mut Hand, sequence| {
        hand.step(PoolInput::RunnerFinished { runner: RunnerId(2), outcome: outcome(sequence) })
    };
    for sequence in 1_000..1_020 {
        hand.receive(sequence);
        finish(&mut hand, sequence);
        hand.step(PoolInput::OutcomesSettled(vec![id(sequence)]));
    }
    hand.receive(1);
    assert_eq!(ahead(&hand.receive(2)), [2]);
    assert_eq!(ahead(&hand.receive(3)), [3]);
    let effects = hand.step(PoolInput::MachineBusy(true));
    assert!(effects.contains(&Effect::Retract { runner: RunnerId(2) }), "{effects:?}");
    // It had claimed the first of them.
    let effects = hand.step(PoolInput::Retracted { runner: RunnerId(2), attempts: vec![id(3)] });
    assert_eq!(returned(&effects), [id(3)]);
    finish(&mut hand, 1);
    assert_eq!(reported(&finish(&mut hand, 2)), [Status::Ok]);
}

#[test]
fn what_a_dead_runner_left_does_not_stay_at_a_busy_machine() {
    let mut hand = Hand::new(|_| ());
    hand.gone(1);
    hand.step(PoolInput::RunnerReady { runner: RunnerId(2), takes_prefetch: true });
    for sequence in 1_000..1_020 {
        hand.receive(sequence);
        hand.step(PoolInput::RunnerFinished { runner: RunnerId(2), outcome: outcome(sequence) });
        hand.step(PoolInput::OutcomesSettled(vec![id(sequence)]));
    }
    hand.receive(1);
    hand.receive(2);
    hand.step(PoolInput::MachineBusy(true));
    hand.step(PoolInput::RunnerEnded { runner: RunnerId(2) });
    let mut effects = hand.step(PoolInput::Retracted { runner: RunnerId(2), attempts: vec![id(2)] });
    effects.extend(hand.step(PoolInput::RunnerGone { runner: RunnerId(2), exit: Exit::default() }));
    assert_eq!(returned(&effects), [id(2)]);
    assert_eq!(reported(&effects), [Status::Died]);
}

#[test]
fn a_pause_without_a_manager_gives_back_when_there_is_one() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.receive(2);
    hand.step(PoolInput::ManagerLost);
    assert_eq!(returned(&hand.step(PoolInput::MachineBusy(true))), []);
    assert_eq!(held(&hand.pool).len(), 2, "the next manager is told of both");
    assert_eq!(returned(&hand.step(PoolInput::ManagerFound)), [id(2)]);
}

#[test]
fn a_worker_that_drains_while_it_pauses_leaves() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.step(PoolInput::MachineBusy(true));
    hand.step(PoolInput::DrainRequested("test".to_owned()));
    hand.finish(1);
    assert!(hand.step(PoolInput::OutcomesSettled(vec![id(1)])).contains(&Effect::Leave));
    assert_eq!(returned(&hand.step(received(crate::hand::task(9)))), [id(9)]);
}

#[test]
fn a_paused_worker_gets_nothing_and_others_get_all() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(10, 1, &[]);
    say(&mut manager, 10, 1, Some("busy"));
    manager.submit(1, task(1, 1));
    assert_eq!(manager.runs(10), []);
    assert_eq!(manager.scheduler.view(manager.now).slots_free, 0);
    manager.join(11, 1, &[]);
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    manager.submit(1, task(1, 2));
    assert_eq!(waits_for(&manager), [(WaitReason::Busy.name().to_owned(), 1)]);
    say(&mut manager, 10, 1, None);
    assert_eq!(manager.runs(10), [attempt(1, 2, 1)], "it may start tasks again");
}

#[test]
fn tasks_wait_for_a_pause_to_end_and_the_reason_of_the_worker_is_shown() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    let mut profile = Manager::profile(10, 2, &[]);
    profile.paused = Some("the load is 9".to_owned());
    let joined = Input::WorkerJoined {
        link: ConnId(10),
        profile,
        secret: secret(10),
        previous: None,
        held: Vec::new(),
    };
    manager.step(joined);
    manager.submit(1, task(1, 1));
    let report = manager.scheduler.waiting(manager.now);
    let expected = "1 task waits: the only worker starts nothing now: the load is 9";
    assert_eq!(report.waiting[0].message, expected);
    assert_eq!(report.waiting[0].code, "paused");
    manager.join(11, 1, &[]);
    manager.step(Input::WorkerDraining { link: ConnId(11) });
    manager.submit(1, task(1, 2));
    assert_eq!(waits_for(&manager), [(WaitReason::Paused.name().to_owned(), 1)], "the other one drains");
    manager.pass(Duration::from_secs(60));
    assert_eq!(manager.runs(10), []);
}
