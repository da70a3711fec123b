//! Tasks that wait for blobs. A task passes a gate when all blobs that it names are here: one gate before the
//! scheduler ([`ManagerGate`]), one before the pool ([`WorkerGate`]).
//!
//! Each gate holds the blobs themselves and an index from a blob to the tasks that wait for it, so that an arrival costs time
//! in proportion to what it completes. A task needs a blob once, however often it names it.

mod manager;
mod worker;

use argon_proto::{BlobHash, Task};

pub use manager::{GateEffect, ManagerGate};
pub use worker::{Retracted, WorkerGate};

/// The blobs that a task names, each once: they are needed, waited for and released by this list alone.
fn distinct(task: &Task) -> impl Iterator<Item = BlobHash> + '_ {
    once_each(task.blob_hashes())
}

/// The hashes without repetitions. A task names few.
fn once_each<I: Iterator<Item = BlobHash> + Clone>(hashes: I) -> impl Iterator<Item = BlobHash> {
    let all = hashes.clone();
    let is_first = move |at: usize, hash: BlobHash| all.clone().take(at).all(|earlier| earlier != hash);
    hashes.enumerate().filter(move |(at, hash)| is_first(*at, *hash)).map(|(_, hash)| hash)
}
