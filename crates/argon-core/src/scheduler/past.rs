//! What is remembered of a task besides its state: its client, and the attempts that did not end it.

use std::sync::Arc;

use argon_proto::holder::OwnerName;
use argon_proto::{Attempt, SessionId, Status, TaskId};

use super::input::ClientProgram;
use crate::time::Time;

/// Time of a submission that another start of the manager has seen.
pub(super) const UNKNOWN: Time = Time(u64::MAX);

/// A client, as the facts of its tasks show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct KnownClient {
    pub(super) session: SessionId,
    pub(super) owner: OwnerName,
    pub(super) program: ClientProgram,
    /// The task that it is inside.
    pub(super) inside: Option<TaskId>,
}

/// An attempt that ended without ending its task.
#[derive(Clone, Debug)]
pub(super) struct PastAttempt {
    pub(super) attempt: Attempt,
    pub(super) worker: Arc<String>,
    pub(super) started: Time,
    pub(super) ended: Time,
    pub(super) end: Status,
    pub(super) message: Box<str>,
}
