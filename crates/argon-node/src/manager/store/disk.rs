//! A store in one file, kept by redb: a batch is one transaction, durable with one fdatasync.
//!
//! Tasks and outcomes are stored as the frames in which they travel, so that there is one encoding to test. See
//! `docs/design/store.md` for why redb.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use argon_core::scheduler::Record;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::{Attempt, AttemptId, BlobHash, Message, Payload, Task, TaskId};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::damage::{Damage, without_panic};
use super::{CommitBatch, Loaded, Store, StoreError};
use crate::failpoint::must_fail;

const TASKS: TableDefinition<'_, &[u8; 24], &[u8]> = TableDefinition::new("tasks");
const STARTS: TableDefinition<'_, &[u8; 24], u32> = TableDefinition::new("starts");
const OUTCOMES: TableDefinition<'_, &[u8; 24], &[u8]> = TableDefinition::new("outcomes");
const BLOBS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("blobs");
/// Number of stored tasks that name each blob.
const NEEDS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("needs");

/// Room that is left free on the file system, bytes: a transaction must never run out in its middle.
const SPARE_BYTES: u64 = 4 << 20;

/// A store in a file.
#[derive(Debug)]
pub struct DiskStore {
    path: PathBuf,
    database: Database,
}

impl DiskStore {
    /// Opens the file, or makes it. A file that was torn by a crash is recovered.
    ///
    /// # Errors
    /// If it is damaged, in use by another manager, or cannot be made.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed =
            |why: String| StoreError::Broken(format!("the store {} cannot be opened: {why}", path.display()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(elsewhere(&error)))?;
        }
        // Tasks and outcomes are their owner's business.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| failed(elsewhere(&error)))?;
        let database = without_panic(|| check(Database::builder().create_file(file)?))
            .map_err(|error| failed(advise(&error)))?;
        let store = Self { path: path.to_owned(), database };
        without_panic(|| store.make_tables()).map_err(|error| failed(advise(&error)))?;
        Ok(store)
    }

    fn make_tables(&self) -> Result<(), Damage> {
        let transaction = self.database.begin_write().map_err(redb::Error::from)?;
        transaction.open_table(TASKS)?;
        transaction.open_table(STARTS)?;
        transaction.open_table(OUTCOMES)?;
        transaction.open_table(BLOBS)?;
        transaction.open_table(NEEDS)?;
        transaction.commit().map_err(redb::Error::from)?;
        Ok(())
    }

    fn write(&self, batch: &CommitBatch) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        for (hash, payload) in &batch.blobs {
            let mut blobs = transaction.open_table(BLOBS)?;
            if blobs.get(&hash.0)?.is_none() {
                blobs.insert(&hash.0, &payload.to_contiguous()[..])?;
            }
        }
        for record in &batch.records {
            apply(&transaction, record)?;
        }
        if must_fail("store.written") {
            return Err(redb::Error::Io(std::io::Error::other("the disk reported an error (a test's)")));
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&self) -> Result<Loaded, Damage> {
        let transaction = self.database.begin_read().map_err(redb::Error::from)?;
        let mut loaded = Loaded::default();
        for entry in transaction.open_table(TASKS)?.iter()? {
            let ToManager::Submit(task) = decode(entry?.1.value())? else {
                return Err(Damage::Content("a task is stored as something else".to_owned()));
            };
            loaded.records.push(Record::TaskAccepted(task));
        }
        for entry in transaction.open_table(STARTS)?.iter()? {
            let (id, attempt) = entry?;
            loaded.records.push(Record::AttemptStarted(AttemptId {
                task: TaskId::from_bytes(*id.value()),
                attempt: Attempt(attempt.value()),
            }));
        }
        for entry in transaction.open_table(OUTCOMES)?.iter()? {
            let ToClient::Outcome(outcome) = decode(entry?.1.value())? else {
                return Err(Damage::Content("an outcome is stored as something else".to_owned()));
            };
            loaded.records.push(Record::TaskEnded(outcome));
        }
        for entry in transaction.open_table(BLOBS)?.iter()? {
            let (hash, bytes) = entry?;
            loaded.blobs.push((BlobHash(*hash.value()), Payload::from(bytes.value().to_vec())));
        }
        Ok(loaded)
    }

    /// Refuses a batch before anything is written if the file system might not have the room.
    fn make_sure_of_room(&self, batch: &CommitBatch) -> Result<(), StoreError> {
        let records: u64 = batch.records.iter().map(weight).sum();
        let blobs: u64 = batch.blobs.iter().map(|(_, payload)| payload.len()).sum();
        let wanted = SPARE_BYTES + 2 * (records + blobs);
        let folder = self.path.parent().unwrap_or(Path::new("."));
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
        self.write(batch).map_err(|error| StoreError::Broken(format!("{}: {error}", self.path.display())))
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        without_panic(|| self.read())
            .map_err(|error| StoreError::Broken(format!("{}: {error}; {MOVE_ASIDE}", self.path.display())))
    }

    fn is_slow(&self) -> bool {
        true
    }
}

const MOVE_ASIDE: &str =
    "move the file aside to start without the detached tasks in it, or name another with --store";

/// Opens a file. Repairs an end that a crash has torn; reports all other damage.
fn check(mut database: Database) -> Result<Database, Damage> {
    match database.check_integrity() {
        Ok(_) => Ok(database),
        Err(error) => Err(Damage::Store(error.into())),
    }
}

/// The system's error about the file's folder, with advice.
fn elsewhere(error: &std::io::Error) -> String {
    format!(
        "{error}; name another file with --store, or say --store memory to keep detached tasks on no disk"
    )
}

fn advise(error: &Damage) -> String {
    if matches!(error, Damage::Store(redb::Error::DatabaseAlreadyOpen)) {
        return "another manager uses it; stop that one, or name another file with --store".to_owned();
    }
    format!("{error}; {MOVE_ASIDE}")
}

fn apply(transaction: &WriteTransaction, record: &Record) -> Result<(), redb::Error> {
    match record {
        Record::TaskAccepted(task) => {
            let bytes = encode(&ToManager::Submit(task.clone()));
            transaction.open_table(TASKS)?.insert(&task.head.id.to_bytes(), &bytes[..])?;
            count_needs(transaction, task, true)?;
        }
        Record::AttemptStarted(attempt) => {
            let id = attempt.task.to_bytes();
            transaction.open_table(STARTS)?.insert(&id, attempt.attempt.0)?;
        }
        Record::TaskEnded(outcome) => {
            let bytes = encode(&ToClient::Outcome(outcome.clone()));
            transaction.open_table(OUTCOMES)?.insert(&outcome.head.id.to_bytes(), &bytes[..])?;
        }
        Record::TaskForgotten(id) => forget(transaction, *id)?,
    }
    Ok(())
}

fn forget(transaction: &WriteTransaction, id: TaskId) -> Result<(), redb::Error> {
    let id = id.to_bytes();
    transaction.open_table(STARTS)?.remove(&id)?;
    transaction.open_table(OUTCOMES)?.remove(&id)?;
    let stored = transaction.open_table(TASKS)?.remove(&id)?.map(|bytes| decode(bytes.value()));
    if let Some(Ok(ToManager::Submit(task))) = stored {
        count_needs(transaction, &task, false)?;
    }
    Ok(())
}

/// Counts the tasks that name each blob; a blob that none names is dropped.
fn count_needs(transaction: &WriteTransaction, task: &Task, is_new: bool) -> Result<(), redb::Error> {
    if task.head.blob_count == 0 {
        return Ok(());
    }
    let mut needs = transaction.open_table(NEEDS)?;
    for hash in task.blob_hashes() {
        let count = needs.get(&hash.0)?.map_or(0, |count| count.value());
        let count = if is_new { count + 1 } else { count.saturating_sub(1) };
        if count == 0 {
            needs.remove(&hash.0)?;
            transaction.open_table(BLOBS)?.remove(&hash.0)?;
        } else {
            needs.insert(&hash.0, count)?;
        }
    }
    Ok(())
}

fn weight(record: &Record) -> u64 {
    match record {
        Record::TaskAccepted(task) => task.weight() + 256,
        Record::TaskEnded(outcome) => outcome.weight() + 256,
        Record::AttemptStarted(_) | Record::TaskForgotten(_) => 64,
    }
}

fn encode(message: &impl Message) -> Vec<u8> {
    let mut outbox = Outbox::default();
    outbox.push(message);
    outbox.into_bytes()
}

fn decode<M: Message>(bytes: &[u8]) -> Result<M, Damage> {
    let mut decoder = Decoder::default();
    decoder.buffer().extend_from_slice(bytes);
    match decoder.next() {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(Damage::Content("a stored message is cut short".to_owned())),
        Err(error) => Err(Damage::Content(error.to_string())),
    }
}
