//! The manager's gate: a task goes to the scheduler when its blobs are here. They are kept while a task needs them, and
//! for a while after.
//!
//! The shell reports what happened and carries out the [`GateEffect`]s. Tasks that passed are the scheduler's;
//! [`ManagerGate::release`] tells when it needs their blobs no longer.
//!
//! One blob may complete tens of thousands of tasks, and one client may leave as many behind. They pass and go in parts:
//! the shell calls [`ManagerGate::go_on`] until it returns false.

mod backlog;
mod invariants;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use argon_proto::conversation::Blob;
use argon_proto::{BlobHash, Payload, Task, TaskId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{distinct, once_each};
use crate::scheduler::ConnId;

/// Bytes of blobs that no task needs and that are kept all the same.
const SPARE_BYTES: u64 = 256 << 20;
/// Most tasks of one client that wait: no client may have sent more.
const PARKED_MAX: usize = 64 << 10;
/// Memory that a task which waits is charged for each blob that is missing: a blob up to this size is taken also when
/// memory is full.
const MISSING_BYTES: u64 = 16 << 10;
/// Memory of an entry, a place in a set, and a task that waits, about.
const ENTRY_BYTES: u64 = 200;
/// Hashes that all workers together may want, and have been sent.
const WANTED_ALL_MAX: usize = 256 << 10;
const SENT_ALL_MAX: usize = 1 << 20;
/// Blobs that a worker may want at once and that are not here; what it asks beyond that is not remembered.
const WANTED_MAX: usize = 16 << 10;

/// A command to the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GateEffect {
    /// Give the scheduler a task whose blobs are all here.
    Admit {
        /// The connection of its client.
        link: ConnId,
        /// The task.
        task: Task,
    },
    /// Send a worker a blob that it asked for.
    Send {
        /// The worker's connection.
        link: ConnId,
        /// The blob.
        blob: Blob,
    },
    /// Blobs that a worker asked for are not here, and no client was asked for them.
    Missing {
        /// The worker's connection.
        link: ConnId,
        /// The blobs.
        hashes: Vec<BlobHash>,
    },
    /// Refuse a task: there is no room for it to wait in.
    Refuse {
        /// The connection of its client.
        link: ConnId,
        /// The task.
        task: Task,
    },
    /// Ask a client for blobs that its tasks need.
    Ask {
        /// Its connection.
        link: ConnId,
        /// The blobs.
        hashes: Vec<BlobHash>,
    },
}

/// See the module.
#[derive(Debug)]
pub struct ManagerGate {
    blobs: FxHashMap<BlobHash, Entry>,
    /// Blobs that were unneeded at some time, the oldest first; some are needed again.
    spare: VecDeque<(BlobHash, u64)>,
    spare_bytes: u64,
    spare_bytes_max: u64,
    /// Number of blobs that are here.
    held: usize,
    /// Their bytes.
    held_bytes: u64,
    uses: u64,
    /// Tasks that wait, in the order in which they came.
    parked: BTreeMap<u64, ParkedSubmission>,
    parked_by_id: FxHashMap<TaskId, u64>,
    parked_by_link: FxHashMap<ConnId, ParkedOfLink>,
    last_parked: u64,
    /// Memory that they are charged.
    parked_bytes: u64,
    backlog: backlog::Backlog,
    /// Blobs that each worker was sent on its connection.
    sent: FxHashMap<ConnId, FxHashSet<BlobHash>>,
    /// Blobs that each worker asked for and that are not here.
    wanted: FxHashMap<ConnId, FxHashSet<BlobHash>>,
    /// Number of hashes in `sent`, and in `wanted`.
    sent_count: usize,
    wanted_count: usize,
}

/// Tasks of one client that wait.
#[derive(Debug, Default)]
struct ParkedOfLink {
    numbers: FxHashSet<u64>,
    bytes: u64,
}

/// A blob that is here, or that a task needs.
#[derive(Debug, Default)]
struct Entry {
    payload: Option<Payload>,
    /// Number of tasks that need it.
    needed_by: usize,
    /// Parked tasks that wait for it.
    waiting: BTreeSet<u64>,
    /// Number of the last use; a spare entry with another number is stale.
    last_use: u64,
}

/// A task that waits for blobs.
#[derive(Debug)]
struct ParkedSubmission {
    link: ConnId,
    task: Task,
    missing: usize,
    /// Memory that it is charged.
    bytes: u64,
}

impl Default for ManagerGate {
    fn default() -> Self {
        Self::new(SPARE_BYTES)
    }
}

impl ManagerGate {
    /// A gate that keeps at most `spare_bytes_max` of blobs that no task needs.
    #[must_use]
    pub fn new(spare_bytes_max: u64) -> Self {
        Self {
            blobs: FxHashMap::default(),
            spare: VecDeque::new(),
            spare_bytes: 0,
            spare_bytes_max,
            held: 0,
            held_bytes: 0,
            uses: 0,
            parked: BTreeMap::new(),
            parked_by_id: FxHashMap::default(),
            parked_by_link: FxHashMap::default(),
            last_parked: 0,
            parked_bytes: 0,
            backlog: backlog::Backlog::default(),
            sent: FxHashMap::default(),
            wanted: FxHashMap::default(),
            sent_count: 0,
            wanted_count: 0,
        }
    }

    /// A gate that keeps at most this much, and 256 MiB, of blobs that no task needs.
    #[must_use]
    pub fn within(bytes: u64) -> Self {
        Self::new(SPARE_BYTES.min(bytes))
    }

    /// Takes over the tasks that a store holds, and then their blobs by [`ManagerGate::on_blob`].
    pub fn recover<'a>(&mut self, tasks: impl Iterator<Item = &'a Task>) {
        for task in tasks {
            self.need_all(task);
        }
    }

    /// A client submitted a task. `is_arriving` tells of a blob whether its bytes are on their way already. `may_wait`
    /// decides whether there is room for a task to wait, by the memory that it takes and that others of its client take.
    pub fn on_submit(
        &mut self,
        link: ConnId,
        mut task: Task,
        is_arriving: impl Fn(BlobHash) -> bool,
        may_wait: impl FnOnce(u64, u64) -> bool,
        out: &mut Vec<GateEffect>,
    ) {
        self.need_all(&task);
        let missing: Vec<BlobHash> = distinct(&task).filter(|hash| !self.contains(*hash)).collect();
        let must_follow = !self.backlog.is_empty() && self.parked_by_link.contains_key(&link);
        if missing.is_empty() && !must_follow {
            return out.push(GateEffect::Admit { link, task });
        }
        let bytes = ENTRY_BYTES + task.resident() + missing.len() as u64 * MISSING_BYTES;
        let (count, before) =
            self.parked_by_link.get(&link).map_or((0, 0), |of| (of.numbers.len(), of.bytes));
        if count >= PARKED_MAX || !may_wait(bytes, before) {
            return out.push(GateEffect::Refuse { link, task });
        }
        task.compact();
        self.last_parked += 1;
        let number = self.last_parked;
        for hash in &missing {
            self.blobs.entry(*hash).or_default().waiting.insert(number);
        }
        self.parked_by_id.insert(task.head.id, number);
        let of_link = self.parked_by_link.entry(link).or_default();
        of_link.numbers.insert(number);
        of_link.bytes += bytes;
        self.parked_bytes += bytes;
        self.parked.insert(number, ParkedSubmission { link, task, missing: missing.len(), bytes });
        if missing.is_empty() {
            self.backlog.follow(number);
        }
        let hashes: Vec<BlobHash> = missing.into_iter().filter(|hash| !is_arriving(*hash)).collect();
        if !hashes.is_empty() {
            out.push(GateEffect::Ask { link, hashes });
        }
    }

    /// A blob arrived, whole: the tasks that waited for nothing else pass, in the order in which they came.
    pub fn on_blob(&mut self, hash: BlobHash, mut payload: Payload, out: &mut Vec<GateEffect>) {
        let entry = self.blobs.entry(hash).or_default();
        if entry.payload.is_some() {
            return;
        }
        payload.compact();
        self.held_bytes += payload.len();
        let (length, is_spare) = (payload.len(), entry.needed_by == 0);
        entry.payload = Some(payload);
        let waiting = std::mem::take(&mut entry.waiting);
        self.held += 1;
        if is_spare {
            self.spare_bytes += length;
            self.put_aside(hash);
        }
        self.send_wanted(hash, out);
        self.backlog.complete(waiting);
        self.go_on(out);
    }

    /// Refuses the tasks of this client that wait for a blob for which there is no room.
    pub fn on_blob_without_room(&mut self, link: ConnId, hash: BlobHash, out: &mut Vec<GateEffect>) {
        for number in self.waiting_of(link, hash) {
            if let Some(ParkedSubmission { link, task, .. }) = self.unpark(number) {
                out.push(GateEffect::Refuse { link, task });
            }
        }
    }

    /// Needs the blobs of a task that did not come to wait here, until they are released.
    pub fn need(&mut self, task: &Task) {
        self.need_all(task);
    }

    /// A client's connection ended: its tasks that wait are forgotten. It offers them again, if it comes back.
    pub fn on_client_lost(&mut self, link: ConnId) {
        if let Some(of_link) = self.parked_by_link.remove(&link) {
            self.parked_bytes -= of_link.bytes;
            let is_next = self.backlog.is_empty();
            self.backlog.leave(of_link.numbers);
            if is_next {
                // None of them passes.
                self.go_on(&mut Vec::new());
            }
        }
    }

    /// The scheduler has forgotten a task that named these hashes, 32 bytes each.
    pub fn release(&mut self, blobs: &[u8]) {
        let (hashes, _) = blobs.as_chunks::<{ BlobHash::BYTES }>();
        for hash in once_each(hashes.iter().copied().map(BlobHash)) {
            self.release_one(hash);
        }
    }

    /// Takes away a task that waits. Its blobs stay needed until they are released.
    pub fn withdraw(&mut self, id: TaskId) -> Option<(ConnId, Task)> {
        let number = *self.parked_by_id.get(&id)?;
        let parked = self.unpark(number)?;
        Some((parked.link, parked.task))
    }

    /// Memory of blobs and of tasks that wait, bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let hashes = (self.blobs.len() + self.sent_count + self.wanted_count) as u64;
        self.held_bytes + self.parked_bytes + hashes * ENTRY_BYTES
    }

    /// The bytes of a blob, if they are here.
    #[must_use]
    pub fn payload(&self, hash: BlobHash) -> Option<&Payload> {
        self.blobs.get(&hash)?.payload.as_ref()
    }

    /// The client's connection of a task that waits.
    #[must_use]
    pub fn owner_of(&self, id: TaskId) -> Option<ConnId> {
        Some(self.parked.get(self.parked_by_id.get(&id)?)?.link)
    }

    /// The tasks that wait, the oldest first.
    pub fn parked(&self) -> impl ExactSizeIterator<Item = TaskId> + '_ {
        self.parked.values().map(|parked| parked.task.head.id)
    }

    /// The same tasks, each with the connection of its client.
    pub fn parked_tasks(&self) -> impl Iterator<Item = (ConnId, &Task)> {
        self.parked.values().map(|parked| (parked.link, &parked.task))
    }

    /// Number of tasks of one client that wait.
    #[must_use]
    pub fn parked_of(&self, link: ConnId) -> usize {
        self.parked_by_link.get(&link).map_or(0, |of_link| of_link.numbers.len())
    }

    fn contains(&self, hash: BlobHash) -> bool {
        self.payload(hash).is_some()
    }

    fn need_all(&mut self, task: &Task) {
        for hash in distinct(task) {
            let entry = self.blobs.entry(hash).or_default();
            if entry.needed_by == 0 {
                self.spare_bytes -= entry.payload.as_ref().map_or(0, Payload::len);
                entry.last_use = 0;
            }
            entry.needed_by += 1;
        }
    }

    fn release_task(&mut self, task: &Task) {
        for hash in distinct(task) {
            self.release_one(hash);
        }
    }

    fn release_one(&mut self, hash: BlobHash) {
        let Some(entry) = self.blobs.get_mut(&hash) else {
            return;
        };
        if entry.needed_by == 0 {
            return;
        }
        entry.needed_by -= 1;
        if entry.needed_by > 0 {
            return;
        }
        match &entry.payload {
            Some(payload) => {
                self.spare_bytes += payload.len();
                self.put_aside(hash);
            }
            None => {
                self.blobs.remove(&hash);
            }
        }
    }

    fn unpark(&mut self, number: u64) -> Option<ParkedSubmission> {
        let parked = self.parked.remove(&number)?;
        let id = parked.task.head.id;
        if self.parked_by_id.get(&id) == Some(&number) {
            self.parked_by_id.remove(&id);
        }
        if let Some(of_link) = self.parked_by_link.get_mut(&parked.link)
            && of_link.numbers.remove(&number)
        {
            of_link.bytes -= parked.bytes;
            self.parked_bytes -= parked.bytes;
            if of_link.numbers.is_empty() {
                self.parked_by_link.remove(&parked.link);
            }
        }
        if parked.missing > 0 {
            for hash in distinct(&parked.task) {
                if let Some(entry) = self.blobs.get_mut(&hash) {
                    entry.waiting.remove(&number);
                }
            }
        }
        Some(parked)
    }
}

#[cfg(test)]
mod tests;
