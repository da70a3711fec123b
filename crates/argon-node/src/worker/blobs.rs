//! The worker's blobs: a cache by hash, and the tasks that wait for what it does not have, or does not know yet.

use std::collections::BTreeMap;

use argon_proto::AttemptId;
use argon_proto::{BlobHash, Payload, Task};
use rustc_hash::{FxHashMap, FxHashSet};

/// Bytes that the cache holds at most, beside what tasks at this worker name.
const CACHE_BYTES: u64 = 256 << 20;

/// Blobs by hash; the ones not used for longest go first.
#[derive(Debug)]
pub(super) struct Blobs {
    held: FxHashMap<BlobHash, (Payload, u64)>,
    by_use: BTreeMap<u64, BlobHash>,
    uses: u64,
    bytes: u64,
    bytes_max: u64,
    /// Kept as files, and not here any more.
    elsewhere: FxHashSet<BlobHash>,
    /// Asked of the manager on this connection.
    asked: FxHashSet<BlobHash>,
    /// Tasks that are not complete yet, in the order in which they came.
    parked: Vec<Task>,
}

impl Default for Blobs {
    fn default() -> Self {
        Self {
            held: FxHashMap::default(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            bytes_max: CACHE_BYTES,
            elsewhere: FxHashSet::default(),
            asked: FxHashSet::default(),
            parked: Vec::new(),
        }
    }
}

impl Blobs {
    /// A blob's bytes, if they are here.
    pub(super) fn find(&mut self, hash: BlobHash) -> Option<Payload> {
        let (payload, used) = self.held.get_mut(&hash)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, hash);
        Some(payload.clone())
    }

    /// Keeps a blob that arrived. `named` are the tasks at this worker, whose blobs stay.
    pub(super) fn keep<'a>(
        &mut self,
        hash: BlobHash,
        payload: Payload,
        named: impl Iterator<Item = &'a Task>,
    ) {
        self.asked.remove(&hash);
        if self.find(hash).is_some() {
            return;
        }
        self.bytes += payload.len();
        self.uses += 1;
        self.held.insert(hash, (payload, self.uses));
        self.by_use.insert(self.uses, hash);
        if self.bytes > self.bytes_max {
            let mut pinned: FxHashSet<BlobHash> = named.flat_map(Task::blob_hashes).collect();
            pinned.extend(self.parked.iter().flat_map(Task::blob_hashes));
            self.make_room(&pinned);
        }
    }

    /// A blob is kept as a file from now on, and its bytes are needed here no more.
    pub(super) fn move_out(&mut self, hash: BlobHash) {
        self.elsewhere.insert(hash);
        if let Some((payload, used)) = self.held.remove(&hash) {
            self.by_use.remove(&used);
            self.bytes -= payload.len();
        }
    }

    /// Blobs that were kept as files are so no more.
    pub(super) fn has_lost(&mut self, hashes: &[BlobHash]) {
        self.elsewhere.retain(|hash| !hashes.contains(hash));
    }

    fn make_room(&mut self, pinned: &FxHashSet<BlobHash>) {
        let free: Vec<(u64, BlobHash)> = self
            .by_use
            .iter()
            .filter(|(_, hash)| !pinned.contains(hash))
            .map(|(used, hash)| (*used, *hash))
            .collect();
        for (used, hash) in free {
            if self.bytes <= self.bytes_max {
                return;
            }
            self.by_use.remove(&used);
            if let Some((payload, _)) = self.held.remove(&hash) {
                self.bytes -= payload.len();
            }
        }
    }

    /// Whether all blobs that a task names are here. Counts as a use of them.
    pub(super) fn has_all(&mut self, task: &Task) -> bool {
        // All are looked up, also behind one that is missing: each look counts as a use.
        let is_missing = |hash: &BlobHash| self.find(*hash).is_none() && !self.elsewhere.contains(hash);
        task.blob_hashes().filter(is_missing).count() == 0
    }

    /// Lets a task wait until its blobs have come.
    pub(super) fn park(&mut self, task: Task) {
        if !self.parked.iter().any(|parked| attempt_of(parked) == attempt_of(&task)) {
            self.parked.push(task);
        }
    }

    /// The parked tasks that are complete by now and may go, in order.
    pub(super) fn take_complete(&mut self, mut may_go: impl FnMut(&Task) -> bool) -> Vec<Task> {
        let parked = std::mem::take(&mut self.parked);
        let (complete, waiting) = parked.into_iter().partition(|task| self.has_all(task) && may_go(task));
        self.parked = waiting;
        complete
    }

    /// Gives up parked tasks: up to `count` of those that `wanted` picks, the last to come first.
    pub(super) fn take_parked(
        &mut self,
        count: usize,
        mut wanted: impl FnMut(AttemptId) -> bool,
    ) -> Vec<AttemptId> {
        let mut taken = Vec::new();
        for at in (0..self.parked.len()).rev() {
            if taken.len() < count && wanted(attempt_of(&self.parked[at])) {
                taken.push(attempt_of(&self.parked.remove(at)));
            }
        }
        taken.reverse();
        taken
    }

    /// The attempts that are parked.
    pub(super) fn parked(&self) -> impl Iterator<Item = AttemptId> + '_ {
        self.parked.iter().map(attempt_of)
    }

    /// What the manager has to be asked for: missing for parked tasks, or wanted by runners, and not asked yet.
    pub(super) fn take_questions(&mut self, wanted: impl Iterator<Item = BlobHash>) -> Vec<BlobHash> {
        let named = self.parked.iter().flat_map(Task::blob_hashes);
        let named = named.filter(|hash| !self.elsewhere.contains(hash)).chain(wanted);
        let mut hashes = Vec::new();
        for hash in named {
            if !self.held.contains_key(&hash) && self.asked.insert(hash) {
                hashes.push(hash);
            }
        }
        hashes
    }

    /// The connection was lost, and with it every question.
    pub(super) fn forget_questions(&mut self) {
        self.asked.clear();
    }
}

pub(super) fn attempt_of(task: &Task) -> AttemptId {
    AttemptId { task: task.head.id, attempt: task.head.attempt }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::worker::tests::task;

    fn blob(byte: u8, length: usize) -> (BlobHash, Payload) {
        let payload = Payload::from(vec![byte; length]);
        (BlobHash::of(payload.parts()), payload)
    }

    fn task_naming(sequence: u64, hashes: &[BlobHash]) -> Task {
        Task::new(task(sequence, "x").head, hashes.iter().copied(), Bytes::new(), Payload::default())
    }

    #[test]
    fn the_blob_not_used_for_longest_goes_unless_a_task_names_it() {
        let mut blobs = Blobs { bytes_max: 250, ..Blobs::default() };
        let [one, two, three] = [1, 2, 3].map(|byte| blob(byte, 100));
        let naming_one = task_naming(1, &[one.0]);
        blobs.keep(one.0, one.1, std::iter::empty());
        blobs.keep(two.0, two.1, std::iter::empty());
        blobs.keep(three.0, three.1, [&naming_one].into_iter());
        assert!(blobs.find(one.0).is_some() && blobs.find(two.0).is_none() && blobs.find(three.0).is_some());
        assert_eq!(blobs.bytes, 200);
    }

    #[test]
    fn a_task_waits_for_all_its_blobs_and_each_is_asked_for_once() {
        let mut blobs = Blobs::default();
        let (one, two) = (blob(1, 10), blob(2, 10));
        blobs.park(task_naming(1, &[one.0, two.0]));
        blobs.park(task_naming(2, &[two.0]));
        assert_eq!(blobs.take_questions(std::iter::empty()), [one.0, two.0]);
        assert_eq!(blobs.take_questions(std::iter::empty()), []);
        blobs.keep(two.0, two.1, std::iter::empty());
        assert_eq!(blobs.take_complete(|_| true), [task_naming(2, &[two.0])]);
        blobs.forget_questions();
        assert_eq!(blobs.take_questions(std::iter::empty()), [one.0]);
        assert_eq!(blobs.take_parked(9, |_| true), [attempt_of(&task(1, "x"))]);
        assert_eq!(blobs.parked().count(), 0);
    }
}
