//! The place of a worker, and its process and runners while there are any.

use std::collections::{BTreeMap, VecDeque};

use argon_core::gate::WorkerGate;
use argon_core::outcome_batch::OutcomeBatch;
use argon_core::pool::{Pool, RunnerId};
use argon_proto::{Outcome, Task, WorkerId};

use crate::clock::Clock;
use crate::dial_state::DialState;
use crate::event::Event;

/// The place of a worker, and its process while there is one.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) incarnation: u32,
    pub(crate) process: Option<WorkerProcess>,
    pub(crate) dial: DialState,
    pub(crate) frozen: u32,
    pub(crate) stalled: Vec<Event>,
    /// Faults that keep it from starting runners.
    pub(crate) starved: u32,
}

/// A worker process.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    pub(crate) id: WorkerId,
    pub(crate) pool: Pool,
    pub(crate) gate: WorkerGate,
    pub(crate) batch: OutcomeBatch,
    /// It was told to leave.
    pub(crate) is_draining: bool,
    pub(crate) clock: Clock,
    pub(crate) runners: BTreeMap<RunnerId, Runner>,
    pub(crate) timer: Option<u64>,
    /// Whether the pool was told that a manager is found.
    pub(crate) is_linked: bool,
    pub(crate) steps: u64,
}

/// A runner process.
#[derive(Debug)]
pub(crate) struct Runner {
    /// Counts its tasks, so that the end of an earlier one is known as such.
    pub(crate) run: u64,
    pub(crate) task: Option<Task>,
    /// Handed ahead, and not claimed.
    pub(crate) ahead: VecDeque<Task>,
    /// Written, and not read by the worker.
    pub(crate) unread: VecDeque<Outcome>,
}
