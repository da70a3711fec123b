//! Index of the workers that may take a task, the least loaded first.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use rustc_hash::FxHashSet;

use super::WorkerKey;
use super::worker::Worker;
use crate::arena::ArenaKey;

/// Free slots come before sending ahead; then the shortest expected wait.
type Rank = (bool, u64, WorkerKey);

/// The least loaded worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    pub(super) worker: WorkerKey,
    /// True if it can start a task at once.
    pub(super) has_free_slot: bool,
}

/// Places of a worker in the two orders.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// Its place in `able`, if it may take a task.
    rank: Option<Rank>,
    /// Its place in `surplus`; 0 if it is not there.
    surplus: u64,
}

/// The index. A worker's place changes with everything that changes its load.
#[derive(Debug, Default)]
pub(super) struct Placement {
    able: BTreeSet<Rank>,
    /// Workers that hold more than their slots can run, the fullest last.
    surplus: BTreeSet<(u64, WorkerKey)>,
    /// Places of each worker in the two orders, by the index of its key: keys are few and close together.
    standings: Vec<Standing>,
    /// Workers in the index at which kinds of tasks rest.
    choosy: FxHashSet<WorkerKey>,
}

impl Placement {
    /// Puts a worker where it belongs now.
    pub(super) fn update(&mut self, key: WorkerKey, worker: &Worker) {
        let rank = worker.may_take().then(|| (worker.free_slots() == 0, worker.load(), key));
        let surplus = if worker.link.is_some() { worker.surplus() } else { 0 };
        self.stand(key, Standing { rank, surplus });
        if !worker.rests.is_empty() || !self.choosy.is_empty() {
            self.update_choosy(key, rank.is_some() && !worker.rests.is_empty());
        }
    }

    #[inline]
    fn stand(&mut self, key: WorkerKey, new: Standing) {
        if self.standings.len() <= key.place() {
            self.standings.resize(key.place() + 1, Standing::default());
        }
        let old = std::mem::replace(&mut self.standings[key.place()], new);
        if old.rank != new.rank {
            if let Some(rank) = old.rank {
                self.able.remove(&rank);
            }
            if let Some(rank) = new.rank {
                self.able.insert(rank);
            }
        }
        if old.surplus != new.surplus {
            self.move_surplus(key, old.surplus, new.surplus);
        }
    }

    fn move_surplus(&mut self, key: WorkerKey, old: u64, new: u64) {
        if old > 0 {
            self.surplus.remove(&(old, key));
        }
        if new > 0 {
            self.surplus.insert((new, key));
        }
    }

    fn rank_of(&self, key: WorkerKey) -> Option<&Rank> {
        self.standings.get(key.place())?.rank.as_ref()
    }

    #[cold]
    fn update_choosy(&mut self, key: WorkerKey, is_choosy: bool) {
        if is_choosy {
            self.choosy.insert(key);
        } else {
            self.choosy.remove(&key);
        }
    }

    /// Takes a worker out.
    pub(super) fn remove(&mut self, key: WorkerKey) {
        self.stand(key, Standing::default());
        self.choosy.remove(&key);
    }

    /// The worker that should get the next task.
    pub(super) fn best(&self) -> Option<Best> {
        self.able.first().map(|(is_full, _, worker)| Best { worker: *worker, has_free_slot: !is_full })
    }

    /// The next one behind a worker that is in the index.
    pub(super) fn best_after(&self, worker: WorkerKey) -> Option<Best> {
        let rank = self.rank_of(worker)?;
        let (is_full, _, worker) = self.able.range((Excluded(rank), Unbounded)).next()?;
        Some(Best { worker: *worker, has_free_slot: !is_full })
    }

    /// True if a worker that may take a task cannot take every task.
    pub(super) fn has_choosy(&self) -> bool {
        !self.choosy.is_empty()
    }

    /// True if any worker has a slot that nothing occupies.
    pub(super) fn has_free_slot(&self) -> bool {
        self.best().is_some_and(|best| best.has_free_slot)
    }

    /// The workers that hold more than they can run, the fullest first.
    pub(super) fn fullest(&self) -> impl Iterator<Item = WorkerKey> + '_ {
        self.surplus.iter().rev().map(|(_, key)| *key)
    }

    /// True if the worker is in the index.
    pub(super) fn is_able(&self, key: WorkerKey) -> bool {
        self.rank_of(key).is_some()
    }
}
