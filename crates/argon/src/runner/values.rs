//! Blobs that a runner keeps: the bytes of shared values and the values that were read from them, within a bound.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon_proto::{BlobHash, Payload};
use argon_session::{Blob, known_blob};

use crate::shared::{Keeper, Kept};

/// More bytes than these are not kept for later tasks.
const BYTES_MAX: u64 = 256 << 20;

/// Shared values by the hash of their bytes.
#[derive(Default)]
pub(super) struct Values {
    state: Mutex<HeldValues>,
}

#[derive(Default)]
struct HeldValues {
    by_hash: HashMap<BlobHash, Value>,
    bytes: u64,
    turn: u64,
}

struct Value {
    blob: Blob,
    value: Option<Arc<dyn Any + Send + Sync>>,
    used: u64,
}

impl Values {
    pub(super) fn has(&self, hash: BlobHash) -> bool {
        self.lock().by_hash.contains_key(&hash)
    }

    /// Keeps a blob; what was unused for longest goes, but nothing of `wanted`.
    pub(super) fn insert(&self, hash: BlobHash, payload: Payload, wanted: &[BlobHash]) {
        let mut state = self.lock();
        state.turn += 1;
        let used = state.turn;
        let bytes = payload.len();
        let blob = known_blob(hash, payload);
        if state.by_hash.insert(hash, Value { blob, value: None, used }).is_none() {
            state.bytes += bytes;
        }
        while state.bytes > BYTES_MAX {
            let oldest = state
                .by_hash
                .iter()
                .filter(|(other, _)| **other != hash && !wanted.contains(other))
                .min_by_key(|(_, value)| value.used)
                .map(|(other, _)| *other);
            let Some(gone) = oldest.and_then(|oldest| state.by_hash.remove(&oldest)) else {
                return;
            };
            state.bytes -= gone.blob.payload().len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HeldValues> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Values {
    fn find(&self, hash: BlobHash) -> Option<Kept> {
        let mut state = self.lock();
        state.turn += 1;
        let turn = state.turn;
        let value = state.by_hash.get_mut(&hash)?;
        value.used = turn;
        Some(Kept { blob: value.blob.clone(), value: value.value.clone() })
    }

    fn keep(&self, hash: BlobHash, read: Arc<dyn Any + Send + Sync>) {
        if let Some(value) = self.lock().by_hash.get_mut(&hash) {
            value.value = Some(read);
        }
    }
}
