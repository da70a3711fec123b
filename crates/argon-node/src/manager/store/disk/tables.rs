//! Tables of the database, and what each record of the scheduler changes in them.

use argon_core::scheduler::Record;
use argon_proto::conversation::client::ToClient;
use argon_proto::{BlobHash, Payload, TaskId};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use rustc_hash::FxHashMap;

use super::content::{Content, decode, decode_task, encode, encode_task};
use super::label::StoreIdentity;
use super::tally::RecordTally;
use super::value::{Kept, PayloadPlace, Table, kept, seal, unseal};
use crate::manager::store::PayloadName;
use crate::manager::store::damage::Damage;

/// Name of [`META`].
pub(super) const META_NAME: &str = "meta";
/// StoreIdentity and tally.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(META_NAME);
/// Key of the identity in [`META`].
pub(super) const IDENTITY: &str = "identity";
/// Key of the tally in [`META`].
pub(super) const TALLY: &str = "tally";

/// Keys have a fixed length, and are compared as bytes.
pub(super) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

type Rows<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// The tables in one transaction, and what it changes elsewhere.
pub(super) struct Changes<'t> {
    rows: [Rows<'t>; Table::ALL.len()],
    tally: RecordTally,
    /// Number of tasks that name each blob, before the transaction.
    needs: &'t FxHashMap<BlobHash, u64>,
    moved: Moved,
}

/// Changes in memory that follow when a transaction is durable.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// New numbers of tasks that name blobs.
    pub(super) needs: FxHashMap<BlobHash, u64>,
    /// Places that are needed no longer.
    pub(super) freed: Vec<(PayloadName, PayloadPlace)>,
}

impl<'t> Changes<'t> {
    pub(super) fn new(
        transaction: &'t WriteTransaction,
        tally: RecordTally,
        needs: &'t FxHashMap<BlobHash, u64>,
    ) -> Result<Self, redb::Error> {
        let open = |table| transaction.open_table(definition(table));
        let rows = [open(Table::Tasks)?, open(Table::Starts)?, open(Table::Outcomes)?, open(Table::Blobs)?];
        Ok(Self { rows, tally, needs, moved: Moved::default() })
    }

    /// Closes the tables; returns the tally that the transaction leads to, and what else follows.
    pub(super) fn end(self) -> (RecordTally, Moved) {
        (self.tally, self.moved)
    }

    /// True if a task names the blob, and it is not stored.
    pub(super) fn lacks_blob(&self, hash: BlobHash) -> Result<bool, redb::Error> {
        Ok(self.need(hash) > 0 && self.rows[Table::Blobs.index()].get(&hash.0[..])?.is_none())
    }

    /// Adds a blob.
    pub(super) fn put_blob(
        &mut self,
        hash: BlobHash,
        payload: &Payload,
        kept: Kept,
    ) -> Result<(), redb::Error> {
        let bytes = if kept == Kept::Inline { payload.to_contiguous() } else { bytes::Bytes::new() };
        self.put(Table::Blobs, &hash.0, kept, &bytes)
    }

    /// Applies a record whose payload is kept there.
    pub(super) fn apply(&mut self, record: &Record, kept: Kept) -> Result<(), redb::Error> {
        match record {
            Record::TaskAccepted(task, owner) => {
                let mut task = task.clone();
                if kept != Kept::Inline {
                    task.payload = Payload::default();
                }
                let key = task.head.id.to_bytes();
                let hashes: Vec<BlobHash> = task.blob_hashes().collect();
                self.put(Table::Tasks, &key, kept, &encode_task(task, owner))?;
                for hash in hashes {
                    self.moved.needs.insert(hash, self.need(hash) + 1);
                }
            }
            Record::AttemptStarted(attempt) => {
                let key = attempt.task.to_bytes();
                if self.has_task(attempt.task)? {
                    self.put(Table::Starts, &key, Kept::Inline, &attempt.attempt.0.to_le_bytes())?;
                }
            }
            Record::TaskEnded(outcome) => {
                let id = outcome.head.id;
                if self.has_task(id)? {
                    let mut outcome = outcome.clone();
                    if kept != Kept::Inline {
                        outcome.payload = Payload::default();
                    }
                    self.put(Table::Outcomes, &id.to_bytes(), kept, &encode(&ToClient::Outcome(outcome)))?;
                    self.drop_arguments(id)?;
                } else if let Kept::At(place) = kept {
                    self.moved.freed.push((PayloadName::Result(id), place));
                }
            }
            Record::TaskForgotten(id) => self.forget(*id)?,
        }
        Ok(())
    }

    fn has_task(&self, id: TaskId) -> Result<bool, redb::Error> {
        Ok(self.rows[Table::Tasks.index()].get(&id.to_bytes()[..])?.is_some())
    }

    /// A task that has ended does not start again: its arguments are not kept if they take much room.
    fn drop_arguments(&mut self, id: TaskId) -> Result<(), redb::Error> {
        let key = id.to_bytes();
        let body = {
            let row = self.rows[Table::Tasks.index()].get(&key[..])?;
            let Some((Kept::At(_), body)) =
                row.as_ref().and_then(|row| unseal(Table::Tasks, &key, row.value()))
            else {
                return Ok(());
            };
            body.to_vec()
        };
        self.put(Table::Tasks, &key, Kept::Dropped, &body)
    }

    fn forget(&mut self, id: TaskId) -> Result<(), redb::Error> {
        let key = id.to_bytes();
        self.remove(Table::Starts, &key)?;
        self.remove(Table::Outcomes, &key)?;
        let Some(task) = self.remove(Table::Tasks, &key)? else {
            return Ok(());
        };
        let body = unseal(Table::Tasks, &key, &task).map(|(_, body)| body);
        if let Some((task, _)) = body.and_then(decode_task) {
            for hash in task.blob_hashes() {
                self.release(hash)?;
            }
        }
        Ok(())
    }

    /// A blob that no task names is dropped.
    fn release(&mut self, hash: BlobHash) -> Result<(), redb::Error> {
        let left = self.need(hash).saturating_sub(1);
        self.moved.needs.insert(hash, left);
        if left == 0 {
            self.remove(Table::Blobs, &hash.0)?;
        }
        Ok(())
    }

    fn need(&self, hash: BlobHash) -> u64 {
        self.moved.needs.get(&hash).or_else(|| self.needs.get(&hash)).copied().unwrap_or(0)
    }

    fn put(&mut self, table: Table, key: &[u8], at: Kept, body: &[u8]) -> Result<(), redb::Error> {
        let value = seal(table, key, at, body);
        if let Some(old) = self.rows[table.index()].insert(key, &value[..])? {
            self.tally.remove(table, old.value());
            self.moved.freed.extend(place_of(table, key, old.value()));
        }
        self.tally.add(table, &value);
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let Some(old) = self.rows[table.index()].remove(key)? else {
            return Ok(None);
        };
        self.tally.remove(table, old.value());
        self.moved.freed.extend(place_of(table, key, old.value()));
        Ok(Some(old.value().to_vec()))
    }
}

/// PayloadPlace of the payload of a stored value, and whose it is.
fn place_of(table: Table, key: &[u8], value: &[u8]) -> Option<(PayloadName, PayloadPlace)> {
    let Kept::At(place) = kept(value) else {
        return None;
    };
    let name = match table {
        Table::Tasks => PayloadName::Arguments(TaskId::from_bytes(key.try_into().ok()?)),
        Table::Outcomes => PayloadName::Result(TaskId::from_bytes(key.try_into().ok()?)),
        Table::Blobs => PayloadName::Blob(BlobHash(key.try_into().ok()?)),
        Table::Starts => return None,
    };
    Some((name, place))
}

/// Writes the tally of a transaction, its last change.
pub(super) fn put_tally(transaction: &WriteTransaction, tally: &RecordTally) -> Result<(), redb::Error> {
    transaction.open_table(META)?.insert(TALLY, &tally.encode()[..])?;
    Ok(())
}

/// Fills a new database.
pub(super) fn put_content(
    database: &Database,
    identity: &StoreIdentity,
    content: &Content,
) -> Result<RecordTally, Damage> {
    let needs = FxHashMap::default();
    let transaction = database.begin_write().map_err(redb::Error::from)?;
    let mut changes = Changes::new(&transaction, RecordTally::default().next(), &needs)?;
    for (hash, blob) in &content.blobs {
        changes.put_blob(*hash, &blob.what, blob.kept)?;
    }
    for (id, task) in &content.tasks {
        let owner = content.owners.get(id).cloned().unwrap_or_default();
        changes.apply(&Record::TaskAccepted(task.what.clone(), owner), task.kept)?;
    }
    for (id, attempt) in &content.starts {
        let attempt = argon_proto::AttemptId { task: *id, attempt: *attempt };
        changes.apply(&Record::AttemptStarted(attempt), Kept::Inline)?;
    }
    for outcome in content.outcomes.values() {
        changes.apply(&Record::TaskEnded(outcome.what.clone()), outcome.kept)?;
    }
    let (tally, _) = changes.end();
    transaction.open_table(META)?.insert(IDENTITY, &identity[..])?;
    put_tally(&transaction, &tally)?;
    transaction.commit().map_err(redb::Error::from)?;
    Ok(tally)
}

/// Reads all records.
pub(super) fn read_content(database: &Database) -> Result<Content, Damage> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let mut content = Content::default();
    for table in Table::ALL {
        for entry in transaction.open_table(definition(table))?.iter()? {
            let (key, value) = entry?;
            content.take(table, key.value(), value.value());
        }
    }
    Ok(content)
}

/// Reads a value of [`META`].
pub(super) fn read_meta(database: &Database, key: &str) -> Result<Option<Vec<u8>>, Damage> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let value = transaction.open_table(META)?.get(key)?;
    Ok(value.map(|value| value.value().to_vec()))
}

/// Reads a payload that is in its record; `None` if there is no such record, or it has no payload.
pub(super) fn read_payload(database: &Database, name: PayloadName) -> Result<Option<Payload>, Damage> {
    let (table, key) = match name {
        PayloadName::Arguments(id) => (Table::Tasks, id.to_bytes().to_vec()),
        PayloadName::Result(id) => (Table::Outcomes, id.to_bytes().to_vec()),
        PayloadName::Blob(hash) => (Table::Blobs, hash.0.to_vec()),
    };
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let rows = transaction.open_table(definition(table))?;
    let Some(row) = rows.get(&key[..])? else {
        return Ok(None);
    };
    let damaged = || Damage::Content("its record is damaged".to_owned());
    let (at, body) = unseal(table, &key, row.value()).ok_or_else(damaged)?;
    if at != Kept::Inline {
        return Ok(None);
    }
    Ok(Some(match table {
        Table::Tasks => {
            let Some((task, _)) = decode_task(body) else { return Err(damaged()) };
            task.payload
        }
        Table::Outcomes => {
            let Some(ToClient::Outcome(outcome)) = decode(body) else { return Err(damaged()) };
            outcome.payload
        }
        Table::Starts | Table::Blobs => Payload::from(body.to_vec()),
    }))
}
