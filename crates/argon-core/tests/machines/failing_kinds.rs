//! Kinds of runners that fail at their start beside honest tasks, as a world sees it that answers every start in time.

use std::collections::BTreeMap;
use std::time::Duration;

use argon_core::pool::{Blame, Effect, Exit, Input, RunnerKind, Settings, TemplateState, Version};
use argon_core::{Machine, Time};
use argon_proto::conversation::worker::FromWorker;
use argon_proto::{
    BlobHash, Codec, Outcome, OutcomeHead, Report, RunnerId, Runtime, SessionId, Status, Task, TaskHead,
};
use bytes::Bytes;

use crate::hand::{Hand, received, task};

/// Time that a runner takes to come up or to fail, and a task to run.
const MOMENT: Duration = Duration::from_millis(10);
/// Time that an honest task may wait for a free slot.
const SOON: Duration = Duration::from_secs(1);

/// Result of a start.
type Comes = fn(RunnerKind) -> Start;

#[derive(Clone, Copy)]
enum Start {
    Up,
    Fails,
    Hangs,
}

/// A pool, and the processes that it has started.
struct World {
    hand: Hand,
    comes: Comes,
    due: BTreeMap<(Time, u64), (RunnerId, Happens)>,
    events: u64,
    next: u64,
    /// When each task was received, by its number.
    received: BTreeMap<u64, Time>,
    /// Time that each task waited to start.
    waited: BTreeMap<u64, Duration>,
    ended: BTreeMap<u64, (Status, String)>,
    returned: Vec<u64>,
    starts: usize,
}

enum Happens {
    Ready,
    Fails,
    Finishes(Task),
}

impl World {
    fn new(slots: usize, comes: Comes) -> Self {
        Self::with(slots, comes, |_| ())
    }

    fn with(slots: usize, comes: Comes, change: impl FnOnce(&mut Settings)) -> Self {
        let hand = Hand::unready(|settings: &mut Settings| {
            settings.slots = slots;
            settings.runners_max = Settings::default_runners_max(slots);
            settings.runtimes = Runtime::ALL.map(|(runtime, _)| runtime).to_vec();
            settings.pythons = vec![Version { major: 3, minor: 11 }];
            change(settings);
        });
        let mut world = Self {
            hand,
            comes,
            due: BTreeMap::new(),
            events: 0,
            next: 0,
            received: BTreeMap::new(),
            waited: BTreeMap::new(),
            ended: BTreeMap::new(),
            returned: Vec::new(),
            starts: 0,
        };
        world.step(Input::Started);
        world.step(Input::ManagerFound);
        world.pass(SOON);
        world
    }

    fn step(&mut self, input: Input) {
        let effects = self.hand.step(input);
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { runner, kind, .. } => {
                self.starts += 1;
                match (self.comes)(kind) {
                    Start::Up => self.after(runner, Happens::Ready),
                    Start::Fails => self.after(runner, Happens::Fails),
                    Start::Hangs => {}
                }
            }
            Effect::StartTemplate { key } => self.step(Input::TemplateReady { key }),
            Effect::Hand { runner, task } | Effect::Execute { runner, task } => {
                let number = task.head.id.sequence;
                self.waited.insert(number, self.hand.now.since(self.received[&number]));
                self.after(runner, Happens::Finishes(task));
            }
            Effect::Tell(FromWorker::Outcome(outcome)) => {
                let message = Report::from_json(&outcome.report).message;
                self.ended.insert(outcome.head.id.sequence, (outcome.head.status, message));
            }
            Effect::Tell(FromWorker::Returned(attempts)) => {
                self.returned.extend(attempts.iter().map(|attempt| attempt.task.sequence));
            }
            Effect::EndTemplate { .. }
            | Effect::FindEnvironment { .. }
            | Effect::ForgetEnvironment { .. }
            | Effect::ReportFallback { .. }
            | Effect::Prefetch { .. }
            | Effect::Retract { .. }
            | Effect::Retire { .. }
            | Effect::Signal { .. }
            | Effect::Tell(_)
            | Effect::Leave => {}
        }
    }

    fn after(&mut self, runner: RunnerId, happens: Happens) {
        self.events += 1;
        self.due.insert((self.hand.now + MOMENT, self.events), (runner, happens));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.hand.now + time;
        loop {
            let event = self.due.first_key_value().map(|((at, _), _)| *at);
            let timer = self.hand.pool.next_deadline();
            let Some(next) = event.into_iter().chain(timer).min().filter(|next| *next <= until) else {
                break;
            };
            self.hand.now = self.hand.now.max(next);
            self.step(Input::ManagerHeard);
            if let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= self.hand.now) {
                let (runner, happens) = entry.remove();
                self.happen(runner, happens);
            } else {
                self.step(Input::TimePassed);
            }
        }
        self.hand.now = until;
        self.step(Input::TimePassed);
    }

    fn happen(&mut self, runner: RunnerId, happens: Happens) {
        let code = |code| Exit { code: Some(code), ..Exit::default() };
        match happens {
            Happens::Ready => self.step(Input::RunnerReady { runner, takes_prefetch: false }),
            Happens::Fails => self.step(Input::RunnerGone { runner, exit: code(1) }),
            Happens::Finishes(task) if task.head.runtime == Runtime::Exec => {
                self.step(Input::RunnerGone { runner, exit: code(0) });
            }
            Happens::Finishes(task) => {
                let TaskHead { id, attempt, .. } = task.head;
                let status = Status::Ok;
                let head = OutcomeHead { id, attempt, status, codec: Codec::Own, run_us: 1, leaves: false };
                let outcome = Outcome { head, report: Bytes::new(), payload: Vec::new().into() };
                self.step(Input::RunnerFinished { runner, outcome });
            }
        }
    }

    fn receive(&mut self, change: impl FnOnce(&mut Task)) -> u64 {
        self.next += 1;
        let mut task = task(self.next);
        change(&mut task);
        self.received.insert(self.next, self.hand.now);
        self.step(received(task));
        self.next
    }

    fn receive_limited(&mut self, runtime: Runtime, memory_mib: u32) -> u64 {
        self.receive(|task| {
            task.head.runtime = runtime;
            task.head.memory_mib = memory_mib;
            task.head.id.session = SessionId([runtime.to_byte(); 16]);
        })
    }

    fn receive_command(&mut self) -> u64 {
        self.receive(|task| task.head.runtime = Runtime::Exec)
    }

    fn receive_native(&mut self, executable: u8) -> u64 {
        self.receive(|task| {
            let head = TaskHead { runtime: Runtime::Native, ..task.head.clone() };
            *task = Task::new(head, [BlobHash([executable; 32])], Bytes::new(), Vec::new().into());
        })
    }

    fn settle_all(&mut self) {
        let attempts = self.ended.keys().map(|number| crate::hand::id(*number)).collect();
        self.step(Input::OutcomesSettled(attempts));
    }
}

fn limits_fail(kind: RunnerKind) -> Start {
    if (1..16).contains(&kind.memory_mib) { Start::Fails } else { Start::Up }
}

#[test]
fn two_kinds_that_fail_at_once_end_in_words_and_commands_are_served_beside_them() {
    let mut world = World::new(2, limits_fail);
    let starts_before = world.starts;
    let limited = [world.receive_limited(Runtime::Perl, 1), world.receive_limited(Runtime::Python, 2)];
    for _ in 0..20 {
        let command = world.receive_command();
        world.pass(SOON / 2);
        assert!(world.waited[&command] <= MOMENT * 2, "{:?}", world.waited);
    }
    for number in limited {
        let (status, message) = world.ended.get(&number).expect("it does not wait for ever");
        assert_eq!(*status, Status::Died);
        assert!(message.contains("no ") && message.contains("give it more"), "{message}");
    }
    assert!(world.starts - starts_before < 20, "{} starts in ten seconds", world.starts - starts_before);
}

#[test]
fn clients_that_never_stop_sending_what_fails_cost_commands_and_other_interpreters_no_second() {
    for ahead in [1, 30] {
        let mut world = World::new(2, limits_fail);
        let mut honest = Vec::new();
        for round in 0..24_u32 {
            for number in 0..ahead {
                let memory = 1 + (round + number) % 15;
                world.receive_limited(Runtime::Perl, memory);
                world.receive_limited(Runtime::Python, memory);
            }
            honest.push(world.receive_command());
            honest.push(world.receive_limited(Runtime::Perl, 64));
            honest.push(world.receive(|_| ()));
            world.pass(SOON / 4);
            world.settle_all();
        }
        world.pass(SOON);
        for number in honest {
            let waited = world.waited.get(&number).copied();
            assert!(waited.is_some_and(|waited| waited < SOON), "{ahead} ahead: task {number} {waited:?}");
        }
        // Thirty kinds fail, each in growing pauses.
        assert!(world.starts < 600, "{} starts in seven seconds", world.starts);
    }
}

#[test]
fn a_limit_that_fails_in_forks_does_not_cost_others_their_template() {
    let mut world = World::with(2, limits_fail, |settings| settings.has_templates = true);
    for memory in 1..=10 {
        world.receive_limited(Runtime::Perl, memory);
        world.pass(SOON * 2);
    }
    assert_eq!(world.ended.len(), 10, "each ends in words");
    let states: Vec<_> = world.hand.pool.templates().map(|(_, state)| state).collect();
    assert_eq!(states, [TemplateState::Ready]);
}

#[test]
fn a_limit_is_not_to_blame_where_no_interpreter_comes_up_and_others_get_the_task() {
    fn nothing_comes(kind: RunnerKind) -> Start {
        if kind.runtime == Runtime::Exec { Start::Up } else { Start::Fails }
    }
    let mut world = World::new(2, nothing_comes);
    let limited = [world.receive_limited(Runtime::Perl, 64), world.receive_limited(Runtime::Python, 64)];
    let command = world.receive_command();
    world.pass(SOON * 20);
    assert!(world.waited[&command] < SOON);
    for number in limited {
        assert!(world.returned.contains(&number), "{:?} {:?}", world.returned, world.ended);
        assert_eq!(world.ended.get(&number), None);
    }
}

#[test]
fn a_kind_whose_wait_is_over_is_tried_again_when_its_last_runner_is_gone() {
    let mut hand = Hand::new(|settings| settings.slots = 2);
    let limited = |sequence| {
        let mut task = task(sequence);
        task.head.memory_mib = 64;
        received(task)
    };
    let spawned = |effects: &[Effect]| {
        let runner = |effect: &Effect| {
            let Effect::Spawn { runner, kind, .. } = effect else { return None };
            (kind.memory_mib == 64).then_some(*runner)
        };
        effects.iter().find_map(runner)
    };
    let runner = spawned(&hand.step(limited(1))).expect("a runner of its own");
    hand.step(Input::RunnerReady { runner, takes_prefetch: false });
    let second = spawned(&hand.step(limited(2))).expect("another one");
    hand.step(Input::SpawnFailed { runner: second, why: "no process".to_owned(), blame: Blame::Machine });
    // No slot is free when the wait for the next start is over.
    hand.receive(3);
    hand.after(Duration::from_millis(60));
    for sequence in [1, 2] {
        hand.step(Input::RunnerFinished { runner, outcome: crate::hand::outcome(sequence) });
    }
    let exit = Exit { signal: Some(9), ..Exit::default() };
    hand.step(Input::RunnerGone { runner, exit });
    let effects = hand.step(limited(4));
    assert_eq!((crate::hand::returned(&effects), spawned(&effects).is_some()), (Vec::new(), true));
}

#[test]
fn programs_that_hang_at_their_start_keep_no_others_from_starting() {
    fn native_hangs(kind: RunnerKind) -> Start {
        if kind.runtime == Runtime::Native { Start::Hangs } else { Start::Up }
    }
    let mut world = World::new(2, native_hangs);
    for executable in 1..=8 {
        world.receive_native(executable);
    }
    let python = world.receive_limited(Runtime::Python, 64);
    let command = world.receive_command();
    world.pass(SOON * 3);
    assert!(world.waited[&command] < SOON, "{:?}", world.waited);
    let waited = world.waited.get(&python).copied();
    assert!(waited.is_some_and(|waited| waited < SOON * 3), "{waited:?}");
}
