//! A pool in the hand: facts go in, effects come out, and the invariants are asked after each step.

use std::time::Duration;

use argon_core::pool::{Effect, Exit, Input, Pool, RunnerId, Settings};
use argon_core::{Machine, Time};
use argon_proto::conversation::worker::{FromWorker, Run};
use argon_proto::{
    Attempt, AttemptId, AttemptToken, Codec, Outcome, OutcomeHead, Runtime, SessionId, Status, Task,
    TaskHead, TaskId,
};
use bytes::Bytes;

/// A pool and its clock.
pub(crate) struct Hand {
    pub(crate) pool: Pool,
    pub(crate) now: Time,
}

impl Hand {
    /// A pool without any input.
    pub(crate) fn unready(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            name: "w".to_owned(),
            host: "host".to_owned(),
            slots: 1,
            runtimes: vec![Runtime::Perl],
            pythons: Vec::new(),
            max_requests: 0,
            default_timeout_ms: 0,
            term_grace: Duration::from_secs(2),
            lease: Duration::from_secs(15),
            unsettled_bytes: 1 << 20,
            has_templates: false,
            runners_max: Settings::default_runners_max(1),
            runner_memory: u64::MAX,
            waiting_max: Settings::default_waiting_max(1),
        };
        change(&mut settings);
        Self { pool: Pool::new(Time(0), settings), now: Time(0) }
    }

    /// A pool whose runners are ready and whose manager is found.
    pub(crate) fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut hand = Self::unready(change);
        let slots = hand.pool.counts().slots;
        hand.step(Input::Started);
        hand.step(Input::ManagerFound);
        (1..=slots as u64).for_each(|runner| drop(hand.ready(runner)));
        hand
    }

    pub(crate) fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.pool.step(self.now, input, &mut out);
        self.pool.assert_invariants();
        out
    }

    pub(crate) fn after(&mut self, time: Duration) -> Vec<Effect> {
        self.now = self.now + time;
        self.step(Input::TimePassed)
    }

    pub(crate) fn ready(&mut self, runner: u64) -> Vec<Effect> {
        self.step(Input::RunnerReady { runner: RunnerId(runner), takes_prefetch: false })
    }

    pub(crate) fn gone(&mut self, runner: u64) -> Vec<Effect> {
        let exit = Exit { signal: Some(9), ..Exit::default() };
        self.step(Input::RunnerGone { runner: RunnerId(runner), exit })
    }

    pub(crate) fn finish(&mut self, sequence: u64) -> Vec<Effect> {
        let outcome = outcome(sequence);
        self.step(Input::RunnerFinished { runner: RunnerId(1), outcome })
    }

    pub(crate) fn receive(&mut self, sequence: u64) -> Vec<Effect> {
        self.step(received(task(sequence)))
    }
}

pub(crate) fn id(sequence: u64) -> AttemptId {
    AttemptId { task: TaskId { session: SessionId([1; 16]), sequence }, attempt: Attempt(1) }
}

/// The manager hands a task over.
pub(crate) fn received(task: Task) -> Input {
    Input::TaskReceived(Run { token: AttemptToken(task.head.id.sequence), task })
}

/// Attempts that a pool holds.
pub(crate) fn held(pool: &Pool) -> Vec<AttemptId> {
    pool.held().iter().map(|held| held.attempt).collect()
}

pub(crate) fn task(sequence: u64) -> Task {
    let head = TaskHead { attempt: Attempt(1), ..TaskHead::new(id(sequence).task, Runtime::Perl) };
    Task::new(head, [], Bytes::new(), Vec::new().into())
}

pub(crate) fn outcome(sequence: u64) -> Outcome {
    let AttemptId { task: id, attempt } = id(sequence);
    Outcome {
        head: OutcomeHead { id, attempt, status: Status::Ok, codec: Codec::Own, run_us: 1, leaves: false },
        report: Bytes::new(),
        payload: vec![0; 100].into(),
    }
}

pub(crate) fn handed(effects: &[Effect]) -> Vec<u64> {
    let sequence = |effect: &Effect| {
        let Effect::Hand { task, .. } = effect else { return None };
        Some(task.head.id.sequence)
    };
    effects.iter().filter_map(sequence).collect()
}

pub(crate) fn ahead(effects: &[Effect]) -> Vec<u64> {
    let sequence = |effect: &Effect| {
        let Effect::Prefetch { task, .. } = effect else { return None };
        Some(task.head.id.sequence)
    };
    effects.iter().filter_map(sequence).collect()
}

pub(crate) fn reported(effects: &[Effect]) -> Vec<Status> {
    let status = |effect: &Effect| {
        let Effect::Tell(FromWorker::Outcome(outcome)) = effect else { return None };
        Some(outcome.head.status)
    };
    effects.iter().filter_map(status).collect()
}

pub(crate) fn returned(effects: &[Effect]) -> Vec<AttemptId> {
    let attempts = |effect: &Effect| {
        let Effect::Tell(FromWorker::Returned(attempts)) = effect else { return None };
        Some(attempts.clone())
    };
    effects.iter().filter_map(attempts).flatten().collect()
}
