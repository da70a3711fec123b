//! Content of a store, decoded record by record, and what is missing of it.
//!
//! The same code reads a sound store, through the database, and a damaged one, page by page (`pages.rs`): a record whose
//! checksum is wrong is counted, and does not stop the rest.

use argon_core::scheduler::Record;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::holder::OwnerName;
use argon_proto::{
    Attempt, AttemptId, BlobHash, Flags, Message, Outcome, Payload, Report, Status, Task, TaskId,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::STORED_ABOVE;
use super::segments::SegmentNames;
use super::tally::RecordTally;
use super::value::{Kept, PayloadPlace, Table, unseal};
use crate::manager::store::{Loaded, PayloadName};

/// Bytes of payload files that a start reads and compares. Beyond that a payload is compared when it is sent.
const COMPARED_BYTES: u64 = 256 << 20;

/// A record and the place of its payload.
#[derive(Clone, Debug)]
pub(super) struct Stored<T> {
    pub(super) what: T,
    pub(super) kept: Kept,
}

/// Records of a store.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) tasks: FxHashMap<TaskId, Stored<Task>>,
    pub(super) starts: FxHashMap<TaskId, Attempt>,
    pub(super) outcomes: FxHashMap<TaskId, Stored<Outcome>>,
    /// Owners of tasks, where it is not `admin`.
    pub(super) owners: FxHashMap<TaskId, OwnerName>,
    pub(super) blobs: FxHashMap<BlobHash, Stored<Payload>>,
    /// Counts of the intact records, in the order in which they were found.
    pub(super) found: RecordTally,
    /// Records whose checksum is wrong.
    pub(super) broken: u64,
    /// Tasks of which a part is lost, and which part.
    pub(super) lost: Vec<(TaskId, String)>,
    /// True if the bytes of records are kept, to be written again.
    pub(super) keeps_bytes: bool,
    /// Payload files with damage.
    pub(super) damaged_segments: FxHashSet<u32>,
}

impl Content {
    /// Takes one record of a table.
    pub(super) fn take(&mut self, table: Table, key: &[u8], value: &[u8]) {
        if self.decode(table, key, value).is_some() {
            self.found.add(table, value);
        } else {
            self.broken += 1;
            if let (Table::Tasks | Table::Outcomes, Some(id)) = (table, key.try_into().ok()) {
                self.lost.push((TaskId::from_bytes(id), "its record is damaged".to_owned()));
            }
        }
    }

    fn decode(&mut self, table: Table, key: &[u8], value: &[u8]) -> Option<()> {
        let (kept, body) = unseal(table, key, value)?;
        match table {
            Table::Tasks => {
                let (mut task, owner) = decode_task(body)?;
                let id = TaskId::from_bytes(key.try_into().ok()?);
                self.place_holder(&mut task.payload, kept);
                self.tasks.insert(id, Stored { what: task, kept });
                if !owner.is_admin() {
                    self.owners.insert(id, owner);
                }
            }
            Table::Starts => {
                let attempt = Attempt(u32::from_le_bytes(body.try_into().ok()?));
                self.starts.insert(TaskId::from_bytes(key.try_into().ok()?), attempt);
            }
            Table::Outcomes => {
                let ToClient::Outcome(mut outcome) = decode(body)? else { return None };
                self.place_holder(&mut outcome.payload, kept);
                self.outcomes
                    .insert(TaskId::from_bytes(key.try_into().ok()?), Stored { what: outcome, kept });
            }
            Table::Blobs => {
                let payload = if let Kept::At(place) = kept {
                    Payload::stored(place.length)
                } else {
                    body.to_vec().into()
                };
                self.blobs.insert(BlobHash(key.try_into().ok()?), Stored { what: payload, kept });
            }
        }
        Some(())
    }

    /// Large payloads stay where they are.
    fn place_holder(&self, payload: &mut Payload, kept: Kept) {
        match kept {
            Kept::At(place) => *payload = Payload::stored(place.length),
            Kept::Inline if !self.keeps_bytes => leave_large(payload),
            Kept::Inline | Kept::Dropped => {}
        }
    }

    /// Reads the blobs that are in payload files, compares what a task needs with what is here, and ends the tasks that
    /// cannot run, or whose result is gone, as lost.
    pub(super) fn settle(&mut self, names: &SegmentNames) {
        let mut lengths = FxHashMap::default();
        let mut left = COMPARED_BYTES;
        let mut damaged = FxHashSet::default();
        // Blobs are kept in memory, so all are read.
        self.blobs.retain(|hash, blob| {
            let Kept::At(place) = blob.kept else { return true };
            match names.read(place, PayloadName::Blob(*hash)) {
                Ok(payload) => blob.what = payload,
                Err(_) => _ = damaged.insert(place.segment),
            }
            !blob.what.is_stored()
        });
        let mut intact = |kept: Kept, owner: PayloadName| {
            let Kept::At(place) = kept else { return Ok(()) };
            let read = names.reaches(place, &mut lengths).and_then(|()| {
                if place.length > left {
                    return Ok(());
                }
                left -= place.length;
                names.read(place, owner).map(drop)
            });
            read.map_err(|error| {
                damaged.insert(place.segment);
                error.to_string()
            })
        };
        let mut lost: Vec<(TaskId, String)> = Vec::new();
        for (id, outcome) in &self.outcomes {
            if !self.tasks.contains_key(id) {
                lost.push((*id, "its record is gone".to_owned()));
            } else if let Err(why) = intact(outcome.kept, PayloadName::Result(*id)) {
                lost.push((*id, format!("its result cannot be read: {why}")));
            }
        }
        for (id, task) in self.tasks.iter().filter(|(id, _)| !self.outcomes.contains_key(id)) {
            let missing = task.what.blob_hashes().find(|hash| !self.blobs.contains_key(hash));
            if let Some(hash) = missing {
                lost.push((*id, format!("its code or argument {hash} is gone")));
            } else if let Err(why) = intact(task.kept, PayloadName::Arguments(*id)) {
                lost.push((*id, format!("its arguments cannot be read: {why}")));
            }
        }
        let without_task = self.starts.keys().filter(|id| !self.tasks.contains_key(id));
        lost.extend(without_task.map(|id| (*id, "its record is gone".to_owned())));
        self.damaged_segments.extend(damaged);
        self.lost.extend(lost);
        self.lost.sort_unstable();
        self.lost.dedup_by_key(|(id, _)| *id);
    }

    /// Leaves what a manager can go on with: tasks of which a part is lost end as lost, in words.
    pub(super) fn go_on_without_lost(&mut self, some_starts_are_lost: bool) {
        self.starts.retain(|id, _| self.tasks.contains_key(id));
        self.outcomes.retain(|id, _| self.tasks.contains_key(id));
        for (id, why) in &self.lost {
            if let Some(task) = self.tasks.get_mut(id) {
                task.kept = Kept::Dropped;
                task.what.payload = Payload::default();
                let attempt = self.starts.get(id).copied().unwrap_or(Attempt(0));
                let report = Report::of(format!(
                    "the manager's store was damaged, and its operator accepted the loss: {why}; submit the task again"
                ));
                let what = Outcome::reported(*id, attempt, Status::Lost, 0, &report);
                self.outcomes.insert(*id, Stored { what, kept: Kept::Inline });
            }
        }
        if some_starts_are_lost {
            // Whether one of these has started is not known, so none starts again.
            for (id, task) in &self.tasks {
                if task.what.head.flags.contains(Flags::NEVER_TWICE) {
                    self.starts.entry(*id).or_insert(Attempt(1));
                }
            }
        }
        let (tasks, outcomes) = (&self.tasks, &self.outcomes);
        let needed: FxHashSet<BlobHash> = tasks
            .iter()
            .filter(|(id, _)| !outcomes.contains_key(id))
            .flat_map(|(_, task)| task.what.blob_hashes())
            .collect();
        self.blobs.retain(|hash, _| needed.contains(hash));
    }

    /// The places of all payloads.
    pub(super) fn places(&self) -> impl Iterator<Item = (PayloadName, PayloadPlace)> + '_ {
        let place = |kept: Kept| if let Kept::At(place) = kept { Some(place) } else { None };
        let arguments = self
            .tasks
            .iter()
            .filter_map(move |(id, task)| Some((PayloadName::Arguments(*id), place(task.kept)?)));
        let results = self
            .outcomes
            .iter()
            .filter_map(move |(id, end)| Some((PayloadName::Result(*id), place(end.kept)?)));
        let blobs = self
            .blobs
            .iter()
            .filter_map(move |(hash, blob)| Some((PayloadName::Blob(*hash), place(blob.kept)?)));
        arguments.chain(results).chain(blobs)
    }

    /// Number of tasks that name each blob.
    pub(super) fn needs(&self) -> FxHashMap<BlobHash, u64> {
        let mut needs = FxHashMap::default();
        for task in self.tasks.values() {
            for hash in task.what.blob_hashes() {
                *needs.entry(hash).or_insert(0) += 1;
            }
        }
        needs
    }

    /// Content for scheduler and gate: tasks in the order of their ids.
    pub(super) fn into_loaded(self) -> Loaded {
        let mut tasks: Vec<Task> = self.tasks.into_values().map(|task| task.what).collect();
        tasks.sort_unstable_by_key(|task| task.head.id);
        tasks.iter_mut().for_each(|task| leave_large(&mut task.payload));
        let mut starts: Vec<AttemptId> =
            self.starts.into_iter().map(|(task, attempt)| AttemptId { task, attempt }).collect();
        starts.sort_unstable();
        let mut outcomes: Vec<Outcome> = self.outcomes.into_values().map(|outcome| outcome.what).collect();
        outcomes.sort_unstable_by_key(|outcome| outcome.head.id);
        outcomes.iter_mut().for_each(|outcome| leave_large(&mut outcome.payload));
        let owners = self.owners;
        let owner = |id: TaskId| owners.get(&id).cloned().unwrap_or_default();
        let tasks = tasks.into_iter().map(|task| {
            let owner = owner(task.head.id);
            Record::TaskAccepted(task, owner)
        });
        let starts = starts.into_iter().map(Record::AttemptStarted);
        let records = tasks.chain(starts).chain(outcomes.into_iter().map(Record::TaskEnded)).collect();
        let mut blobs: Vec<(BlobHash, Payload)> =
            self.blobs.into_iter().map(|(hash, blob)| (hash, blob.what)).collect();
        blobs.sort_unstable_by_key(|(hash, _)| *hash);
        Loaded { records, blobs }
    }
}

/// A payload as a scheduler takes it over: large ones stay in the store.
fn leave_large(payload: &mut Payload) {
    if payload.len() > STORED_ABOVE {
        *payload = Payload::stored(payload.len());
    }
}

/// The frame of a message.
pub(super) fn encode(message: &impl Message) -> Vec<u8> {
    let mut outbox = Outbox::default();
    outbox.push(message);
    outbox.into_bytes()
}

/// First byte of a task that has an owner of its own. No frame is so long that its length begins so.
const OWNED: u8 = 0xff;

/// A task and its owner, unless that is `admin`: [`OWNED`], the length of the name, the name; then the frame.
pub(super) fn encode_task(task: Task, owner: &OwnerName) -> Vec<u8> {
    let frame = encode(&ToManager::Submit(task));
    if owner.is_admin() {
        return frame;
    }
    let name = owner.as_str().as_bytes();
    [&[OWNED, name.len() as u8], name, &frame].concat()
}

/// Reads what [`encode_task`] has written.
pub(super) fn decode_task(bytes: &[u8]) -> Option<(Task, OwnerName)> {
    let (owner, frame) = match bytes {
        [OWNED, length, rest @ ..] => {
            let (name, frame) = rest.split_at_checked(usize::from(*length))?;
            (OwnerName::read(std::str::from_utf8(name).ok()?)?, frame)
        }
        frame => (OwnerName::admin(), frame),
    };
    let ToManager::Submit(task) = decode(frame)? else { return None };
    Some((task, owner))
}

/// A message from its frame.
pub(super) fn decode<M: Message>(bytes: &[u8]) -> Option<M> {
    let mut decoder = Decoder::default();
    decoder.buffer().extend_from_slice(bytes);
    decoder.next().ok().flatten()
}
