//! Outcomes stay with their worker until their clients have them: a manager that is killed and started again receives
//! them from the workers, and no task that has finished runs again.
//!
//! Most are settled when the task is forgotten: its client has acknowledged the outcome, or nobody waits for it any more.
//! The outcome of a detached task is settled when the store holds it. Two bounds settle earlier, since the scheduler holds
//! the outcome, too: [`Limits::kept_bytes`](super::Limits::kept_bytes) for each worker, and a worker that drains and has
//! nothing else to do.

use std::collections::VecDeque;

use argon_proto::limit::HELD_ATTEMPTS;
use argon_proto::{Attempt, AttemptId};

use super::limits::KEPT_BYTES;
use super::task::{Ended, Keeper, TaskState};
use super::timers::{STEP, Timer};
use super::{Scheduler, TaskKey, WorkerKey};

/// Memory of an outcome in its worker besides its bytes. It also bounds how many a worker lists when it registers.
const OVERHEAD: u64 = 512;
const _: () =
    assert!(KEPT_BYTES / OVERHEAD <= HELD_ATTEMPTS as u64 / 2, "a worker could not list what it keeps");
/// An ended task and its stamp: another task may get the key.
pub(super) type KeptPlace = (TaskKey, u32);

/// The outcomes that one worker keeps.
#[derive(Debug, Default)]
pub(super) struct KeptOutcomes {
    /// The first to end first. Some are settled.
    order: VecDeque<KeptPlace>,
    /// Of those that are not settled.
    bytes: u64,
}

impl KeptOutcomes {
    /// Forgets all: the connection over which they came is gone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn add(&mut self, place: KeptPlace, bytes: u64) {
        self.order.push_back(place);
        self.bytes += bytes;
    }

    fn remove(&mut self, place: KeptPlace, bytes: u64) {
        self.bytes -= bytes;
        // Clients take most outcomes in the order in which they came.
        if self.order.front() == Some(&place) {
            self.order.pop_front();
        }
    }
}

impl Scheduler {
    /// The worker that brought the outcome of an ended task keeps it from now on.
    pub(super) fn keep(&mut self, key: TaskKey, worker_key: WorkerKey) {
        let worker = &mut self.workers[worker_key];
        let entry = &mut self.tasks[key];
        let keeper = Keeper { worker: worker_key, stamp: worker.stamp };
        // A worker may bring or list an outcome more than once.
        if let TaskState::Ended(ended) = &mut entry.state
            && ended.keeper != Some(keeper)
        {
            ended.keeper = Some(keeper);
            worker.kept.add((key, entry.stamp), kept_weight(ended));
            let is_full = worker.kept.order.len() == worker.kept.order.capacity();
            if worker.kept.bytes > self.limits.kept_bytes {
                self.settle_oldest(worker_key, self.limits.kept_bytes);
            }
            if is_full {
                self.forget_settled(worker_key);
            }
        }
    }

    /// Lets the worker forget the outcome of a task, if it keeps it.
    pub(super) fn settle(&mut self, key: TaskKey) {
        let entry = &mut self.tasks[key];
        if let TaskState::Ended(ended) = &mut entry.state
            && let Some(keeper) = ended.keeper.take()
        {
            let (place, attempt, bytes) = ((key, entry.stamp), attempt_of(ended), kept_weight(ended));
            self.settle_with(keeper, place, attempt, bytes);
        }
    }

    /// Lets the keeper of an outcome forget it, which stands at this place of its list.
    pub(super) fn settle_with(&mut self, keeper: Keeper, place: KeptPlace, attempt: AttemptId, bytes: u64) {
        if let Some(worker) = self.workers.get_mut(keeper.worker)
            && worker.stamp == keeper.stamp
        {
            worker.kept.remove(place, bytes);
            if worker.pending_acks.add(attempt, bytes) {
                self.acks_due.push(keeper.worker);
            }
        }
    }

    /// True if a worker may keep the outcome of this attempt, which has ended its task: it brought it, and no other worker
    /// keeps it now.
    pub(super) fn may_keep(&self, key: TaskKey, worker: WorkerKey, attempt: Attempt) -> bool {
        let Some(ended) = self.tasks[key].ended() else {
            return false;
        };
        let is_free = |keeper: &Keeper| keeper.worker == worker || !self.is_current(*keeper);
        ended.outcome.head.attempt == attempt && ended.keeper.as_ref().is_some_and(is_free)
    }

    /// True if the worker keeps the outcome of this attempt, which has ended its task.
    pub(super) fn is_kept_by(&self, key: TaskKey, worker: WorkerKey, attempt: Attempt) -> bool {
        let is_here = |keeper: Keeper| keeper.worker == worker && self.is_current(keeper);
        let ended = self.tasks[key].ended().filter(|ended| ended.outcome.head.attempt == attempt);
        ended.and_then(|ended| ended.keeper).is_some_and(is_here)
    }

    /// A worker drains from now on.
    pub(super) fn note_draining(&mut self, key: WorkerKey) {
        let worker = &mut self.workers[key];
        if !std::mem::replace(&mut worker.draining, true) {
            self.placement.update(key, worker);
            self.draining.push(key);
        }
        self.flush_acks(key);
    }

    /// A worker that drains and runs nothing any more is not kept waiting for clients.
    pub(super) fn release_drained(&mut self) {
        if self.draining.is_empty() {
            return;
        }
        self.draining.retain(|key| self.workers.get(*key).is_some_and(|worker| worker.draining));
        for key in self.draining.clone() {
            if self.workers[key].outstanding() == 0 {
                self.settle_drained(key);
            }
        }
    }

    /// Settles all outcomes of a worker that drains, as many as there is time for.
    fn settle_drained(&mut self, key: WorkerKey) {
        while self.workers[key].kept.bytes > 0 {
            if !self.has_time() {
                // The next batch goes on.
                return self.timers.set(self.now + STEP, Timer::ChoresGoOn);
            }
            let bytes = self.workers[key].kept.bytes;
            self.settle_oldest(key, bytes - 1);
        }
    }

    /// Settles outcomes of a worker, the oldest first, until it keeps at most this many bytes.
    fn settle_oldest(&mut self, worker: WorkerKey, bytes_max: u64) {
        while let kept = &mut self.workers[worker].kept
            && kept.bytes > bytes_max
            && let Some((key, stamp)) = kept.order.pop_front()
        {
            if self.is_kept(worker, key, stamp) {
                self.settle(key);
            }
        }
    }

    /// Takes settled outcomes out of a list that has no room left. There is room for as many as stay, so that this costs
    /// little for each.
    fn forget_settled(&mut self, worker: WorkerKey) {
        let mut order = std::mem::take(&mut self.workers[worker].kept.order);
        order.retain(|(key, stamp)| self.is_kept(worker, *key, *stamp));
        order.shrink_to(2 * order.len());
        order.reserve(order.len());
        self.workers[worker].kept.order = order;
    }

    /// True if this place in a worker's list is that of an outcome which it keeps.
    fn is_kept(&self, worker: WorkerKey, key: TaskKey, stamp: u32) -> bool {
        let entry = self.tasks.get(key).filter(|entry| entry.stamp == stamp);
        let keeper = entry.and_then(|entry| entry.ended()?.keeper);
        keeper.is_some_and(|keeper| keeper.worker == worker && self.is_current(keeper))
    }

    fn is_current(&self, keeper: Keeper) -> bool {
        self.workers.get(keeper.worker).is_some_and(|worker| worker.stamp == keeper.stamp)
    }

    pub(super) fn assert_outcomes_are_kept(&self) {
        for (key, worker) in self.workers.iter() {
            let kept: Vec<&Ended> = self
                .tasks
                .values()
                .filter_map(|entry| entry.ended())
                .filter(|ended| ended.keeper == Some(Keeper { worker: key, stamp: worker.stamp }))
                .collect();
            let count = kept.len();
            let bytes: u64 = kept.into_iter().map(kept_weight).sum();
            assert_eq!(worker.kept.bytes, bytes, "the bytes of a worker's kept outcomes are miscounted");
            assert!(bytes <= self.limits.kept_bytes, "a worker keeps too much");
            let listed = worker.kept.order.iter().filter(|(task, stamp)| self.is_kept(key, *task, *stamp));
            assert_eq!(listed.count(), count, "a kept outcome is not listed once");
        }
    }
}

pub(super) fn attempt_of(ended: &Ended) -> AttemptId {
    AttemptId { task: ended.outcome.head.id, attempt: ended.outcome.head.attempt }
}

/// Memory that an outcome uses in its worker, bytes.
pub(super) fn kept_weight(ended: &Ended) -> u64 {
    ended.outcome_weight + OVERHEAD
}
