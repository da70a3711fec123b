//! Which tasks wait for which blobs. A task passes a gate when everything that it names is here: one before the
//! scheduler ([`ManagerGate`]), one before the pool ([`WorkerGate`]).
//!
//! Each gate holds the blobs themselves and an index from a blob to the tasks that wait for it, so that an arrival costs time
//! in proportion to what it completes. A task needs a blob once, however often it names it.

mod manager;
mod worker;

use argon_proto::{BlobHash, Task};

pub use manager::{GateEffect, ManagerGate};
pub use worker::{Retracted, WorkerGate};

/// The blobs that a task names, each once.
fn distinct(task: &Task) -> impl Iterator<Item = BlobHash> + '_ {
    let is_first = |at: usize, hash: BlobHash| task.blob_hashes().take(at).all(|earlier| earlier != hash);
    task.blob_hashes().enumerate().filter(move |(at, hash)| is_first(*at, *hash)).map(|(_, hash)| hash)
}
