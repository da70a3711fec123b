//! Invariants of the manager's gate. Tests and the simulator check them after every step.

use argon_proto::{BlobHash, Payload};

use super::{Entry, ManagerGate, distinct};

impl ManagerGate {
    /// Panics if something is not as it always is.
    pub fn assert_invariants(&self) {
        for (number, parked) in &self.parked {
            let missing: Vec<BlobHash> =
                distinct(&parked.task).filter(|hash| !self.contains(*hash)).collect();
            assert!(parked.missing >= missing.len(), "a parked task counts its missing blobs wrong");
            let is_exact = parked.missing == missing.len() && parked.missing > 0;
            assert!(is_exact || !self.backlog.is_empty(), "a task waits for nothing");
            for hash in missing {
                assert!(self.blobs[&hash].waiting.contains(number), "a parked task is not waited for");
            }
            for hash in distinct(&parked.task) {
                assert!(self.blobs[&hash].needed_by > 0, "a blob of a parked task is not needed");
            }
        }
        let spare = |entry: &&Entry| entry.needed_by == 0;
        let length = |entry: &Entry| entry.payload.as_ref().map_or(0, Payload::len);
        let spare_bytes: u64 = self.blobs.values().filter(spare).map(length).sum();
        assert_eq!(spare_bytes, self.spare_bytes, "spare bytes are counted wrong");
        let is_kept = |entry: &Entry| entry.payload.is_some() || entry.needed_by > 0;
        assert!(self.blobs.values().all(is_kept), "an entry stands for nothing");
        let bytes: u64 = self.blobs.values().map(length).sum();
        assert_eq!(bytes, self.held_bytes, "blobs are counted wrong");
        let of_links: u64 = self.parked_by_link.values().map(|of_link| of_link.bytes).sum();
        assert_eq!(of_links, self.parked_bytes, "waiting tasks are counted wrong");
        assert_eq!(self.held, self.blobs.values().filter(|entry| entry.payload.is_some()).count());
    }

    /// True if nothing waits, and nothing is needed.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.parked.is_empty() && self.blobs.values().all(|entry| entry.needed_by == 0)
    }
}
