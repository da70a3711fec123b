//! The place of a worker, and its process and runners while there are any.

use std::collections::{BTreeMap, VecDeque};

use argon_core::gate::WorkerGate;
use argon_core::outcome_batch::OutcomeBatch;
use argon_core::pool::{Input, Pool, RunnerId, TemplateKey};
use argon_proto::{Family, Incarnation, Outcome, Secret, Task, WorkerId};

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
    /// Since when the manager reaches it and a slot is free, as far as the oracle has looked.
    pub(crate) free_since: Option<u64>,
    /// Since when a slot is free, as far as the oracle has looked.
    pub(crate) idle_since: Option<u64>,
}

/// A worker process.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    pub(crate) id: WorkerId,
    pub(crate) secret: Secret,
    /// The manager that let it in, and has not registered it.
    pub(crate) welcomed: Option<Incarnation>,
    /// The manager that has registered it last.
    pub(crate) previous: Option<Incarnation>,
    pub(crate) pool: Pool,
    pub(crate) gate: WorkerGate,
    pub(crate) batch: OutcomeBatch,
    /// True if it was asked to leave, and its manager may know.
    pub(crate) was_asked_to_leave: bool,
    /// True if it was asked to leave.
    pub(crate) is_draining: bool,
    pub(crate) clock: Clock,
    pub(crate) runners: BTreeMap<RunnerId, Runner>,
    pub(crate) templates: BTreeMap<TemplateKey, Template>,
    /// Template processes that were started.
    pub(crate) last_template: u64,
    /// Inputs of the pool that effects have brought.
    pub(crate) inputs: VecDeque<Input>,
    pub(crate) is_stepping: bool,
    pub(crate) timer: Option<u64>,
    /// True if the pool received that a manager is found.
    pub(crate) is_linked: bool,
    pub(crate) steps: u64,
}

/// A template process.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) number: u64,
    pub(crate) is_ready: bool,
}

/// A runner process.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    /// The template that was asked to fork it and has not.
    pub(crate) awaits_fork_of: Option<TemplateKey>,
    pub(crate) is_ready: bool,
    /// The client inside its present task, by its place.
    pub(crate) client: Option<usize>,
    /// Its present task waits for tasks of its own.
    pub(crate) waits: bool,
    /// True if it ends, by itself or on request: it takes nothing more.
    pub(crate) is_leaving: bool,
    /// The family of sessions whose tasks it has executed.
    pub(crate) family: Option<Family>,
    /// Counts its tasks, so that the end of an earlier one is known as such.
    pub(crate) run: u64,
    pub(crate) task: Option<Task>,
    /// Handed ahead, and not claimed.
    pub(crate) ahead: VecDeque<Task>,
    /// Written, and not read by the worker.
    pub(crate) unread: VecDeque<Outcome>,
}
