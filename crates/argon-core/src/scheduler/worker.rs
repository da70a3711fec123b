//! A worker as the scheduler sees it: what it holds, how fast it is, whether it may be given more.

use std::sync::Arc;

use argon_proto::conversation::worker::Drain;
use argon_proto::{AttemptId, AttemptKey};
use rustc_hash::FxHashSet;

use super::TaskKey;
use super::acks::PendingAcks;
use super::input::{ConnId, WorkerProfile};
use super::kept::KeptOutcomes;
use super::listings::Undecided;
use super::resting_kinds::Rests;
use crate::estimate;
use crate::time::Time;

/// Work that is sent ahead to a worker covers about this long, microseconds per slot.
const PREFETCH_US: u64 = 2_000;
/// Most tasks sent ahead for one slot.
const PREFETCH_MAX: u64 = 512;
/// Limit for the results of prefetched tasks, bytes per slot. A client that stops reading is noticed that much later.
const PREFETCH_BYTES: u64 = 1 << 20;
/// Tasks longer than this are not sent ahead: a round trip is nothing to them.
const PREFETCH_TASK_US: u64 = 200_000;

/// A worker that is connected, or may come back.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) profile: WorkerProfile,
    /// Its name, for the facts of tasks.
    pub(super) name: Arc<String>,
    /// Makes the tokens of its attempts.
    pub(super) key: AttemptKey,
    /// True if a warning was given of attempts that it does not hold by right.
    pub(super) was_warned_of: bool,
    /// Its connection; `None` while it may come back.
    pub(super) link: Option<ConnId>,
    /// Changes with every connection, so that an old timer is known as stale.
    pub(super) stamp: u32,
    pub(super) draining: bool,
    /// When its running tasks are ended, if an operator said so.
    pub(super) drain_until: Option<Time>,
    /// Kinds of tasks that it has returned unasked a moment ago.
    pub(super) rests: Rests,
    /// Tasks that are assigned to it.
    pub(super) assigned: Vec<TaskKey>,
    /// Attempts that it holds for no task: being stopped, or claimed by nobody yet.
    pub(super) without_task: FxHashSet<AttemptId>,
    /// Attempts that it has listed when it registered, and about which nothing is decided yet.
    pub(super) undecided: Option<Box<Undecided>>,
    /// Attempts that wait for tasks of their own, and lend their slots.
    pub(super) lent: FxHashSet<AttemptId>,
    /// Outcomes that it keeps until their clients have them.
    pub(super) kept: KeptOutcomes,
    /// Outcomes of it that need not be kept, which it does not know.
    pub(super) pending_acks: PendingAcks,
    /// Mean run time of its recent tasks, microseconds; 0 while unknown.
    pub(super) mean_us: u64,
    /// Mean size of its recent outcomes, bytes.
    pub(super) mean_bytes: u64,
    pub(super) last_outcome: Time,
    pub(super) retract: WorkerRetractState,
    pub(super) finished: u64,
    pub(super) joined: Time,
}

/// State of the request to a worker to return tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WorkerRetractState {
    /// The worker may be asked.
    Possible,
    /// The worker was asked and has not answered.
    Asked,
    /// The worker had nothing to give; it is asked again only after it was sent more.
    NothingLeft,
}

impl Worker {
    pub(super) fn new(profile: WorkerProfile, key: AttemptKey, now: Time) -> Self {
        Self {
            name: Arc::new(profile.name.clone()),
            profile,
            key,
            was_warned_of: false,
            link: None,
            stamp: 0,
            draining: false,
            drain_until: None,
            rests: Rests::default(),
            assigned: Vec::new(),
            without_task: FxHashSet::default(),
            undecided: None,
            lent: FxHashSet::default(),
            kept: KeptOutcomes::default(),
            pending_acks: PendingAcks::default(),
            mean_us: 0,
            mean_bytes: 0,
            last_outcome: now,
            retract: WorkerRetractState::Possible,
            finished: 0,
            joined: now,
        }
    }

    /// Returns the message that asks it to leave, with the time that is left for its running tasks.
    pub(super) fn drain_message(&self, now: Time) -> Drain {
        let left = self.drain_until.map(|until| until.since(now).as_millis());
        Drain { within_ms: left.map(|left| u64::try_from(left).unwrap_or(u64::MAX)) }
    }

    pub(super) fn slots(&self) -> u64 {
        u64::from(self.profile.slots.max(1))
    }

    /// Attempts that it holds.
    pub(super) fn outstanding(&self) -> u64 {
        (self.assigned.len() + self.without_task.len()) as u64
    }

    /// Attempts that take its slots or will.
    fn occupying(&self) -> u64 {
        self.outstanding().saturating_sub(self.lent.len() as u64)
    }

    /// Notes that an attempt lends its slot no more, if it did.
    pub(super) fn forget_lent(&mut self, attempt: AttemptId) {
        if !self.lent.is_empty() {
            self.lent.remove(&attempt);
        }
    }

    pub(super) fn free_slots(&self) -> u64 {
        self.slots().saturating_sub(self.occupying())
    }

    /// Tasks it holds beyond its slots.
    pub(super) fn surplus(&self) -> u64 {
        self.occupying().saturating_sub(self.slots())
    }

    /// Number of tasks that it may hold, prefetched ones included.
    pub(super) fn capacity(&self) -> u64 {
        let ahead = match self.mean_us {
            0 => 0,
            mean if mean > PREFETCH_TASK_US => 0,
            mean => (PREFETCH_US / mean).min(PREFETCH_BYTES / self.mean_bytes.max(1)).clamp(1, PREFETCH_MAX),
        };
        self.slots() * (1 + ahead)
    }

    pub(super) fn may_take(&self) -> bool {
        self.link.is_some()
            && !self.draining
            && self.profile.paused.is_none()
            && !self.rests.is_whole()
            && self.occupying() < self.capacity()
    }

    /// Expected time until a task that is given to it now would start, microseconds.
    pub(super) fn load(&self) -> u64 {
        self.occupying().saturating_mul(self.mean_us.max(1)).saturating_mul(16) / self.slots()
    }

    /// Learns from an outcome: its size in bytes and the run time of its task.
    pub(super) fn observe_outcome(&mut self, now: Time, run_us: u64, bytes: u64) {
        let run_us = run_us.max(1);
        self.mean_bytes = (self.mean_bytes * 7 + bytes) / 8;
        self.mean_us = match self.mean_us {
            0 => run_us,
            mean => (mean * 7 + estimate::without_outlier(run_us, mean)) / 8,
        }
        .max(1);
        self.last_outcome = now;
        self.finished += 1;
    }
}
