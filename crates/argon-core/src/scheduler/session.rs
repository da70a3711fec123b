//! A client's session: its queue lanes, its credit and what it has not taken yet.

use std::collections::VecDeque;

use argon_proto::SessionId;

use super::TaskKey;
use super::input::Link;

/// What the scheduler knows of one client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) client: String,
    /// Its connection, while it has one.
    pub(super) link: Option<Link>,
    /// Changes when the session is opened or lost, so that an old grace timer is known as stale.
    pub(super) stamp: u32,
    /// Waiting tasks by priority, each with the stamp it was queued under.
    pub(super) lanes: [VecDeque<(TaskKey, u32)>; 3],
    /// Entries of each lane whose task waits there no more.
    pub(super) stale: [usize; 3],
    /// Whether it has a turn in each priority's ring.
    pub(super) has_turn: [bool; 3],
    /// All tasks of the session that are not forgotten.
    pub(super) tasks: Vec<TaskKey>,
    /// Bytes of outcomes that were sent, or wait to be, and are not taken.
    pub(super) untaken_bytes: u64,
    pub(super) credit: Credit,
}

/// How much the client may send on its present connection, and has sent; cumulative.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Credit {
    pub(super) granted_tasks: u64,
    pub(super) granted_bytes: u64,
    pub(super) used_tasks: u64,
    pub(super) used_bytes: u64,
    /// Given back since the last grant.
    pub(super) freed_tasks: u64,
    pub(super) freed_bytes: u64,
}

impl Session {
    pub(super) fn new(id: SessionId, client: String) -> Self {
        Self {
            id,
            client,
            link: None,
            stamp: 0,
            lanes: Default::default(),
            stale: [0; 3],
            has_turn: [false; 3],
            tasks: Vec::new(),
            untaken_bytes: 0,
            credit: Credit::default(),
        }
    }
}
