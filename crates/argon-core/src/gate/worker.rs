//! The worker's gate: a task goes to the pool when its blobs are here, and what it may wait for besides is known.
//!
//! Blobs are a cache. Those that tasks at this worker name stay; the ones not used for longest go first.

use std::collections::{BTreeMap, BTreeSet};

use argon_proto::conversation::worker::{Held, Run};
use argon_proto::{AttemptId, BlobHash, ByteLru, Payload, Task};
use rustc_hash::{FxHashMap, FxHashSet};

use super::distinct;

/// Bytes that the cache holds at most, besides the blobs that tasks at this worker name.
const CACHE_BYTES: u64 = 256 << 20;

/// See the module.
#[derive(Debug)]
pub struct WorkerGate {
    held: ByteLru<BlobHash, Payload>,
    bytes_max: u64,
    /// Kept as files, and not here any more.
    elsewhere: FxHashSet<BlobHash>,
    /// Asked of the manager on this connection.
    asked: FxHashSet<BlobHash>,
    /// Tasks that wait, in the order in which they came.
    parked: BTreeMap<u64, ParkedAttempt>,
    parked_by_attempt: FxHashMap<AttemptId, u64>,
    last_parked: u64,
    /// Parked tasks that wait for each blob.
    waiting: FxHashMap<BlobHash, BTreeSet<u64>>,
}

#[derive(Debug)]
struct ParkedAttempt {
    run: Run,
    /// Number of its blobs that are not here; 0 if it waits for something else.
    missing: usize,
}

/// Answer to a manager that retracts tasks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retracted {
    /// Attempts that waited here and go back: they have started least of all.
    pub returned: Vec<AttemptId>,
    /// Number of further attempts that the pool is asked for; `None` if it is not asked.
    pub left: Option<u32>,
}

impl Default for WorkerGate {
    fn default() -> Self {
        Self::new(CACHE_BYTES)
    }
}

impl WorkerGate {
    /// A gate whose cache holds at most `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self {
            held: ByteLru::default(),
            bytes_max,
            elsewhere: FxHashSet::default(),
            asked: FxHashSet::default(),
            parked: BTreeMap::new(),
            parked_by_attempt: FxHashMap::default(),
            last_parked: 0,
            waiting: FxHashMap::default(),
        }
    }

    /// The manager gave a task: it is returned if it may go to the pool at once. `may_start` tells whether what a task
    /// waits for besides its blobs is there.
    pub fn on_run(&mut self, run: Run, may_start: impl FnOnce(&Task) -> bool) -> Option<Run> {
        // All are looked up, also behind one that is missing: each look counts as a use.
        let missing: Vec<BlobHash> = distinct(&run.task).filter(|hash| !self.use_blob(*hash)).collect();
        if missing.is_empty() && may_start(&run.task) {
            return Some(run);
        }
        let attempt = run.task.attempt_id();
        if self.parked_by_attempt.contains_key(&attempt) {
            return None;
        }
        self.last_parked += 1;
        let number = self.last_parked;
        for hash in &missing {
            self.waiting.entry(*hash).or_default().insert(number);
        }
        self.parked_by_attempt.insert(attempt, number);
        self.parked.insert(number, ParkedAttempt { run, missing: missing.len() });
        None
    }

    /// A blob arrived. `named` are the tasks in the pool, whose blobs stay. Returns the tasks that go to the pool now.
    pub fn on_blob<'a>(
        &mut self,
        hash: BlobHash,
        payload: Payload,
        named: impl Iterator<Item = &'a Task>,
        mut may_start: impl FnMut(&Task) -> bool,
    ) -> Vec<Run> {
        self.asked.remove(&hash);
        if self.held.get(&hash).is_some() {
            return Vec::new();
        }
        let bytes = payload.len();
        self.held.insert(hash, payload, bytes);
        if self.held.bytes() > self.bytes_max {
            self.make_room(named);
        }
        let mut complete = Vec::new();
        for number in self.waiting.remove(&hash).into_iter().flatten() {
            if let Some(parked) = self.parked.get_mut(&number) {
                parked.missing -= 1;
                if parked.missing == 0 && may_start(&parked.run.task) {
                    complete.extend(self.unpark(number));
                }
            }
        }
        complete
    }

    /// Returns the tasks that go to the pool now, after the facts arrived that they wait for besides their blobs.
    pub fn take_startable(&mut self, mut may_start: impl FnMut(&Task) -> bool) -> Vec<Run> {
        let startable: Vec<u64> = self
            .parked
            .iter()
            .filter(|(_, parked)| parked.missing == 0 && may_start(&parked.run.task))
            .map(|(number, _)| *number)
            .collect();
        startable.into_iter().filter_map(|number| self.unpark(number)).collect()
    }

    /// The manager wants up to `count` attempts back.
    pub fn on_retract(&mut self, count: u32) -> Retracted {
        let returned = self.retract(count as usize);
        let left = count - u32::try_from(returned.len()).unwrap_or(count).min(count);
        // A recall is answered, also if there is nothing to give back: then by the pool.
        let left = (left > 0 || returned.is_empty()).then_some(left);
        Retracted { returned, left }
    }

    /// Gives up to `count` tasks that wait, the last to come first, and returns them in the order in which they came.
    pub fn retract(&mut self, count: usize) -> Vec<AttemptId> {
        let last: Vec<u64> = self.parked.keys().rev().take(count).copied().collect();
        last.into_iter()
            .rev()
            .filter_map(|number| self.unpark(number))
            .map(|run| run.task.attempt_id())
            .collect()
    }

    /// The manager wants these attempts forgotten. Those that wait here are; the pool answers for all.
    pub fn on_stop(&mut self, attempts: &[AttemptId]) {
        for attempt in attempts {
            if let Some(number) = self.parked_by_attempt.get(attempt).copied() {
                self.unpark(number);
            }
        }
    }

    /// Questions that have waited for an answer go out again: what the manager does not have may be nowhere.
    pub fn ask_again(&mut self) {
        self.asked.clear();
    }

    /// True if the manager was asked for something that has not come.
    #[must_use]
    pub fn waits_for_answers(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The connection was lost, and with it every question.
    pub fn on_manager_lost(&mut self) {
        self.asked.clear();
    }

    /// A blob is kept as a file from now on, and its bytes are needed here no more.
    pub fn on_moved_to_file(&mut self, hash: BlobHash) {
        self.elsewhere.insert(hash);
        self.held.remove(&hash);
    }

    /// Blobs that were kept as files are so no more.
    pub fn on_files_lost(&mut self, hashes: &[BlobHash]) {
        for hash in hashes {
            if !self.elsewhere.remove(hash) || self.held.contains(hash) {
                continue;
            }
            for (number, parked) in &mut self.parked {
                if distinct(&parked.run.task).any(|named| named == *hash) {
                    parked.missing += 1;
                    self.waiting.entry(*hash).or_default().insert(*number);
                }
            }
        }
    }

    /// A blob's bytes, if they are here. Counts as a use.
    pub fn find(&mut self, hash: BlobHash) -> Option<Payload> {
        self.held.get(&hash).map(|payload| payload.clone())
    }

    /// Returns the blobs to ask the manager for: missing for tasks that wait, or wanted by runners, and not asked for yet.
    pub fn take_questions(&mut self, wanted: impl Iterator<Item = BlobHash>) -> Vec<BlobHash> {
        let mut hashes: Vec<BlobHash> = Vec::new();
        if self.waiting.keys().any(|hash| !self.asked.contains(hash)) {
            let named = self.parked.values().filter(|parked| parked.missing > 0);
            let named = named.flat_map(|parked| distinct(&parked.run.task));
            hashes.extend(named.filter(|hash| self.waiting.contains_key(hash)));
        }
        hashes.extend(wanted.filter(|hash| !self.held.contains(hash)));
        hashes.retain(|hash| self.asked.insert(*hash));
        hashes
    }

    /// The attempts that wait, the oldest first.
    pub fn parked(&self) -> impl Iterator<Item = Held> + '_ {
        let held = |Run { token, task }: &Run| Held { attempt: task.attempt_id(), token: *token };
        self.parked.values().map(move |parked| held(&parked.run))
    }

    /// Panics if something is not as it always is.
    pub fn assert_invariants(&self) {
        let is_here = |hash: &BlobHash| self.held.contains(hash) || self.elsewhere.contains(hash);
        for (number, parked) in &self.parked {
            let missing: Vec<BlobHash> = distinct(&parked.run.task).filter(|hash| !is_here(hash)).collect();
            assert_eq!(parked.missing, missing.len(), "a parked task counts its missing blobs wrong");
            for hash in missing {
                assert!(self.waiting[&hash].contains(number), "a parked task is not waited for");
            }
        }
        assert!(self.waiting.values().all(|waiting| !waiting.is_empty()), "nobody waits for a blob");
        let bytes: u64 = self.held.iter().map(|(_, payload)| payload.len()).sum();
        assert_eq!(bytes, self.held.bytes(), "the bytes of the cache are counted wrong");
        self.held.assert_invariants();
        assert_eq!(self.parked.len(), self.parked_by_attempt.len(), "parked attempts are listed wrong");
    }

    /// True if a task may find the blob here, in the cache or in a file.
    fn use_blob(&mut self, hash: BlobHash) -> bool {
        self.held.get(&hash).is_some() || self.elsewhere.contains(&hash)
    }

    fn make_room<'a>(&mut self, named: impl Iterator<Item = &'a Task>) {
        let mut pinned: FxHashSet<BlobHash> = named.flat_map(Task::blob_hashes).collect();
        pinned.extend(self.parked.values().flat_map(|parked| parked.run.task.blob_hashes()));
        self.held.shrink_to(self.bytes_max, |hash| pinned.contains(hash));
    }

    fn unpark(&mut self, number: u64) -> Option<Run> {
        let ParkedAttempt { run, missing } = self.parked.remove(&number)?;
        self.parked_by_attempt.remove(&run.task.attempt_id());
        if missing > 0 {
            for hash in distinct(&run.task) {
                if let Some(waiting) = self.waiting.get_mut(&hash) {
                    waiting.remove(&number);
                    if waiting.is_empty() {
                        self.waiting.remove(&hash);
                    }
                }
            }
        }
        Some(run)
    }
}

#[cfg(test)]
mod tests;
