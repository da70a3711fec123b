//! The manager's blobs: kept while a task needs them, and for a while after.

use std::collections::VecDeque;

use argon_proto::{BlobHash, Payload};
use rustc_hash::FxHashMap;

/// Bytes of blobs that no task needs and that are kept all the same.
const SPARE_BYTES: u64 = 256 << 20;

/// Blobs by hash, with the number of tasks that need each.
#[derive(Debug, Default)]
pub struct Blobs {
    held: FxHashMap<BlobHash, Held>,
    /// Blobs that were unneeded at some time, the oldest first; some are needed again.
    spare: VecDeque<(BlobHash, u64)>,
    spare_bytes: u64,
    uses: u64,
}

#[derive(Debug)]
struct Held {
    payload: Payload,
    needed_by: usize,
    /// Number of the last use; a spare entry with another number is stale.
    last_use: u64,
}

impl Blobs {
    /// Keeps a blob.
    pub fn insert(&mut self, hash: BlobHash, payload: Payload) {
        if self.held.contains_key(&hash) {
            return;
        }
        let length = payload.len();
        self.held.insert(hash, Held { payload, needed_by: 0, last_use: 0 });
        self.spare_bytes += length;
        self.put_aside(hash);
    }

    /// The blob, if it is here.
    #[must_use]
    pub fn payload(&self, hash: BlobHash) -> Option<&Payload> {
        self.held.get(&hash).map(|held| &held.payload)
    }

    /// Whether the blob is here.
    #[must_use]
    pub fn contains(&self, hash: BlobHash) -> bool {
        self.held.contains_key(&hash)
    }

    /// One more task needs the blob, which must be here.
    pub fn pin(&mut self, hash: BlobHash) {
        if let Some(held) = self.held.get_mut(&hash) {
            if held.needed_by == 0 {
                self.spare_bytes -= held.payload.len();
                held.last_use = 0;
            }
            held.needed_by += 1;
        }
    }

    /// One task fewer needs the blob.
    pub fn unpin(&mut self, hash: BlobHash) {
        let Some(held) = self.held.get_mut(&hash) else {
            return;
        };
        held.needed_by = held.needed_by.saturating_sub(1);
        if held.needed_by == 0 {
            self.spare_bytes += held.payload.len();
            self.put_aside(hash);
        }
    }

    fn put_aside(&mut self, hash: BlobHash) {
        self.uses += 1;
        if let Some(held) = self.held.get_mut(&hash) {
            held.last_use = self.uses;
        }
        self.spare.push_back((hash, self.uses));
        // The last to come stays, however big it is: the task that names it comes right behind it.
        while (self.spare_bytes > SPARE_BYTES && self.spare.len() > 1)
            || self.spare.len() > 2 * self.held.len() + 64
        {
            let Some((oldest, number)) = self.spare.pop_front() else {
                return;
            };
            let is_current =
                self.held.get(&oldest).is_some_and(|held| held.needed_by == 0 && held.last_use == number);
            if is_current && self.spare_bytes > SPARE_BYTES {
                if let Some(held) = self.held.remove(&oldest) {
                    self.spare_bytes -= held.payload.len();
                }
            } else if is_current {
                self.spare.push_back((oldest, number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> BlobHash {
        BlobHash([number; 32])
    }

    #[test]
    fn a_needed_blob_stays_however_much_comes_after_it() {
        let mut blobs = Blobs::default();
        let half = Payload::from(vec![0; SPARE_BYTES as usize / 2 + 1]);
        blobs.insert(hash(1), half.clone());
        blobs.pin(hash(1));
        for number in 2..5 {
            blobs.insert(hash(number), half.clone());
        }
        assert!(blobs.contains(hash(1)));
        assert!(!blobs.contains(hash(2)), "the oldest spare blob went");
        assert!(blobs.contains(hash(4)));
        blobs.unpin(hash(1));
        blobs.insert(hash(5), half);
        assert!(!blobs.contains(hash(4)));
    }

    #[test]
    fn a_blob_beyond_the_limit_stays_until_the_next_one_comes() {
        let mut blobs = Blobs::default();
        blobs.insert(hash(1), Payload::from(vec![0; SPARE_BYTES as usize + 1]));
        assert!(blobs.contains(hash(1)));
        blobs.pin(hash(1));
        blobs.unpin(hash(1));
        assert!(blobs.contains(hash(1)));
        blobs.insert(hash(2), Payload::from(vec![1]));
        assert!(!blobs.contains(hash(1)) && blobs.contains(hash(2)));
    }

    #[test]
    fn a_blob_used_by_a_million_tasks_leaves_no_trail() {
        let mut blobs = Blobs::default();
        blobs.insert(hash(1), Payload::from(vec![1]));
        for _ in 0..100_000 {
            blobs.pin(hash(1));
            blobs.unpin(hash(1));
        }
        assert!(blobs.contains(hash(1)));
        assert!(blobs.spare.len() < 100, "{} entries", blobs.spare.len());
    }
}
