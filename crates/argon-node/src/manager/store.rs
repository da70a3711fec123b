//! Storage of records about detached tasks.
//!
//! A store is a durable map of live detached tasks: [`Store::commit`] takes a batch of records, whole and in order, and returns
//! when it is durable; [`Store::load`] gives back what a later manager needs. `conformance.rs` holds what every durable
//! store must do.

mod committer;
#[cfg(test)]
mod conformance;
mod damage;
mod disk;
mod memory;

pub use committer::{Committed, Committer};
pub use disk::DiskStore;
pub(in crate::manager) use disk::payload_folder;
pub use memory::MemoryStore;

use argon_core::scheduler::Record;
use argon_proto::{BlobHash, Payload, TaskId};

/// Records that become durable together.
#[derive(Debug, Default)]
pub struct CommitBatch {
    /// The facts, in order.
    pub records: Vec<Record>,
    /// The blobs that tasks accepted in this batch name; some may be stored already.
    pub blobs: Vec<(BlobHash, Payload)>,
}

/// Content that an earlier manager left.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Facts, in an order in which they can be replayed.
    pub records: Vec<Record>,
    /// The blobs that their tasks name.
    pub blobs: Vec<(BlobHash, Payload)>,
}

/// A place for records.
pub trait Store: Send + std::fmt::Debug {
    /// Makes a batch durable.
    ///
    /// # Errors
    /// [`StoreError::Full`] if nothing of the batch was taken and it may be offered again; [`StoreError::Broken`] if
    /// it is unknown what is durable: the manager must stop.
    fn commit(&mut self, batch: &CommitBatch) -> Result<(), StoreError>;

    /// All records that matter.
    ///
    /// # Errors
    /// If what is stored cannot be read.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// True if commits are slow and need a thread of their own.
    fn is_slow(&self) -> bool;

    /// Size, bytes, beyond which a durable payload leaves memory, to be read by [`Store::payloads`].
    fn stored_above(&self) -> u64;

    /// Reader of the payloads that have left memory; `None` if none do.
    fn payloads(&self) -> Option<Box<dyn PayloadReader>>;
}

/// Reads payloads from any thread while the store goes on. A read may block.
pub trait PayloadReader: Send + Sync + std::fmt::Debug {
    /// The bytes of a payload that is durable.
    ///
    /// # Errors
    /// If it is not there any more, or was damaged.
    fn read(&self, name: PayloadName) -> Result<Payload, Unreadable>;
}

/// Name of a stored payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum PayloadName {
    /// Arguments of a task.
    Arguments(TaskId),
    /// Result of a task.
    Result(TaskId),
    /// A blob.
    Blob(BlobHash),
}

impl PayloadName {
    /// The name as bytes, which the checksum of the payload covers.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 33] {
        let mut bytes = [0; 33];
        match self {
            Self::Arguments(id) => {
                bytes[0] = 1;
                bytes[1..25].copy_from_slice(&id.to_bytes());
            }
            Self::Result(id) => {
                bytes[0] = 2;
                bytes[1..25].copy_from_slice(&id.to_bytes());
            }
            Self::Blob(hash) => {
                bytes[0] = 3;
                bytes[1..].copy_from_slice(&hash.0);
            }
        }
        bytes
    }
}

/// Reason why a payload cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its task has ended, or was forgotten.
    #[error("it is needed no longer")]
    Gone,
    /// The disk gives other bytes than those that were written, or an error.
    #[error("{0}")]
    Damaged(String),
}

/// Failure of a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is full.
    #[error("{0}")]
    Full(String),
    /// The store is in an unknown state.
    #[error("{0}")]
    Broken(String),
}
