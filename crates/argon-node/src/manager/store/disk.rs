//! A store in one file, kept by redb: a batch is one transaction, durable with one fdatasync. Large payloads are in payload
//! files beside it, which cost a second one.
//!
//! Tasks and outcomes are stored as the frames in which they travel, so that there is one encoding to test.
//! `docs/design/store.md` describes the format, and why redb.

mod backend;
mod content;
mod label;
mod open;
mod pages;
mod segments;
mod tables;
mod tally;
#[cfg(test)]
mod tests;
mod value;

use std::fs::File;
use std::io::ErrorKind;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use argon_core::scheduler::Record;
use argon_proto::{BlobHash, Payload};
use redb::Database;
use rustc_hash::{FxHashMap, FxHashSet};

pub(in crate::manager) use self::segments::payload_folder;

use self::content::Content;
use self::label::Label;
use self::open::Opened;
use self::segments::{SegmentNames, Segments};
use self::tables::{Changes, Moved, put_tally, read_content, read_payload};
use self::tally::RecordTally;
use self::value::{Kept, PayloadPlace};
use super::damage::without_panic;
use super::{CommitBatch, Loaded, PayloadName, PayloadReader, Store, StoreError, Unreadable};
use crate::failpoint::must_fail;

/// Payloads beyond this size, bytes, leave memory when they are durable.
const STORED_ABOVE: u64 = 1024;
/// Payloads beyond this size, bytes, are in payload files: the database stays small, and is compared as a whole when the
/// manager starts.
const APART_ABOVE: u64 = 32 << 10;
/// Room that is left free on the file system, bytes: a transaction must never run out in its middle.
const SPARE_BYTES: u64 = 4 << 20;

/// A store in a file.
#[derive(Debug)]
pub struct DiskStore {
    path: PathBuf,
    file: Arc<File>,
    database: Arc<Database>,
    tally: RecordTally,
    /// Number of stored tasks that name each blob.
    needs: FxHashMap<BlobHash, u64>,
    names: SegmentNames,
    segments: Segments,
    places: Places,
    /// Content that was read when the store was opened.
    content: Option<Content>,
    loss: Option<String>,
}

type Places = Arc<Mutex<FxHashMap<PayloadName, PayloadPlace>>>;

/// Why a batch was not written.
enum WriteError {
    /// The file system has no room, and nothing was changed.
    NoRoom(std::io::Error),
    Broken(redb::Error),
}

impl From<redb::Error> for WriteError {
    fn from(error: redb::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<std::io::Error> for WriteError {
    fn from(error: std::io::Error) -> Self {
        let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
        if full.contains(&error.kind()) { Self::NoRoom(error) } else { Self::Broken(redb::Error::Io(error)) }
    }
}

impl DiskStore {
    /// Opens the file, or makes it. A file that was torn by a crash is recovered. With `accept_loss`, a damaged one is
    /// copied and replaced by what is left of it.
    ///
    /// # Errors
    /// If it is damaged, of another program or version, in use by another manager, or cannot be made.
    pub fn open(path: &Path, accept_loss: bool) -> Result<Self, StoreError> {
        let Opened { file, database, identity, tally, content, loss } = open::open(path, accept_loss)?;
        let names = SegmentNames::new(path, &identity);
        let places: FxHashMap<PayloadName, PayloadPlace> = content.places().collect();
        Ok(Self {
            path: path.to_owned(),
            file,
            database: Arc::new(database),
            tally,
            needs: content.needs(),
            segments: Segments::new(names.clone(), places.values().copied(), loss.is_some()),
            names,
            places: Arc::new(Mutex::new(places)),
            content: Some(content),
            loss,
        })
    }

    /// Sentence about what was lost when the store was opened.
    #[must_use]
    pub fn loss(&self) -> Option<&str> {
        self.loss.as_deref()
    }

    fn write(&mut self, batch: &CommitBatch) -> Result<(), WriteError> {
        let mut appended = Vec::new();
        let written = self.write_all(batch, &mut appended);
        let (tally, moved) = match written {
            Ok(written) => written,
            Err(error) => {
                appended.into_iter().for_each(|(_, place)| self.segments.free(place));
                return Err(error);
            }
        };
        // The commit is durable.
        self.tally = tally;
        Label::note(&self.file, &self.tally).map_err(redb::Error::Io)?;
        for (hash, count) in moved.needs {
            if count == 0 {
                self.needs.remove(&hash);
            } else {
                self.needs.insert(hash, count);
            }
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.extend(appended);
        for (name, place) in &moved.freed {
            if places.get(name) == Some(place) {
                places.remove(name);
            }
        }
        drop(places);
        moved.freed.into_iter().for_each(|(_, place)| self.segments.free(place));
        Ok(())
    }

    /// Writes everything that a batch changes, and commits.
    fn write_all(
        &mut self,
        batch: &CommitBatch,
        appended: &mut Vec<(PayloadName, PayloadPlace)>,
    ) -> Result<(RecordTally, Moved), WriteError> {
        let segments = &mut self.segments;
        let mut keep = |name: PayloadName, payload: &Payload| -> Result<Kept, WriteError> {
            if payload.len() <= APART_ABOVE {
                return Ok(Kept::Inline);
            }
            let place = segments.append(payload, name)?;
            appended.push((name, place));
            Ok(Kept::At(place))
        };
        let tally = self.tally.next();
        let transaction = self.database.begin_write().map_err(redb::Error::from)?;
        let mut changes = Changes::new(&transaction, tally, &self.needs)?;
        for record in &batch.records {
            let kept = match record {
                Record::TaskAccepted(task, _) => keep(PayloadName::Arguments(task.head.id), &task.payload)?,
                Record::TaskEnded(outcome) => keep(PayloadName::Result(outcome.head.id), &outcome.payload)?,
                Record::AttemptStarted(_) | Record::TaskForgotten(_) => Kept::Inline,
            };
            changes.apply(record, kept)?;
        }
        for (hash, payload) in &batch.blobs {
            if changes.lacks_blob(*hash)? {
                changes.put_blob(*hash, payload, keep(PayloadName::Blob(*hash), payload)?)?;
            }
        }
        if !appended.is_empty() {
            self.segments.sync()?;
        }
        let (tally, moved) = changes.end();
        put_tally(&transaction, &tally)?;
        if must_fail("store.written") {
            return Err(
                redb::Error::Io(std::io::Error::other("the disk reported an error (a test's)")).into()
            );
        }
        transaction.commit().map_err(redb::Error::from)?;
        Ok((tally, moved))
    }

    /// Refuses a batch before anything is written if the file system might not have the room.
    fn make_sure_of_room(&self, batch: &CommitBatch) -> Result<(), StoreError> {
        let records: u64 = batch.records.iter().map(Record::weight).sum();
        let mut seen = FxHashSet::default();
        let new = batch.blobs.iter().filter(|(hash, _)| !self.needs.contains_key(hash) && seen.insert(*hash));
        let blobs: u64 = new.map(|(_, payload)| payload.len()).sum();
        let wanted = SPARE_BYTES + 2 * (records + blobs);
        let folder =
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match nix::sys::statvfs::statvfs(folder) {
            Ok(facts) => {
                let free = facts.blocks_available() * facts.fragment_size();
                if free < wanted {
                    return Err(StoreError::Full(format!(
                        "the disk of {} is full: {} MiB are free",
                        self.path.display(),
                        free >> 20
                    )));
                }
                Ok(())
            }
            Err(error) => {
                Err(StoreError::Full(format!("the disk of {} cannot be asked: {error}", self.path.display())))
            }
        }
    }
}

impl Store for DiskStore {
    fn commit(&mut self, batch: &CommitBatch) -> Result<(), StoreError> {
        let only_forgets = batch.records.iter().all(|record| matches!(record, Record::TaskForgotten(_)));
        if !only_forgets {
            self.make_sure_of_room(batch)?;
        }
        self.content = None;
        self.write(batch).map_err(|error| match error {
            WriteError::NoRoom(error) => StoreError::Full(format!("{}: {error}", self.path.display())),
            WriteError::Broken(error) => StoreError::Broken(format!("{}: {error}", self.path.display())),
        })
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        if let Some(content) = self.content.take() {
            return Ok(content.into_loaded());
        }
        let names = &self.names;
        without_panic(|| {
            let mut content = read_content(&self.database)?;
            content.settle(names);
            Ok(content.into_loaded())
        })
        .map_err(|error| StoreError::Broken(format!("{}: {error}", self.path.display())))
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn payloads(&self) -> Option<Box<dyn PayloadReader>> {
        Some(Box::new(DiskPayloads {
            database: Arc::clone(&self.database),
            names: self.names.clone(),
            places: Arc::clone(&self.places),
        }))
    }

    fn stored_above(&self) -> u64 {
        STORED_ABOVE
    }
}

/// Reads payloads, from any thread.
#[derive(Debug)]
struct DiskPayloads {
    database: Arc<Database>,
    names: SegmentNames,
    places: Places,
}

impl DiskPayloads {
    fn place(&self, name: PayloadName) -> Option<PayloadPlace> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied()
    }

    fn read_record(&self, name: PayloadName) -> Result<Payload, Unreadable> {
        // The database reports a part of what it finds damaged by panics.
        let read = std::panic::catch_unwind(AssertUnwindSafe(|| read_payload(&self.database, name)));
        match read {
            Ok(Ok(Some(payload))) => Ok(payload),
            Ok(Ok(None)) => Err(Unreadable::Gone),
            Ok(Err(error)) => Err(Unreadable::Damaged(error.to_string())),
            Err(_) => Err(Unreadable::Damaged("the database cannot read its page".to_owned())),
        }
    }
}

impl PayloadReader for DiskPayloads {
    fn read(&self, name: PayloadName) -> Result<Payload, Unreadable> {
        let Some(place) = self.place(name) else {
            return self.read_record(name);
        };
        self.names.read(place, name).map_err(|error| {
            // It may have been given back meanwhile.
            if self.place(name) == Some(place) {
                Unreadable::Damaged(error.to_string())
            } else {
                Unreadable::Gone
            }
        })
    }
}
