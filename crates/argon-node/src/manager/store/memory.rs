//! A store without files: detached tasks survive their client, not their manager.

use super::{CommitBatch, Loaded, PayloadReader, Store, StoreError};

/// Keeps nothing beyond what the scheduler itself keeps.
#[derive(Debug, Default)]
pub struct MemoryStore;

impl Store for MemoryStore {
    fn commit(&mut self, _batch: &CommitBatch) -> Result<(), StoreError> {
        Ok(())
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn is_slow(&self) -> bool {
        false
    }

    fn stored_above(&self) -> u64 {
        u64::MAX
    }

    fn payloads(&self) -> Option<Box<dyn PayloadReader>> {
        None
    }
}
