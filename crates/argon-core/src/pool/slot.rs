//! A slot: a place for one running task, and the runner in it.

use std::collections::VecDeque;

use argon_proto::{AttemptId, RunnerId, Runtime, Task};

use super::attempt_of;
use super::kind::RunnerKind;
use crate::time::Time;

/// What a new runner's tasks are taken to last until some have ended, microseconds.
pub(super) const UNKNOWN_US: u64 = 40_000;

/// A slot's number, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SlotId(pub(super) usize);

/// One slot.
#[derive(Debug)]
pub(super) struct Slot {
    /// The runner in it, or the last one that was.
    pub(super) runner: RunnerId,
    pub(super) state: SlotState,
    /// Runners in a row that ended before they were ready.
    pub(super) failures: u32,
    /// Its runner's process has ended, and is not gone yet.
    pub(super) has_ended: bool,
    /// Its runner can be handed tasks ahead.
    pub(super) takes_prefetch: bool,
    /// What the runner was handed beyond its run, in the order in which it will claim it.
    pub(super) prefetched: VecDeque<TaskRun>,
    /// How long its tasks run, microseconds: quicker to follow when they grow longer.
    pub(super) run_us: u64,
    /// Whether the runner was asked for what it has not claimed, during this run.
    pub(super) retract: RetractState,
    /// The run is to be ended when it is known that it is still running.
    pub(super) end_asked: Option<KillReason>,
}

/// What goes on in a slot.
#[derive(Debug)]
pub(super) enum SlotState {
    /// No runner; if the last one did not come up, none is started before that time.
    Empty { not_before: Option<Time> },
    /// A runner is starting.
    Starting { kind: RunnerKind },
    /// A runner waits for a task; or nothing does, for a command.
    Idle { kind: RunnerKind, served: u64 },
    /// A runner executes a task, or the task is a command of its own.
    Busy { kind: RunnerKind, served: u64, run: Box<TaskRun> },
    /// A runner was told to end for its task's sake.
    Ending { run: Box<TaskRun>, why: KillReason, kill_at: Option<Time> },
    /// An idle runner was told to end.
    Retiring,
}

/// A task in a runner.
#[derive(Debug)]
pub(super) struct TaskRun {
    pub(super) task: Task,
    pub(super) since: Time,
    pub(super) until: Option<Time>,
    /// Nobody wants its outcome.
    pub(super) is_stopped: bool,
}

/// What has come of asking a runner for what it has not claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum RetractState {
    #[default]
    NotAsked,
    Asked,
    /// What is still ahead the runner has claimed: its run has ended, and the outcome is on the way.
    Answered,
}

/// KillReason a running task is being ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KillReason {
    Timeout,
    Stopped,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            runner: RunnerId::default(),
            state: SlotState::default(),
            failures: 0,
            has_ended: false,
            takes_prefetch: false,
            prefetched: VecDeque::new(),
            run_us: UNKNOWN_US,
            retract: RetractState::default(),
            end_asked: None,
        }
    }
}

impl Default for SlotState {
    fn default() -> Self {
        Self::Empty { not_before: None }
    }
}

impl SlotState {
    /// Whether a command runs here, or is being ended.
    pub(super) fn is_command(&self) -> bool {
        match self {
            Self::Busy { run, .. } | Self::Ending { run, .. } => run.task.head.runtime == Runtime::Exec,
            Self::Empty { .. } | Self::Starting { .. } | Self::Idle { .. } | Self::Retiring => false,
        }
    }
}

impl Slot {
    /// Whether it has no runner because the last one did not come up.
    pub(super) fn is_failing(&self) -> bool {
        let has_none = matches!(self.state, SlotState::Empty { .. } | SlotState::Starting { .. });
        has_none && self.failures > 0
    }

    /// The attempt that runs here, or is being ended.
    pub(super) fn attempt(&self) -> Option<AttemptId> {
        self.task().map(attempt_of)
    }

    /// The task that runs here, or is being ended.
    pub(super) fn task(&self) -> Option<&Task> {
        match &self.state {
            SlotState::Busy { run, .. } | SlotState::Ending { run, .. } => Some(&run.task),
            SlotState::Empty { .. }
            | SlotState::Starting { .. }
            | SlotState::Idle { .. }
            | SlotState::Retiring => None,
        }
    }

    /// All tasks that its runner has.
    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.task().into_iter().chain(self.prefetched.iter().map(|run| &run.task))
    }

    /// When something is to be done about this slot.
    pub(super) fn deadline(&self) -> Option<Time> {
        match &self.state {
            SlotState::Empty { not_before } => *not_before,
            SlotState::Busy { run, .. } => run.until.into_iter().chain(self.retract_at()).min(),
            SlotState::Ending { kill_at, .. } => *kill_at,
            SlotState::Starting { .. } | SlotState::Idle { .. } | SlotState::Retiring => None,
        }
    }
}
