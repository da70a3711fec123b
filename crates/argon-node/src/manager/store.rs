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
pub use memory::MemoryStore;

use argon_core::scheduler::Record;
use argon_proto::{BlobHash, Payload};

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
