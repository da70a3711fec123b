//! A client's session: its queue lanes, its credit and what it has not taken yet.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use argon_proto::holder::OwnerName;
use argon_proto::{AttemptId, Runtime, SessionId, TaskId};
use rustc_hash::FxHashSet;

use super::aside::Aside;
use super::input::{ClientProgram, ConnId};
use super::memory::MemoryUse;
use super::past::KnownClient;
use super::recovery::SessionRecovery;
use super::resting_kinds::Rests;
use super::task::{TaskEntry, TaskState};
use super::{OwnerKey, SessionKey, TaskKey};
use crate::arena::Arena;
use crate::time::Time;

/// State of one client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) owner: OwnerKey,
    pub(super) client: String,
    /// Its client, for the facts of its tasks.
    pub(super) facts: Arc<KnownClient>,
    /// Meta data of the task that ended last: many tasks have the same.
    pub(super) last_meta: Option<Arc<[u8]>>,
    /// The session in whose turns its tasks start: itself, unless its client is inside a task.
    pub(super) root: SessionKey,
    /// The attempt whose client this is, if it is inside a task.
    pub(super) parent: Option<AttemptId>,
    /// Tasks around its client.
    pub(super) depth: u16,
    /// If it has had sessions of its own tasks: which of them have tasks that wait.
    pub(super) nested: Option<Box<NestedSessions>>,
    /// Its connection, while it has one.
    pub(super) link: Option<ConnId>,
    /// Changes when the session is opened or lost, so that an old grace timer is known as stale.
    pub(super) stamp: u32,
    /// When its attached tasks are cancelled, while its client is away.
    pub(super) away_until: Option<Time>,
    /// Waiting tasks by priority, each with the stamp it was queued under.
    pub(super) lanes: [VecDeque<(TaskKey, u32)>; 3],
    /// Entries of each lane whose task waits there no more.
    pub(super) stale: [usize; 3],
    /// Waiting tasks that stepped aside for others, because no worker could start them.
    pub(super) aside: Option<Box<Aside>>,
    /// Its tasks that workers may hold without our knowledge.
    pub(super) recovery: SessionRecovery,
    /// True if it has a turn in each priority's ring.
    pub(super) has_turn: [bool; 3],
    /// All tasks of the session that are not forgotten.
    pub(super) tasks: Vec<TaskKey>,
    /// Number of those tasks in each state.
    pub(super) counts: TaskCounts,
    /// Detached tasks, of any session, whose outcomes this connection waits for.
    pub(super) collecting: FxHashSet<TaskId>,
    /// Detached tasks of other sessions whose outcomes this connection was sent: it may take them.
    pub(super) handed: FxHashSet<TaskId>,
    /// Bytes of outcomes that were sent, or wait to be, and are not taken.
    pub(super) untaken_bytes: u64,
    /// Memory of its tasks.
    pub(super) memory: MemoryUse,
    /// True while its tasks do not start because memory is full.
    pub(super) is_held_back: bool,
    /// True while its attached tasks are dropped, since it has ended: none of its tasks starts.
    pub(super) is_ending: bool,
    pub(super) credit: CreditAccount,
}

/// The sessions of clients inside the tasks of one session, and inside their tasks.
#[derive(Debug, Default)]
pub(super) struct NestedSessions {
    /// Sessions with waiting tasks by priority, the deepest first: what tasks wait for goes before new ones.
    pub(super) waiting: [BTreeSet<(Reverse<u16>, SessionKey)>; 3],
    /// Number of sessions.
    pub(super) count: u32,
    /// True if workers were asked for what they hold beyond their slots.
    pub(super) was_noticed: bool,
}

/// Credit of the client on its present connection, and the part that it has used; cumulative.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CreditAccount {
    pub(super) granted_tasks: u64,
    pub(super) granted_bytes: u64,
    pub(super) used_tasks: u64,
    pub(super) used_bytes: u64,
    /// Given back since the last grant.
    pub(super) freed_tasks: u64,
    pub(super) freed_bytes: u64,
}

impl Session {
    /// A session that is its own root.
    pub(super) fn new(id: SessionId, (owner, name): (OwnerKey, &OwnerName), root: SessionKey) -> Self {
        Self {
            id,
            owner,
            client: String::new(),
            facts: Arc::new(KnownClient {
                session: id,
                owner: name.clone(),
                program: ClientProgram::default(),
                inside: None,
            }),
            last_meta: None,
            root,
            parent: None,
            depth: 0,
            nested: None,
            link: None,
            stamp: 0,
            away_until: None,
            lanes: Default::default(),
            stale: [0; 3],
            aside: None,
            recovery: SessionRecovery::default(),
            has_turn: [false; 3],
            tasks: Vec::new(),
            counts: TaskCounts::default(),
            collecting: FxHashSet::default(),
            handed: FxHashSet::default(),
            untaken_bytes: 0,
            memory: MemoryUse::default(),
            is_held_back: false,
            is_ending: false,
            credit: CreditAccount::default(),
        }
    }

    /// True if tasks of this priority wait in the queue.
    pub(super) fn has_waiting(&self, lane: usize) -> bool {
        !self.lanes[lane].is_empty() || self.aside.as_ref().is_some_and(|aside| aside.has(lane))
    }

    /// The first task of this priority that stepped aside and that a worker with these rests can start, taken out.
    pub(super) fn pop_aside(
        &mut self,
        tasks: &Arena<TaskKey, TaskEntry>,
        lane: usize,
        rests: &Rests,
    ) -> Option<TaskKey> {
        let found = self.aside.as_mut()?.pop(tasks, lane, rests);
        self.aside.take_if(|aside| aside.len() == 0);
        found
    }

    /// Notes that a task that stepped aside waits no more.
    pub(super) fn forget_aside(&mut self, tasks: &Arena<TaskKey, TaskEntry>) {
        if let Some(aside) = &mut self.aside {
            aside.forget_one(tasks);
            self.aside.take_if(|aside| aside.len() == 0);
        }
    }

    /// True if the client has named a task of it on its present connection, and was charged for it there.
    pub(super) fn has_offered(&self, entry: &TaskEntry) -> bool {
        entry.offered_at != 0 && entry.offered_at == self.stamp
    }

    /// True if nobody will ask for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        let has_nested = self.nested.as_ref().is_some_and(|nested| nested.count > 0);
        self.tasks.is_empty() && self.link.is_none() && self.client.is_empty() && !has_nested
    }
}

/// Tasks by state, so that a question about a session costs the same whether it has ten tasks or a million.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TaskCounts {
    pub(super) persisting: u32,
    pub(super) recovering: u32,
    /// By runtime, in the order of [`Runtime::ALL`].
    pub(super) queued: [u32; Runtime::ALL.len()],
    pub(super) delayed: u32,
    pub(super) assigned: u32,
    pub(super) ended: u32,
}

impl TaskCounts {
    pub(super) fn add(&mut self, state: &TaskState, runtime: Runtime) {
        *self.place(state, runtime) += 1;
    }

    pub(super) fn remove(&mut self, state: &TaskState, runtime: Runtime) {
        *self.place(state, runtime) -= 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.persisting += other.persisting;
        self.recovering += other.recovering;
        self.queued.iter_mut().zip(other.queued).for_each(|(count, more)| *count += more);
        self.delayed += other.delayed;
        self.assigned += other.assigned;
        self.ended += other.ended;
    }

    fn place(&mut self, state: &TaskState, runtime: Runtime) -> &mut u32 {
        match state {
            TaskState::Persisting => &mut self.persisting,
            TaskState::Recovering => &mut self.recovering,
            TaskState::Queued { .. } => &mut self.queued[usize::from(runtime.to_byte()) - 1],
            TaskState::Delayed => &mut self.delayed,
            TaskState::Assigned { .. } => &mut self.assigned,
            TaskState::Ended(_) => &mut self.ended,
        }
    }
}
