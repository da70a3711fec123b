//! Runners serve one family of sessions, live beside slots, and stay within bounds.

use argon_core::Machine;
use argon_core::pool::{Effect, Exit, Input, RunnerId, Settings};
use argon_proto::{AttemptId, Flags, Outcome, SessionId, Status, Task};

use crate::hand::{Hand, ahead, handed, outcome, received, reported, returned, task};

/// A task of another session.
fn of(session: u8, sequence: u64) -> Task {
    let mut task = task(sequence);
    task.head.id.session = SessionId([session; 16]);
    task
}

fn attempt(session: u8, sequence: u64) -> AttemptId {
    of(session, sequence).attempt_id()
}

fn outcome_of(attempt: AttemptId) -> Outcome {
    let mut outcome = outcome(attempt.task.sequence);
    outcome.head.id = attempt.task;
    outcome
}

fn spawned(effects: &[Effect]) -> Vec<u64> {
    let spawn = |effect: &Effect| {
        let Effect::Spawn { runner, .. } = effect else { return None };
        Some(runner.0)
    };
    effects.iter().filter_map(spawn).collect()
}

fn retired(effects: &[Effect]) -> Vec<u64> {
    let retire = |effect: &Effect| {
        let Effect::Retire { runner } = effect else { return None };
        Some(runner.0)
    };
    effects.iter().filter_map(retire).collect()
}

/// A pool, and the shell that starts what it wants at once.
struct Shop {
    hand: Hand,
    spawned: Vec<u64>,
    retired: Vec<u64>,
}

impl Shop {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut shop = Self { hand: Hand::unready(change), spawned: Vec::new(), retired: Vec::new() };
        shop.step(Input::Started);
        shop.step(Input::ManagerFound);
        shop
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut all = Vec::new();
        let mut next = vec![input];
        while let Some(input) = next.pop() {
            let effects = self.hand.step(input);
            for runner in spawned(&effects) {
                self.spawned.push(runner);
                next.push(Input::RunnerReady { runner: RunnerId(runner), takes_prefetch: true });
            }
            for runner in retired(&effects) {
                self.retired.push(runner);
                next.push(Input::RunnerGone { runner: RunnerId(runner), exit: Exit::default() });
            }
            all.extend(effects);
        }
        all
    }

    fn receive(&mut self, session: u8, sequence: u64) -> Vec<Effect> {
        self.step(received(of(session, sequence)))
    }

    /// The runner that has this attempt.
    fn runner(&self, session: u8, sequence: u64) -> RunnerId {
        self.hand.pool.runner_of(attempt(session, sequence)).expect("the attempt runs")
    }

    fn finish(&mut self, session: u8, sequence: u64) -> Vec<Effect> {
        let runner = self.runner(session, sequence);
        let attempt = attempt(session, sequence);
        let mut effects = self.step(Input::RunnerFinished { runner, outcome: outcome_of(attempt) });
        effects.extend(self.step(Input::OutcomesSettled(vec![attempt])));
        effects
    }

    /// Runs one task from beginning to end, and returns its runner.
    fn run(&mut self, session: u8, sequence: u64) -> RunnerId {
        self.receive(session, sequence);
        let runner = self.runner(session, sequence);
        self.finish(session, sequence);
        runner
    }
}

#[test]
fn two_sessions_never_meet_in_a_runner_and_each_finds_its_own_again() {
    let mut shop = Shop::new(|settings| settings.slots = 2);
    let first: Vec<RunnerId> = (1..=4).map(|session| shop.run(session, 1)).collect();
    let again: Vec<RunnerId> = (1..=4).map(|session| shop.run(session, 2)).collect();
    assert_eq!(first, again);
    let mut distinct = first.clone();
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "{first:?}");
}

#[test]
fn child_sessions_share_the_runners_of_their_family() {
    let mut shop = Shop::new(|_| ());
    let runner = shop.run(7, 1);
    let mut child = of(7, 2);
    child.head.id.session = SessionId([7, 7, 7, 7, 7, 7, 7, 7, 9, 9, 9, 9, 9, 9, 9, 9]);
    shop.step(received(child.clone()));
    assert_eq!(shop.hand.pool.runner_of(child.attempt_id()), Some(runner));
}

// kind: sessions and runners | ten sessions take turns on two slots | right | their idle runners serve them and nothing is started
#[test]
fn ten_sessions_that_take_turns_on_two_slots_start_nothing_once_they_are_warm() {
    let mut shop = Shop::new(|settings| settings.slots = 2);
    for round in 0..20 {
        if round == 2 {
            shop.spawned.clear();
            shop.retired.clear();
        }
        for session in (1..=10).step_by(2) {
            shop.receive(session, round);
            shop.receive(session + 1, round);
            shop.finish(session, round);
            shop.finish(session + 1, round);
        }
    }
    assert_eq!((&shop.spawned, &shop.retired), (&vec![], &vec![]));
}

#[test]
fn short_tasks_of_more_sessions_than_runners_may_be_idle_do_not_evict_each_other() {
    let mut shop = Shop::new(|settings| {
        settings.slots = 2;
        settings.runners_max = 10;
    });
    // Each session always has a task for each of the two slots.
    for round in 0..20 {
        if round == 4 {
            shop.spawned.clear();
        }
        for session in 1..=8 {
            shop.receive(session, 2 * round);
            shop.receive(session, 2 * round + 1);
            shop.finish(session, 2 * round);
            shop.finish(session, 2 * round + 1);
        }
    }
    assert!(shop.spawned.len() <= 8, "{} starts in 16 rounds of 8 sessions", shop.spawned.len());
}

#[test]
fn the_longest_unused_runner_ends_first_but_the_second_one_of_a_session_before() {
    let mut shop = Shop::new(|settings| settings.runners_max = 3);
    let runners: Vec<u64> = (1..=4).map(|session| shop.run(session, 1).0).collect();
    assert_eq!(shop.retired, runners[..1]);
    // Two runners of the fourth session, since one of its tasks waits.
    shop.receive(4, 2);
    shop.step(Input::AttemptWaits { attempt: attempt(4, 2), waits: true });
    let second = shop.run(4, 3).0;
    assert_eq!(shop.retired, runners[..1], "three are idle");
    shop.finish(4, 2);
    assert_eq!(shop.retired, [runners[0], second], "the other sessions keep their only ones");
}

#[test]
fn idle_runners_end_when_they_hold_more_memory_than_they_may() {
    let mut shop = Shop::new(|settings| settings.runner_memory = 100);
    let runners: Vec<RunnerId> = (1..=5).map(|session| shop.run(session, 1)).collect();
    assert!(shop.retired.is_empty());
    let measured = runners.iter().map(|runner| (*runner, 30)).collect();
    let effects = shop.step(Input::RunnerMemory(measured));
    assert_eq!(retired(&effects), [runners[0].0, runners[1].0]);
}

#[test]
fn a_runner_that_leaves_gets_nothing_more_and_its_flag_stays_here() {
    let mut shop = Shop::new(|_| ());
    let runner = shop.run(1, 1);
    shop.receive(1, 2);
    let mut leaving = outcome_of(attempt(1, 2));
    leaving.head.leaves = true;
    let effects = shop.hand.step(Input::RunnerFinished { runner, outcome: leaving });
    let told = effects.iter().any(|effect| format!("{effect:?}").contains("leaves: true"));
    assert!(!told && reported(&effects) == [Status::Ok], "{effects:?}");
    let effects = shop.hand.step(received(of(1, 3)));
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Hand { runner: other, .. } if *other == runner))
    );
    shop.hand.step(Input::RunnerEnded { runner });
    let exit = Exit { code: Some(0), ..Exit::default() };
    let effects = shop.hand.step(Input::RunnerGone { runner, exit });
    assert_eq!(reported(&effects), []);
}

#[test]
fn what_was_sent_ahead_to_a_runner_that_leaves_runs_in_another_one() {
    let mut shop = Shop::new(|_| ());
    for sequence in 1..20 {
        shop.run(1, sequence);
    }
    shop.receive(1, 100);
    let runner = shop.runner(1, 100);
    assert_eq!(ahead(&shop.receive(1, 101)), [101]);
    let mut leaving = outcome_of(attempt(1, 100));
    leaving.head.leaves = true;
    let effects = shop.step(Input::RunnerFinished { runner, outcome: leaving });
    assert!(effects.contains(&Effect::Retract { runner }), "{effects:?}");
    let effects = shop.step(Input::Retracted { runner, attempts: vec![attempt(1, 101)] });
    assert_eq!((handed(&effects), reported(&effects)), (vec![101], vec![]));
    assert_ne!(shop.runner(1, 101), runner);
}

#[test]
fn nothing_is_sent_ahead_to_the_runner_of_another_session() {
    let mut shop = Shop::new(|_| ());
    for sequence in 1..20 {
        shop.run(1, sequence);
    }
    shop.receive(1, 100);
    assert!(ahead(&shop.receive(2, 1)).is_empty());
    assert_eq!(ahead(&shop.receive(1, 101)), [101], "out of turn, for a moment");
    let mut more = 0;
    while !ahead(&shop.receive(1, 102 + more)).is_empty() {
        more += 1;
        let runner = shop.runner(1, 99 + more);
        shop.step(Input::RunnerFinished { runner, outcome: outcome_of(attempt(1, 99 + more)) });
        assert!(more < 5_000, "the other session has no turn");
    }
}

// kind: failing runners | two kinds whose runners fail by turns | right | each is tried less and less often, commands and others go on
#[test]
fn two_kinds_that_fail_by_turns_are_counted_apart_and_others_go_on() {
    let mut hand = Hand::new(|settings| settings.slots = 2);
    let limited = |memory_mib: u32, sequence: u64| {
        let mut task = of(5, sequence);
        task.head.memory_mib = memory_mib;
        received(task)
    };
    let mut effects = hand.step(limited(1, 1));
    effects.extend(hand.step(limited(2, 2)));
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let mut next = Vec::new();
        for effect in effects {
            // Runners without a limit come up, the others do not.
            let Effect::Spawn { runner, kind, .. } = effect else { continue };
            let exit = Exit { signal: Some(9), ..Exit::default() };
            next.extend(hand.step(match kind.memory_mib {
                0 => Input::RunnerReady { runner, takes_prefetch: false },
                _ => Input::RunnerGone { runner, exit },
            }));
        }
        ended.extend(reported(&next));
        if next.is_empty() {
            let deadline = hand.pool.next_deadline().expect("another try is planned");
            assert!(deadline.0 < 2_000_000, "they wait for ever: {ended:?}");
            hand.now = hand.now.max(deadline);
            next = hand.step(Input::TimePassed);
        }
        effects = next;
    }
    assert_eq!(ended, [Status::Died, Status::Died]);
    assert_eq!(handed(&hand.receive(9)), [9], "others run");
}

#[test]
fn a_task_that_waits_lends_its_slot_and_its_own_tasks_run_there() {
    let mut shop = Shop::new(|_| ());
    shop.receive(1, 1);
    assert!(handed(&shop.receive(1, 2)).is_empty(), "the only slot is taken");
    let effects = shop.step(Input::AttemptWaits { attempt: attempt(1, 1), waits: true });
    assert!(format!("{effects:?}").contains("Lent"), "{effects:?}");
    assert_eq!(handed(&effects), [2]);
    assert_eq!(shop.hand.pool.counts().lent, 1);
    let effects = shop.step(Input::AttemptWaits { attempt: attempt(1, 1), waits: false });
    assert!(format!("{effects:?}").contains("waits: false"), "{effects:?}");
    assert!(handed(&shop.receive(1, 3)).is_empty(), "two run in one slot for a moment");
    shop.finish(1, 2);
    assert!(shop.hand.pool.runner_of(attempt(1, 3)).is_none());
    assert_eq!(handed(&shop.finish(1, 1)), [3]);
}

#[test]
fn what_was_sent_ahead_to_a_task_that_begins_to_wait_is_taken_back_and_runs() {
    let mut shop = Shop::new(|_| ());
    for sequence in 1..20 {
        shop.run(1, sequence);
    }
    shop.receive(1, 100);
    let runner = shop.runner(1, 100);
    assert_eq!(ahead(&shop.receive(1, 101)), [101]);
    let effects = shop.step(Input::AttemptWaits { attempt: attempt(1, 100), waits: true });
    assert!(effects.contains(&Effect::Retract { runner }), "{effects:?}");
    let effects = shop.step(Input::Retracted { runner, attempts: vec![attempt(1, 101)] });
    assert_eq!(handed(&effects), [101]);
}

#[test]
fn one_task_more_than_may_wait_ends_in_words_that_name_the_option() {
    let mut shop = Shop::new(|settings| settings.waiting_max = 2);
    for sequence in 1..=3 {
        shop.receive(1, sequence);
        shop.step(Input::AttemptWaits { attempt: attempt(1, sequence), waits: true });
    }
    assert_eq!(shop.hand.pool.counts().lent, 2);
    let runner = shop.runner(1, 3);
    let effects = shop.step(Input::RunnerGone { runner, exit: Exit::default() });
    assert_eq!(reported(&effects), [Status::Died]);
    let told = format!("{effects:?}");
    assert!(told.contains("2 tasks do that on worker w already") && told.contains("--waiting-max"), "{told}");
}

#[test]
fn lent_slots_are_told_to_the_next_manager_again() {
    let mut shop = Shop::new(|_| ());
    shop.receive(1, 1);
    shop.step(Input::AttemptWaits { attempt: attempt(1, 1), waits: true });
    shop.step(Input::ManagerLost);
    let effects = shop.step(Input::ManagerFound);
    assert!(format!("{effects:?}").contains("Lent"), "{effects:?}");
    shop.step(Input::StopReceived(vec![attempt(1, 1)]));
    let runner = shop.runner(1, 1);
    let effects = shop.step(Input::RunnerGone { runner, exit: Exit::default() });
    assert_eq!((returned(&effects), shop.hand.pool.counts().lent), (vec![attempt(1, 1)], 0));
}

#[test]
fn captured_commands_lend_their_slots_too() {
    let mut hand = Hand::new(|settings| settings.runtimes.push(argon_proto::Runtime::Exec));
    let command = |sequence| {
        let mut task = of(1, sequence);
        task.head.runtime = argon_proto::Runtime::Exec;
        task.head.flags = Flags::CAPTURE;
        task
    };
    let executed = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Execute { .. }));
    assert!(executed(&hand.step(received(command(1)))));
    assert!(!executed(&hand.step(received(command(2)))));
    assert!(executed(&hand.step(Input::AttemptWaits { attempt: attempt(1, 1), waits: true })));
}
