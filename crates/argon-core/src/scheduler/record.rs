//! Durable facts: what a manager must still know of detached tasks after it was killed.

use argon_proto::holder::OwnerName;
use argon_proto::{AttemptId, Outcome, Task, TaskId};

/// A fact about a detached task. Attached tasks leave no records: their client is their journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// The task of this owner was accepted. `head.attempt` counts the starts so far.
    TaskAccepted(Task, OwnerName),
    /// An attempt of a task that must never run twice is about to start.
    AttemptStarted(AttemptId),
    /// The task ended; its outcome waits to be collected.
    TaskEnded(Outcome),
    /// The outcome was collected, or expired: nothing of the task is kept.
    TaskForgotten(TaskId),
}

impl Record {
    /// Bytes that the record takes in a store, about.
    #[must_use]
    pub fn weight(&self) -> u64 {
        match self {
            Self::TaskAccepted(task, _) => task.weight() + 256,
            Self::TaskEnded(outcome) => outcome.weight() + 256,
            Self::AttemptStarted(_) | Self::TaskForgotten(_) => 64,
        }
    }
}
