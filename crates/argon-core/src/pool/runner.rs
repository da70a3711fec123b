//! A runner: a process that executes tasks of one family of sessions. A command counts as one while it runs.

use std::collections::VecDeque;

use argon_proto::{AttemptId, Family, RunnerId, Task};

use super::attempt_of;
use super::kind::{RunnerKey, RunnerKind};
use crate::estimate::RunTimeEstimate;
use crate::time::Time;

/// One runner.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) id: RunnerId,
    pub(super) kind: RunnerKind,
    /// The sessions that it serves; none before its first task, which decides.
    pub(super) family: Option<Family>,
    pub(super) state: RunnerState,
    /// True if it was forked from a template.
    pub(super) is_forked: bool,
    /// When it was started.
    pub(super) started: Time,
    /// Tasks that it has finished.
    pub(super) served: u64,
    /// Its process has ended, and what it wrote is still being read.
    pub(super) has_ended: bool,
    /// True if it takes a task before it has finished the previous one.
    pub(super) takes_prefetch: bool,
    /// Tasks that it was sent beyond its run, in the order in which it will claim them.
    pub(super) prefetched: VecDeque<TaskRun>,
    /// Expected run time of its next task.
    pub(super) run_time: RunTimeEstimate,
    /// State of the request for its unclaimed tasks, during this run.
    pub(super) retract: RetractState,
    /// The run is to be ended when it is known that it is still running.
    pub(super) end_asked: Option<KillReason>,
    /// Work that it was sent ahead of others since it was idle, microseconds.
    pub(super) turn_us: u64,
    /// Memory when it was measured last, bytes.
    pub(super) memory: u64,
}

/// Activity of a runner.
#[derive(Debug)]
pub(super) enum RunnerState {
    /// Starting; not ready yet.
    Starting,
    /// Ready for a task.
    Idle,
    /// Executes a task.
    Busy(Box<TaskRun>),
    /// Was told to end because of its task.
    Ending { run: Box<TaskRun>, why: KillReason, kill_at: Option<Time> },
    /// Ends by itself, or was told to end while it was idle.
    Retiring,
}

/// A task in a runner.
#[derive(Debug)]
pub(super) struct TaskRun {
    pub(super) task: Task,
    pub(super) since: Time,
    pub(super) until: Option<Time>,
    /// True if no one wants its outcome.
    pub(super) is_stopped: bool,
    /// True while it waits for tasks of its own and lends its slot.
    pub(super) waits: bool,
}

/// State of the request for the unclaimed tasks of a runner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum RetractState {
    #[default]
    NotAsked,
    Asked,
    /// The runner has claimed the tasks that are still prefetched: its run has ended, and the outcome is on its way.
    Answered,
}

/// Why a running task is being ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KillReason {
    Timeout,
    Stopped,
    /// More attempts wait for their own tasks than may.
    TooManyWait,
}

impl TaskRun {
    pub(super) fn new(task: Task, now: Time) -> Self {
        Self { task, since: now, until: None, is_stopped: false, waits: false }
    }

    pub(super) fn attempt(&self) -> AttemptId {
        attempt_of(&self.task)
    }
}

impl Runner {
    pub(super) fn new(id: RunnerId, kind: RunnerKind, family: Option<Family>, state: RunnerState) -> Self {
        Self {
            id,
            kind,
            family,
            state,
            is_forked: false,
            started: Time(0),
            served: 0,
            has_ended: false,
            takes_prefetch: false,
            prefetched: VecDeque::new(),
            run_time: RunTimeEstimate::UNKNOWN,
            retract: RetractState::default(),
            end_asked: None,
            turn_us: 0,
            memory: 0,
        }
    }

    /// True if it serves tasks of this key, or could.
    pub(super) fn suits(&self, key: RunnerKey) -> bool {
        self.kind == key.kind && self.family.is_none_or(|family| family == key.family)
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, RunnerState::Idle)
    }

    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state, RunnerState::Starting)
    }

    /// True if it ends, or has.
    pub(super) fn is_leaving(&self) -> bool {
        self.has_ended || matches!(self.state, RunnerState::Retiring)
    }

    /// True if it executes a command, or did.
    pub(super) fn is_command(&self) -> bool {
        !self.kind.has_runner()
    }

    /// Its run, also if that is being ended.
    pub(super) fn run(&self) -> Option<&TaskRun> {
        match &self.state {
            RunnerState::Busy(run) | RunnerState::Ending { run, .. } => Some(run),
            RunnerState::Starting | RunnerState::Idle | RunnerState::Retiring => None,
        }
    }

    /// Its run if that waits for tasks of its own.
    pub(super) fn lent_run(&self) -> Option<&TaskRun> {
        self.run().filter(|run| run.waits)
    }

    /// True if its run takes a slot.
    pub(super) fn takes_slot(&self) -> bool {
        self.run().is_some_and(|run| !run.waits)
    }

    /// All tasks that it has.
    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.run().into_iter().chain(&self.prefetched).map(|run| &run.task)
    }

    /// True if it has this attempt, now or next.
    pub(super) fn has(&self, attempt: AttemptId) -> bool {
        self.tasks().any(|task| attempt_of(task) == attempt)
    }

    /// When something is to be done about it.
    pub(super) fn deadline(&self) -> Option<Time> {
        match &self.state {
            RunnerState::Busy(run) => run.until.into_iter().chain(self.retract_at()).min(),
            RunnerState::Ending { kill_at, .. } => *kill_at,
            RunnerState::Starting | RunnerState::Idle | RunnerState::Retiring => None,
        }
    }
}
