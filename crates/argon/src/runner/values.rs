//! Blobs that a runner keeps: the bytes of shared values and the values that were read from them, within a bound.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon_proto::{BlobHash, ByteLru, Payload};
use argon_session::known_blob;

use crate::shared::{Keeper, Kept};

/// More bytes than these are not kept for later tasks.
const BYTES_MAX: u64 = 256 << 20;

/// Shared values by the hash of their bytes.
#[derive(Default)]
pub(super) struct Values {
    held: Mutex<ByteLru<BlobHash, Kept>>,
}

impl Values {
    pub(super) fn has(&self, hash: BlobHash) -> bool {
        self.lock().contains(&hash)
    }

    /// Keeps a blob; what was unused for longest goes, but nothing of `wanted`.
    pub(super) fn insert(&self, hash: BlobHash, payload: Payload, wanted: &[BlobHash]) {
        let mut held = self.lock();
        let bytes = payload.len();
        held.insert(hash, Kept { blob: known_blob(hash, payload), value: None }, bytes);
        held.shrink_to(BYTES_MAX, |other| *other == hash || wanted.contains(other));
    }

    fn lock(&self) -> MutexGuard<'_, ByteLru<BlobHash, Kept>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Values {
    fn find(&self, hash: BlobHash) -> Option<Kept> {
        self.lock().get(&hash).cloned()
    }

    fn keep(&self, hash: BlobHash, read: Arc<dyn Any + Send + Sync>) {
        if let Some(kept) = self.lock().get(&hash) {
            kept.value = Some(read);
        }
    }
}
