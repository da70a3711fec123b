//! One batch at a time goes to the store; what comes meanwhile waits and goes together: group commit.
//!
//! A disk store works on a thread of its own, so that a slow disk delays detached tasks and nothing else.

use std::collections::VecDeque;
use std::sync::mpsc;

use argon_core::gate::ManagerGate;
use argon_core::scheduler::Record;
use argon_proto::{BlobHash, Payload};
use tokio::sync::mpsc as async_mpsc;

use super::{CommitBatch, Store, StoreError};
use crate::exit::{Failure, FailureKind};
use crate::failpoint::must_fail;
use crate::memory;

/// Bytes of records that one commit takes, and the record that goes beyond. More would be durable later, and clients get
/// their credit back when it is.
const BATCH_BYTES: u64 = 16 << 20;

/// Records from this size count for [`GIVE_BACK_BYTES`].
const LARGE_BYTES: u64 = 64 << 10;
/// Bytes of large records after which the system gets free memory back. What large payloads leave lies between what small
/// facts about their tasks keep, and the heap would grow with the number of tasks.
const GIVE_BACK_BYTES: u64 = 32 << 20;

/// Result of committing all records up to a number.
#[derive(Debug)]
pub struct Committed {
    /// Records handed over so far, the ones of this batch included.
    pub up_to: u64,
    /// Success if they are durable.
    pub verdict: Result<(), StoreError>,
}

/// Hands records to a store in batches.
#[derive(Debug)]
pub struct Committer {
    store: StoreHandle,
    waiting: VecDeque<Record>,
    /// Blobs that tasks in `waiting` name, by the number of the record.
    blobs: VecDeque<(u64, BlobHash, Payload)>,
    /// Records that were added, in all.
    added: u64,
    handed: u64,
    is_busy: bool,
}

#[derive(Debug)]
enum StoreHandle {
    Here(Box<dyn Store>),
    Thread(mpsc::Sender<CommitBatch>, async_mpsc::UnboundedReceiver<Result<(), StoreError>>),
}

impl Committer {
    /// Takes charge of a store.
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn new(store: Box<dyn Store>) -> Result<Self, Failure> {
        let store = if store.is_slow() { start_thread(store)? } else { StoreHandle::Here(store) };
        Ok(Self {
            store,
            waiting: VecDeque::new(),
            blobs: VecDeque::new(),
            added: 0,
            handed: 0,
            is_busy: false,
        })
    }

    /// Adds records, with the blobs that their tasks name.
    pub fn add(&mut self, records: impl IntoIterator<Item = Record>, gate: &ManagerGate) {
        for record in records {
            self.added += 1;
            if let Record::TaskAccepted(task, _) = &record {
                let number = self.added;
                let named = task.blob_hashes();
                self.blobs.extend(named.filter_map(|hash| Some((number, hash, gate.payload(hash)?.clone()))));
            }
            self.waiting.push_back(record);
        }
    }

    /// The next records in order, as many as one commit takes.
    fn next_batch(&mut self) -> CommitBatch {
        let mut batch = CommitBatch::default();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(record) = self.waiting.pop_front()
        {
            self.handed += 1;
            bytes += record.weight();
            while let Some((_, hash, payload)) =
                self.blobs.pop_front_if(|(number, ..)| *number <= self.handed)
            {
                batch.blobs.push((hash, payload));
            }
            batch.records.push(record);
        }
        batch
    }

    /// Commits what waits if the store is free. A fast store answers at once; of a slow one see [`Committer::answer`].
    pub fn commit(&mut self) -> Option<Committed> {
        if self.is_busy || self.waiting.is_empty() {
            return None;
        }
        let batch = self.next_batch();
        match &mut self.store {
            StoreHandle::Here(store) => Some(Committed { up_to: self.handed, verdict: store.commit(&batch) }),
            StoreHandle::Thread(batches, _) => {
                self.is_busy = true;
                // If the thread has ended, the channel of answers is closed, too, and `answer` reports that.
                let _ = batches.send(batch);
                None
            }
        }
    }

    /// Waits for a slow store's answer; never returns if nothing was asked.
    pub async fn answer(&mut self) -> Committed {
        match &mut self.store {
            StoreHandle::Thread(_, verdicts) if self.is_busy => {
                let gone = || Err(StoreError::Broken("the store's thread has ended".to_owned()));
                let verdict = verdicts.recv().await.unwrap_or_else(gone);
                self.is_busy = false;
                Committed { up_to: self.handed, verdict }
            }
            StoreHandle::Thread(..) | StoreHandle::Here(_) => std::future::pending().await,
        }
    }
}

fn start_thread(mut store: Box<dyn Store>) -> Result<StoreHandle, Failure> {
    let (batches, incoming) = mpsc::channel::<CommitBatch>();
    let (answers, verdicts) = async_mpsc::unbounded_channel();
    std::thread::Builder::new()
        .name("argon store".to_owned())
        .spawn(move || {
            let mut large_bytes = 0;
            for batch in incoming {
                if answers.send(commit(&mut *store, &batch)).is_err() {
                    return;
                }
                large_bytes += batch
                    .records
                    .iter()
                    .map(Record::weight)
                    .filter(|bytes| *bytes > LARGE_BYTES)
                    .sum::<u64>();
                if large_bytes > GIVE_BACK_BYTES {
                    large_bytes = 0;
                    drop(batch);
                    memory::give_back();
                }
            }
        })
        .map_err(|error| {
            Failure::new(FailureKind::Store, format!("the store's thread cannot be started: {error}"))
        })?;
    Ok(StoreHandle::Thread(batches, verdicts))
}

fn commit(store: &mut dyn Store, batch: &CommitBatch) -> Result<(), StoreError> {
    if must_fail("commit.begin") {
        return Err(StoreError::Full("the disk is full (a test's)".to_owned()));
    }
    store.commit(batch)?;
    if must_fail("commit.end") {
        return Err(StoreError::Broken("the disk reported an error (a test's)".to_owned()));
    }
    Ok(())
}
