//! Who is least loaded: an ordered index of the workers that may take a task.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use rustc_hash::{FxHashMap, FxHashSet};

use super::WorkerKey;
use super::worker::Worker;

/// Free slots come before sending ahead; then the shortest expected wait.
type Rank = (bool, u64, WorkerKey);

/// The least loaded worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    pub(super) worker: WorkerKey,
    /// Whether it can start a task at once.
    pub(super) has_free_slot: bool,
}

/// The index. A worker's place changes with everything that changes its load.
#[derive(Debug, Default)]
pub(super) struct Placement {
    able: BTreeSet<Rank>,
    rank_of: FxHashMap<WorkerKey, Rank>,
    /// Workers that hold more than their slots can run, the fullest last.
    surplus: BTreeSet<(u64, WorkerKey)>,
    surplus_of: FxHashMap<WorkerKey, u64>,
    /// Workers in the index at which kinds of tasks rest.
    choosy: FxHashSet<WorkerKey>,
}

impl Placement {
    /// Puts a worker where it belongs now.
    pub(super) fn update(&mut self, key: WorkerKey, worker: &Worker) {
        let rank = worker.may_take().then(|| (worker.free_slots() == 0, worker.load(), key));
        let old = match rank {
            Some(rank) => self.rank_of.insert(key, rank),
            None => self.rank_of.remove(&key),
        };
        if old != rank {
            if let Some(old) = old {
                self.able.remove(&old);
            }
            self.able.extend(rank);
        }
        if !worker.rests.is_empty() || !self.choosy.is_empty() {
            self.update_choosy(key, rank.is_some() && !worker.rests.is_empty());
        }
        self.update_surplus(key, if worker.link.is_some() { worker.surplus() } else { 0 });
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
        if let Some(rank) = self.rank_of.remove(&key) {
            self.able.remove(&rank);
        }
        self.choosy.remove(&key);
        self.update_surplus(key, 0);
    }

    /// The worker that should get the next task.
    pub(super) fn best(&self) -> Option<Best> {
        self.able.first().map(|(is_full, _, worker)| Best { worker: *worker, has_free_slot: !is_full })
    }

    /// The next one behind a worker that is in the index.
    pub(super) fn best_after(&self, worker: WorkerKey) -> Option<Best> {
        let rank = self.rank_of.get(&worker)?;
        let (is_full, _, worker) = self.able.range((Excluded(rank), Unbounded)).next()?;
        Some(Best { worker: *worker, has_free_slot: !is_full })
    }

    /// Whether a worker that may take a task cannot take every task.
    pub(super) fn has_choosy(&self) -> bool {
        !self.choosy.is_empty()
    }

    /// Whether any worker has a slot that nothing occupies.
    pub(super) fn has_free_slot(&self) -> bool {
        self.best().is_some_and(|best| best.has_free_slot)
    }

    /// The workers that hold more than they can run, the fullest first.
    pub(super) fn fullest(&self) -> impl Iterator<Item = WorkerKey> + '_ {
        self.surplus.iter().rev().map(|(_, key)| *key)
    }

    /// Whether the worker is in the index.
    pub(super) fn is_able(&self, key: WorkerKey) -> bool {
        self.rank_of.contains_key(&key)
    }

    fn update_surplus(&mut self, key: WorkerKey, surplus: u64) {
        let old =
            if surplus == 0 { self.surplus_of.remove(&key) } else { self.surplus_of.insert(key, surplus) };
        if old == Some(surplus) {
            return;
        }
        if let Some(old) = old {
            self.surplus.remove(&(old, key));
        }
        if surplus > 0 {
            self.surplus.insert((surplus, key));
        }
    }
}
