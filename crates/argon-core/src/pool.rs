//! The worker's state machine: which runner gets which attempt, and what it reports to the manager.
//!
//! Driven like the scheduler: [`Machine::step`] takes one fact and appends effects. The shell owns processes, pipes and
//! the connection; it starts a runner on [`Effect::Spawn`], hands it a task on [`Effect::Hand`], starts a
//! command on [`Effect::Execute`], and reports the end of each.
//!
//! Attempts that were not started wait in arrival order by priority. Outcomes are kept until the manager settles them, across
//! any loss of the connection.

mod effect;
mod environment;
mod environments;
mod health;
mod input;
mod key;
mod kind;
mod lend;
mod on_manager;
mod on_runner;
mod prefetch;
mod report;
mod runner;
mod runners;
mod spares;
mod start;
mod supply;
mod templates;
mod unsettled;

use std::collections::VecDeque;
use std::time::Duration;

use argon_proto::conversation::worker::Held;
use argon_proto::{AttemptId, AttemptToken, Runtime, Task};
use rustc_hash::FxHashMap;

use crate::Machine;
use crate::time::Time;

pub use argon_proto::RunnerId;
pub use effect::{Effect, Signal};
pub use environment::{Environment, EnvironmentFound, EnvironmentId};
pub use environments::ENVIRONMENTS_MAX;
pub use input::{Blame, Exit, Input};
pub use kind::{Program, RunnerKey, RunnerKind, STATIC_ADVICE, TemplateKey, Version};
pub use templates::TemplateState;

use environments::Environments;
use health::StartHealth;
use runner::{Runner, RunnerState};
use runners::Runners;
use templates::Template;
use unsettled::Unsettled;

/// Bounds and choices of a worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The worker's name, for reports.
    pub name: String,
    /// Its host, for reports.
    pub host: String,
    /// Number of tasks that it runs at once; at least 1.
    pub slots: usize,
    /// Runtimes that it has; some runners of the first interpreter among them are kept ready.
    pub runtimes: Vec<Runtime>,
    /// Its Python interpreters; the first is the default. More may be found later.
    pub pythons: Vec<Version>,
    /// Number of tasks after which a runner is replaced; 0 for never.
    pub max_requests: u64,
    /// Time limit for tasks that bring none, milliseconds; 0 for none.
    pub default_timeout_ms: u32,
    /// Between TERM and KILL.
    pub term_grace: Duration,
    /// Silence after which the manager has given this worker up: nothing starts until the next message.
    pub lease: Duration,
    /// Bytes of outcomes that may wait to be settled before no more tasks are started.
    pub unsettled_bytes: u64,
    /// True if runners of interpreters are forked from templates.
    pub has_templates: bool,
    /// Idle runners that are kept at most.
    pub runners_max: usize,
    /// Memory of all idle runners at most, bytes.
    pub runner_memory: u64,
    /// Attempts that may wait for their own tasks at once; one more ends as died.
    pub waiting_max: usize,
}

impl Settings {
    /// Default number of idle runners of a worker with `slots` slots.
    #[must_use]
    pub fn default_runners_max(slots: usize) -> usize {
        slots.saturating_mul(8).max(16)
    }

    /// Default number of waiting attempts of a worker with `slots` slots.
    #[must_use]
    pub fn default_waiting_max(slots: usize) -> usize {
        slots.saturating_mul(64)
    }

    /// Time limit of an attempt of this task.
    fn limit_of(&self, task: &Task) -> Option<Duration> {
        let limit_ms = match task.head.timeout_ms {
            0 => self.default_timeout_ms,
            own => own,
        };
        (limit_ms > 0).then(|| Duration::from_millis(u64::from(limit_ms)))
    }
}

/// Numbers of slots, runners and attempts of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolCounts {
    /// Slots.
    pub slots: usize,
    /// Attempts that run, those that lend their slots included.
    pub running: usize,
    /// Attempts that wait for tasks of their own, and lend their slots.
    pub lent: usize,
    /// Runners that are starting.
    pub starting: usize,
    /// Runners that wait for a task.
    pub idle: usize,
    /// Attempts that have not started, prefetched ones included.
    pub waiting: usize,
    /// Outcomes that the manager has not settled.
    pub unsettled: usize,
}

/// An attempt that has not started.
#[derive(Debug)]
struct WaitingAttempt {
    key: RunnerKey,
    task: Task,
    since: Time,
}

/// The pool. All state is private and changes through [`Machine::step`] only.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    runners: Runners,
    /// The runner that was started last.
    last_runner: RunnerId,
    templates: Vec<Template>,
    environments: Environments,
    /// Kinds of runners whose last start failed.
    health: Vec<StartHealth>,
    /// Memory of a runner that has served nobody, bytes.
    spare_memory: u64,
    /// True if spares may be missing for another reason than that runners came or went.
    must_look_at_spares: bool,
    /// True if idle runners were measured since the bounds were looked at.
    memory_is_news: bool,
    /// Attempts that have not started, by priority.
    waiting: [VecDeque<WaitingAttempt>; 3],
    /// Every attempt that is here in any form, with the token that the manager gave with it.
    known: FxHashMap<AttemptId, AttemptToken>,
    /// Outcomes that the manager has not settled.
    unsettled: Unsettled,
    /// Attempts that the manager wants back, once it is known which of those in runners have not started.
    retract_owed: Option<u32>,
    is_linked: bool,
    last_heard: Time,
    last_step: Time,
    is_draining: bool,
    /// True while the machine has less left than the worker's limits ask for.
    is_machine_busy: bool,
    has_left: bool,
}

impl Pool {
    /// A pool without runners.
    #[must_use]
    pub fn new(now: Time, mut settings: Settings) -> Self {
        settings.slots = settings.slots.max(1);
        Self {
            settings,
            runners: Runners::default(),
            last_runner: RunnerId::default(),
            templates: Vec::new(),
            environments: Environments::default(),
            health: Vec::new(),
            spare_memory: 0,
            must_look_at_spares: true,
            memory_is_news: false,
            waiting: Default::default(),
            known: FxHashMap::default(),
            unsettled: Unsettled::default(),
            retract_owed: None,
            is_linked: false,
            last_heard: now,
            last_step: now,
            is_draining: false,
            is_machine_busy: false,
            has_left: false,
        }
    }

    /// Every attempt that is here: waiting, running or finished and not settled. What HELD lists.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let token = |attempt| self.token_of(attempt).unwrap_or_default();
        self.attempts().map(|attempt| Held { attempt, token: token(attempt) }).collect()
    }

    /// Token of an attempt that is here.
    #[must_use]
    pub fn token_of(&self, attempt: AttemptId) -> Option<AttemptToken> {
        self.known.get(&attempt).copied()
    }

    fn attempts(&self) -> impl Iterator<Item = AttemptId> + '_ {
        let waiting = self.waiting.iter().flatten().map(|waiting| attempt_of(&waiting.task));
        let running = self.runners.iter().flat_map(Runner::tasks).map(attempt_of);
        waiting.chain(running).chain(self.unsettled.attempts())
    }

    /// Every task that waits or runs here: whose blobs are still wanted.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        let waiting = self.waiting.iter().flatten().map(|waiting| &waiting.task);
        waiting.chain(self.runners.iter().flat_map(Runner::tasks))
    }

    /// The runner that has an attempt, now or next.
    #[must_use]
    pub fn runner_of(&self, attempt: AttemptId) -> Option<RunnerId> {
        self.runners.iter().find(|runner| runner.has(attempt)).map(|runner| runner.id)
    }

    /// Present numbers of the pool. Costs time in proportion to the slots.
    #[must_use]
    pub fn counts(&self) -> PoolCounts {
        let mut counts = PoolCounts {
            slots: self.settings.slots,
            waiting: self.waiting_len(),
            unsettled: self.unsettled.len(),
            ..PoolCounts::default()
        };
        for runner in self.runners.iter() {
            counts.waiting += runner.prefetched.len();
            match &runner.state {
                RunnerState::Starting => counts.starting += 1,
                RunnerState::Idle => counts.idle += 1,
                RunnerState::Busy(run) | RunnerState::Ending { run, .. } => {
                    counts.running += 1;
                    counts.lent += usize::from(run.waits);
                }
                RunnerState::Retiring => {}
            }
        }
        counts
    }

    fn on_pythons_found(&mut self, versions: Vec<Version>) {
        if !versions.is_empty() && !self.settings.runtimes.contains(&Runtime::Python) {
            self.settings.runtimes.push(Runtime::Python);
        }
        self.settings.pythons = versions;
        self.forget_memo();
    }

    fn waiting_len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    fn leave_if_done(&mut self, out: &mut Vec<Effect>) {
        let is_done = self.is_draining
            && self.waiting_len() == 0
            && self.runners.iter().all(|runner| runner.tasks().next().is_none())
            // Without a manager, too: it may be back soon, and what only this worker knows would be lost for ever.
            && self.unsettled.is_empty();
        if is_done && !self.has_left {
            self.has_left = true;
            let alive = self.runners.iter().filter(|runner| !runner.is_leaving());
            out.extend(alive.map(|runner| Effect::Retire { runner: runner.id }));
            self.end_templates(out);
            out.push(Effect::Leave);
        }
    }
}

impl Machine for Pool {
    type Input = Input;
    type Output = Vec<Effect>;

    fn step(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        self.last_step = now;
        match input {
            Input::Started => {}
            Input::ManagerFound => self.on_manager_found(now, out),
            Input::ManagerHeard => self.last_heard = now,
            Input::ManagerLost => self.on_manager_lost(out),
            Input::TaskReceived(run) => self.on_task_received(now, run, out),
            Input::StopReceived(attempts) => self.on_stop_received(now, &attempts, out),
            Input::RetractRequested(count) => self.on_retract_requested(count, out),
            Input::OutcomesSettled(attempts) => self.on_outcomes_settled(&attempts),
            Input::DrainRequested(reason) => self.on_drain_requested(&reason, out),
            Input::MachineBusy(is_busy) => self.on_machine_busy(is_busy, out),
            Input::RunnerReady { runner, takes_prefetch } => {
                self.on_runner_ready(runner, takes_prefetch, out)
            }
            Input::RunnerFinished { runner, outcome } => self.on_runner_finished(now, runner, outcome, out),
            Input::Retracted { runner, attempts } => self.on_retracted(now, runner, &attempts, out),
            Input::RunnerEnded { runner } => self.on_runner_ended(runner),
            Input::RunnerGone { runner, exit } => self.on_runner_gone(now, runner, exit, out),
            Input::SpawnFailed { runner, why, blame } => {
                self.on_spawn_failed(now, runner, why, blame, out);
            }
            Input::EnvironmentFound { id, found } => self.on_environment_found(now, id, found, out),
            Input::PythonsFound(versions) => self.on_pythons_found(versions),
            Input::TemplateReady { key } => self.on_template_ready(key),
            Input::TemplateEnded { key, why } => self.on_template_ended(now, key, why, out),
            Input::AttemptWaits { attempt, waits } => self.on_attempt_waits(now, attempt, waits, out),
            Input::RunnerMemory(measured) => self.on_runner_memory(&measured),
            Input::TimePassed => {}
        }
        self.on_time_passed(now, out);
        self.give_back_while_busy(out);
        self.start_waiting(now, out);
        self.prefetch(now, out);
        self.retire_surplus(out);
        self.keep_ready(now, out);
        self.leave_if_done(out);
    }

    fn next_deadline(&self) -> Option<Time> {
        let runs = self.runners.busy().filter_map(Runner::deadline);
        runs.chain(self.health_deadline()).chain(self.template_deadline()).chain(self.supply_deadline()).min()
    }

    fn assert_invariants(&self) {
        let held: Vec<AttemptId> = self.attempts().collect();
        let mut distinct = held.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(held.len(), distinct.len(), "an attempt is held twice");
        assert_eq!(held.len(), self.known.len(), "the set of known attempts is stale");
        self.unsettled.assert_invariants();
        self.runners.assert_invariants();
        let most = self.settings.runners_max;
        assert!(self.has_left || self.runners.idle_len() <= most, "more than {most} runners are idle");
    }
}

fn attempt_of(task: &Task) -> AttemptId {
    AttemptId { task: task.head.id, attempt: task.head.attempt }
}
