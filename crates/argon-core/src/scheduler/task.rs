//! A task as the scheduler holds it, and the states it goes through.

use argon_proto::message::AttemptId;
use argon_proto::{Attempt, Flags, Outcome, Task};

use super::input::Link;
use super::output::Output;
use super::{SessionKey, WorkerKey};
use crate::time::Time;

/// A task that has not been forgotten.
#[derive(Debug)]
pub(super) struct TaskEntry {
    /// The task; `head.attempt` is the last attempt that was started.
    pub(super) task: Task,
    pub(super) session: SessionKey,
    /// Its place in the session's list.
    pub(super) session_place: u32,
    /// The connection whose credit the task uses.
    pub(super) credit: Link,
    /// The bytes that it was charged for.
    pub(super) weight: u64,
    pub(super) state: State,
    /// Changes with every wait in the queue or for a timer, so that an old entry there is known as stale.
    pub(super) stamp: u32,
    /// The highest number that an attempt of it was given.
    pub(super) last: Attempt,
    /// Whether its present attempt was found with a worker, not sent there by this scheduler.
    pub(super) is_adopted: bool,
    /// Whether its client has named it since the session was last opened.
    pub(super) offered: bool,
    /// Whether the store holds it.
    pub(super) is_durable: bool,
    /// What it has printed, if anything.
    pub(super) output: Option<Box<Output>>,
    /// What became of attempts that did not end it, if there were any.
    pub(super) past: Option<Box<Past>>,
}

/// What became of a task's earlier attempts. Most tasks have none: it is kept apart, so that a long queue stays small.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Attempts whose outcome called for a retry: they are not heard a second time.
    pub(super) judged: Vec<Attempt>,
    /// Failed attempts that used up a retry.
    pub(super) retried: u16,
    /// Workers lost in a row.
    pub(super) losses: u32,
    /// What happened, for people.
    pub(super) story: Vec<String>,
}

/// Where a task is in its life.
#[derive(Debug)]
pub(super) enum State {
    /// Detached and not yet durable.
    Storing,
    /// Offered again to a manager that just started: a worker may hold it.
    Recovering,
    /// In the queue since then.
    Queued { since: Time },
    /// A retry that waits for its time.
    Delayed,
    /// With a worker, at this place of its list, since then.
    Assigned { worker: WorkerKey, place: u32, since: Time },
    /// Over; the outcome waits to be taken.
    Ended { outcome: Box<Outcome>, durable: bool, expires: Option<Time> },
}

impl TaskEntry {
    pub(super) fn attempt_id(&self) -> AttemptId {
        AttemptId { task: self.task.head.id, attempt: self.task.head.attempt }
    }

    pub(super) fn is(&self, flag: Flags) -> bool {
        self.task.head.flags.contains(flag)
    }

    /// What became of earlier attempts, to be added to.
    pub(super) fn past_mut(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }

    /// Whether the outcome of this attempt has called for a retry.
    pub(super) fn has_judged(&self, attempt: Attempt) -> bool {
        self.past.as_ref().is_some_and(|past| past.judged.contains(&attempt))
    }

    /// Failed attempts that used up a retry.
    pub(super) fn retried(&self) -> u16 {
        self.past.as_ref().map_or(0, |past| past.retried)
    }

    /// What happened to earlier attempts, for people.
    pub(super) fn story(&self) -> &[String] {
        self.past.as_ref().map_or(&[], |past| &past.story)
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    pub(super) fn worker(&self) -> Option<WorkerKey> {
        match self.state {
            State::Assigned { worker, .. } => Some(worker),
            State::Storing
            | State::Recovering
            | State::Queued { .. }
            | State::Delayed
            | State::Ended { .. } => None,
        }
    }
}
