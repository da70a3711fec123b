//! Content and state of one task of the session, and the caller that waits for it.

use std::task::Waker;

use argon_proto::conversation::client::ToManager;
use argon_proto::{Outcome, Task, Ticket};

use super::output_state::OutputState;
use crate::blob::Blobs;
use crate::error_kind::ErrorKind;

/// Result that the caller wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// The outcome of a task that lives as long as this client.
    Attached,
    /// Confirmation that the manager keeps the task.
    Detached,
    /// The outcome of a detached task, submitted here or elsewhere.
    Collect,
}

/// Destination of the output of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputMode {
    /// Written to this process's own standard output and error.
    Inherit,
    /// Given to the caller, which also answers the questions of the task.
    Caller,
    /// Dropped.
    Discard,
}

/// A task to add.
#[derive(Debug)]
pub struct Addition {
    /// The task; its id is set here.
    pub task: Task,
    /// Blobs that the task names.
    pub blobs: Blobs,
    /// True if the task outlives this client; its caller waits only until the manager keeps it.
    pub is_detached: bool,
    /// Destination of its output.
    pub output_mode: OutputMode,
    /// Number of rejections that end the task; 0 for no limit.
    pub offers_max: u32,
}

/// End of a task for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// With an outcome.
    Outcome(Outcome),
    /// The manager keeps it, and gave this right to it.
    Accepted(Ticket),
    /// Ended here, without the cluster.
    Failed(ErrorKind, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryState {
    /// In the backlog, or to be offered again.
    Waiting,
    /// The manager has it.
    Sent,
    /// The manager did not take it; it is offered again later.
    HeldBack,
    /// Over, and not yet taken by its caller.
    Ended,
}

/// The large part of an entry.
#[derive(Debug)]
pub(super) enum Content {
    /// The SUBMIT of a task that may have to be offered again: the whole message, so that sending it moves nothing.
    Submit(ToManager),
    /// A task that somebody else submitted, and the right to its outcome.
    Collect(Ticket),
    /// The end of the task.
    Completion(Completion),
    /// The end was taken.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) purpose: Purpose,
    pub(super) state: EntryState,
    pub(super) content: Content,
    pub(super) blobs: Blobs,
    /// Bytes that it uses of the credit.
    pub(super) weight: u64,
    /// True if it was sent on a connection that broke: a manager or a worker may have it.
    pub(super) is_doubtful: bool,
    pub(super) offers: u32,
    pub(super) offers_max: u32,
    pub(super) is_cancelled: bool,
    /// True if its caller has given it up.
    pub(super) is_abandoned: bool,
    pub(super) output_mode: OutputMode,
    pub(super) output: Option<Box<OutputState>>,
    pub(super) waker: Option<Waker>,
    pub(super) member: Option<Member>,
}

/// Membership of a task in a group; the owner of the group chooses position and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Member {
    /// The number of the group.
    pub group: u64,
    /// Position in the group, as the owner counts.
    pub position: u64,
    /// Length of its arguments, bytes.
    pub bytes: u64,
}

impl Entry {
    /// An entry that waits to be sent, without blobs and without output.
    pub(super) fn new(purpose: Purpose, content: Content) -> Self {
        Self {
            purpose,
            state: EntryState::Waiting,
            content,
            blobs: Blobs::default(),
            weight: 0,
            is_doubtful: false,
            offers: 0,
            offers_max: 0,
            is_cancelled: false,
            is_abandoned: false,
            output_mode: OutputMode::Discard,
            output: None,
            waker: None,
            member: None,
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state == EntryState::Ended
    }

    /// True while its output is being written to this process's own: that comes before its end.
    pub(super) fn is_printing(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.is_printing())
    }
}

/// Leaves a waker, without a clone when it is the one that is there.
pub(super) fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(known) if known.will_wake(waker) => {}
        Some(_) | None => *place = Some(waker.clone()),
    }
}
