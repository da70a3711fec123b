//! A task as the scheduler holds it, and the states it goes through.

use argon_proto::conversation::Ask;
use argon_proto::{Attempt, AttemptId, Flags, Outcome, Payload, Task};
use bytes::Bytes;

use super::output::OutputAccount;
use super::past::PastAttempt;
use super::{SessionKey, TaskKey, WorkerKey};
use crate::arena::Arena;
use crate::time::Time;

/// A task that has not been forgotten. A manager keeps millions of them: what few tasks have stands in a box.
#[derive(Debug)]
pub(super) struct TaskEntry {
    /// The task; `head.attempt` is the last attempt that was started.
    pub(super) task: Task,
    pub(super) session: SessionKey,
    /// Its place in the session's list.
    pub(super) session_place: u32,
    pub(super) state: TaskState,
    /// Changes with every wait in the queue or for a timer, so that an old entry there is known as stale.
    pub(super) stamp: u32,
    /// The highest number that an attempt of it was given.
    pub(super) last: Attempt,
    /// Way in which its present attempt came to the worker.
    pub(super) origin: Origin,
    /// Stamp of its session when its client last named it and was charged for it; 0 if it never did. A session has another
    /// stamp on its next connection.
    pub(super) offered_at: u32,
    /// True if the store holds it.
    pub(super) is_durable: bool,
    /// True if it waits, and has stepped aside for others.
    pub(super) is_aside: bool,
    /// True if its attempt waits for tasks of its own.
    pub(super) is_lent: bool,
    /// When it came to this manager.
    pub(super) submitted: Time,
    /// Parts that few tasks have.
    pub(super) cold: Option<Box<ColdState>>,
}

/// Way in which an attempt came to its worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// This scheduler has sent RUN.
    Sent,
    /// RUN waits for the store, or found no connection then: it cannot have begun.
    Unsent,
    /// The worker had it.
    Found,
}

/// Output of a task, and results of attempts that did not end it.
#[derive(Debug, Default)]
pub(super) struct ColdState {
    /// Account of its output; `None` if it has printed nothing.
    pub(super) output: Option<OutputAccount>,
    /// Attempts whose outcome called for a retry: they are not accepted a second time.
    pub(super) retried_attempts: Vec<Attempt>,
    /// Failed attempts that used up a retry.
    pub(super) retried: u16,
    /// Workers lost in a row.
    pub(super) losses: u32,
    /// Connections in a row that broke while it was under way to a worker, since that last counted as a loss.
    pub(super) undelivered: u8,
    /// The worker that it did not reach.
    pub(super) avoided: Option<WorkerKey>,
    /// Question to its client, until the client has answered.
    pub(super) question: Option<Ask>,
    /// The attempt that waits for a blob which is missing here, and since when that is known.
    pub(super) lacks_blobs: Option<(Attempt, Time)>,
    /// Events so far, as sentences.
    pub(super) story: Vec<String>,
    /// Attempts that ended without ending the task.
    pub(super) past: Vec<PastAttempt>,
}

/// Stage in the life of a task.
#[derive(Debug)]
pub(super) enum TaskState {
    /// Detached and not yet durable.
    Persisting,
    /// Offered again to a manager that just started: a worker may hold it.
    Recovering,
    /// In the queue since then.
    Queued { since: Time },
    /// A retry that waits for its time.
    Delayed,
    /// With a worker, at this place of its list, since then.
    Assigned { worker: WorkerKey, place: u32, since: Time },
    /// Over.
    Ended(Box<Ended>),
}

/// End of a task whose outcome waits to be taken.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) durable: bool,
    pub(super) expires: Option<Time>,
    /// The bytes that the task was charged for; its arguments are gone.
    pub(super) weight: u64,
    /// Bytes of the outcome.
    pub(super) outcome_weight: u64,
    /// The worker that keeps the outcome as well; `None` if it was settled, or is the scheduler's own.
    pub(super) keeper: Option<Keeper>,
}

/// Boxes of forgotten ends, kept for the next ones: clients take outcomes in bursts, and an allocator is slow with bursts.
#[derive(Debug, Default)]
#[allow(clippy::vec_box, reason = "the boxes are what is kept")]
pub(super) struct SpareEnds(Vec<Box<Ended>>);

/// Most boxes that are kept, about 150 KiB.
const SPARE_ENDS_MAX: usize = 1024;

impl SpareEnds {
    /// This end in a box.
    pub(super) fn fill(&mut self, ended: Ended) -> Box<Ended> {
        match self.0.pop() {
            Some(mut spare) => {
                *spare = ended;
                spare
            }
            None => Box::new(ended),
        }
    }

    /// Keeps the box of a forgotten end, without the bytes of the outcome.
    pub(super) fn put(&mut self, mut ended: Box<Ended>) {
        if self.0.len() < SPARE_ENDS_MAX {
            ended.outcome.report = Bytes::new();
            ended.outcome.payload = Payload::default();
            self.0.push(ended);
        }
    }
}

/// A worker that keeps an outcome. It does so as long as it has this stamp: it registers anew with what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Keeper {
    pub(super) worker: WorkerKey,
    pub(super) stamp: u32,
}

impl TaskEntry {
    pub(super) fn attempt_id(&self) -> AttemptId {
        AttemptId { task: self.task.head.id, attempt: self.task.head.attempt }
    }

    pub(super) fn is(&self, flag: Flags) -> bool {
        self.task.head.flags.contains(flag)
    }

    /// The bytes that it was charged for.
    pub(super) fn weight(&self) -> u64 {
        self.ended().map_or_else(|| self.task.weight(), |ended| ended.weight)
    }

    /// Parts that few tasks have; creates them.
    pub(super) fn cold_mut(&mut self) -> &mut ColdState {
        self.cold.get_or_insert_default()
    }

    /// Account of its output; `None` if it has printed nothing.
    pub(super) fn output_mut(&mut self) -> Option<&mut OutputAccount> {
        self.cold.as_mut()?.output.as_mut()
    }

    /// True if the outcome of this attempt has called for a retry.
    pub(super) fn has_retried(&self, attempt: Attempt) -> bool {
        self.cold.as_ref().is_some_and(|cold| cold.retried_attempts.contains(&attempt))
    }

    /// Failed attempts that used up a retry.
    pub(super) fn retried(&self) -> u16 {
        self.cold.as_ref().map_or(0, |cold| cold.retried)
    }

    /// Fates of earlier attempts, as sentences.
    pub(super) fn story(&self) -> &[String] {
        self.cold.as_ref().map_or(&[], |cold| &cold.story)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended().is_some()
    }

    /// Its end, if it has ended.
    pub(super) fn ended(&self) -> Option<&Ended> {
        match &self.state {
            TaskState::Ended(ended) => Some(ended),
            TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Assigned { .. } => None,
        }
    }

    /// When it came into the queue, if it is there.
    pub(super) fn queued_since(&self) -> Option<Time> {
        match self.state {
            TaskState::Queued { since } => Some(since),
            TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Delayed
            | TaskState::Assigned { .. }
            | TaskState::Ended(_) => None,
        }
    }

    pub(super) fn worker(&self) -> Option<WorkerKey> {
        match self.state {
            TaskState::Assigned { worker, .. } => Some(worker),
            TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Ended(_) => None,
        }
    }
}

/// True if a place in the queue is that of a task that waits there.
pub(super) fn is_live(tasks: &Arena<TaskKey, TaskEntry>, (key, stamp): (TaskKey, u32)) -> bool {
    tasks.get(key).is_some_and(|entry| entry.stamp == stamp && entry.queued_since().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue of a million tasks is a million of these. A further field costs its size here, or gets a place
    /// in [`ColdState`] or [`Ended`].
    #[test]
    fn a_task_stays_small() {
        assert!(size_of::<Option<TaskEntry>>() <= 176, "{} bytes", size_of::<Option<TaskEntry>>());
    }
}
