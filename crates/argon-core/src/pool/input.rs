//! What the pool is told: facts, in the past tense.

use argon_proto::message::AttemptId;
use argon_proto::{Outcome, Task};

use super::slot::SlotId;

/// How a runner process ended, and what is known of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exit {
    /// Its process id.
    pub pid: Option<u32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The status with which it ended.
    pub code: Option<i32>,
    /// Peak memory, KiB.
    pub peak_kib: Option<u64>,
    /// The last lines that it wrote to its standard output and error during the task.
    pub output: String,
    /// What was wrong with what it said, if it was ended for that.
    pub complaint: Option<String>,
}

/// A fact that the pool must take into account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The worker starts: make the slots ready.
    Started,
    /// The worker is registered with a manager.
    ManagerFound,
    /// Something was read from the manager.
    ManagerHeard,
    /// The connection to the manager ended.
    ManagerLost,
    /// The manager handed over an attempt, blobs included.
    TaskReceived(Task),
    /// The manager wants these attempts killed or forgotten.
    StopReceived(Vec<AttemptId>),
    /// The manager wants up to so many attempts back that have not started.
    RecallReceived(u32),
    /// The manager needs these outcomes kept no longer.
    OutcomesSettled(Vec<AttemptId>),
    /// Finish what runs, give the rest back, leave; for this reason.
    DrainRequested(String),
    /// A runner process can take tasks.
    RunnerReady {
        /// Its slot.
        slot: SlotId,
        /// Which runner of the slot.
        generation: u64,
    },
    /// A runner reported an outcome.
    RunnerFinished {
        /// Its slot.
        slot: SlotId,
        /// Which runner of the slot.
        generation: u64,
        /// The outcome.
        outcome: Outcome,
    },
    /// A runner process ended, and everything it wrote was read.
    RunnerGone {
        /// Its slot.
        slot: SlotId,
        /// Which runner of the slot.
        generation: u64,
        /// How.
        exit: Exit,
    },
    /// A runner could not be started.
    SpawnFailed {
        /// Its slot.
        slot: SlotId,
        /// Which runner of the slot.
        generation: u64,
        /// Why.
        why: String,
    },
    /// Nothing happened, but time went by.
    TimePassed,
}
