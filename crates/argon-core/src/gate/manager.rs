//! The manager's gate: a task goes to the scheduler when its blobs are here. They are kept while a task needs them, and
//! for a while after.
//!
//! The shell reports what happened and carries out the [`GateEffect`]s. Tasks that passed are the scheduler's;
//! [`ManagerGate::release`] tells when it needs their blobs no longer.

mod invariants;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use argon_proto::conversation::Blob;
use argon_proto::{BlobHash, Payload, Task, TaskId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{distinct, once_each};
use crate::scheduler::ConnId;

/// Bytes of blobs that no task needs and that are kept all the same.
const SPARE_BYTES: u64 = 256 << 20;
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
    uses: u64,
    /// Tasks that wait, in the order in which they came.
    parked: BTreeMap<u64, ParkedSubmission>,
    parked_by_id: FxHashMap<TaskId, u64>,
    parked_by_link: FxHashMap<ConnId, FxHashSet<u64>>,
    last_parked: u64,
    /// Blobs that each worker was sent on its connection.
    sent: FxHashMap<ConnId, FxHashSet<BlobHash>>,
    /// Blobs that each worker asked for and that are not here.
    wanted: FxHashMap<ConnId, FxHashSet<BlobHash>>,
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
            uses: 0,
            parked: BTreeMap::new(),
            parked_by_id: FxHashMap::default(),
            parked_by_link: FxHashMap::default(),
            last_parked: 0,
            sent: FxHashMap::default(),
            wanted: FxHashMap::default(),
        }
    }

    /// Takes over the tasks that a store holds, and then their blobs by [`ManagerGate::on_blob`].
    pub fn recover<'a>(&mut self, tasks: impl Iterator<Item = &'a Task>) {
        for task in tasks {
            self.need_all(task);
        }
    }

    /// A client submitted a task. `is_arriving` tells of a blob whether its bytes are on their way already.
    pub fn on_submit(
        &mut self,
        link: ConnId,
        task: Task,
        is_arriving: impl Fn(BlobHash) -> bool,
        out: &mut Vec<GateEffect>,
    ) {
        self.need_all(&task);
        let missing: Vec<BlobHash> = distinct(&task).filter(|hash| !self.contains(*hash)).collect();
        if missing.is_empty() {
            return out.push(GateEffect::Admit { link, task });
        }
        self.last_parked += 1;
        let number = self.last_parked;
        for hash in &missing {
            self.blobs.entry(*hash).or_default().waiting.insert(number);
        }
        self.parked_by_id.insert(task.head.id, number);
        self.parked_by_link.entry(link).or_default().insert(number);
        self.parked.insert(number, ParkedSubmission { link, task, missing: missing.len() });
        let hashes: Vec<BlobHash> = missing.into_iter().filter(|hash| !is_arriving(*hash)).collect();
        if !hashes.is_empty() {
            out.push(GateEffect::Ask { link, hashes });
        }
    }

    /// A blob arrived, whole: the tasks that waited for nothing else pass, in the order in which they came.
    pub fn on_blob(&mut self, hash: BlobHash, payload: Payload, out: &mut Vec<GateEffect>) {
        let entry = self.blobs.entry(hash).or_default();
        if entry.payload.is_some() {
            return;
        }
        let (length, is_spare) = (payload.len(), entry.needed_by == 0);
        entry.payload = Some(payload);
        let waiting = std::mem::take(&mut entry.waiting);
        self.held += 1;
        if is_spare {
            self.spare_bytes += length;
            self.put_aside(hash);
        }
        self.send_wanted(hash, out);
        for number in waiting {
            let Some(parked) = self.parked.get_mut(&number) else {
                continue;
            };
            parked.missing -= 1;
            if parked.missing == 0
                && let Some(ParkedSubmission { link, task, .. }) = self.unpark(number)
            {
                out.push(GateEffect::Admit { link, task });
            }
        }
    }

    /// A client's connection ended: its tasks that wait are forgotten. It offers them again, if it comes back.
    pub fn on_client_lost(&mut self, link: ConnId) {
        let mut numbers: Vec<u64> = self.parked_by_link.remove(&link).into_iter().flatten().collect();
        numbers.sort_unstable();
        for number in numbers {
            if let Some(parked) = self.unpark(number) {
                self.release_task(&parked.task);
            }
        }
    }

    /// A worker's connection ended, and what it was sent may be gone.
    pub fn on_worker_lost(&mut self, link: ConnId) {
        self.sent.remove(&link);
        self.wanted.remove(&link);
    }

    /// A worker lacks blobs of tasks that it holds. It gets those that are not here when they come: after a restart it may
    /// ask before the client is back. It asks again as long as it waits.
    pub fn on_need_blob(&mut self, link: ConnId, hashes: &[BlobHash], out: &mut Vec<GateEffect>) {
        let mut missing = Vec::new();
        for hash in hashes {
            if let Some(payload) = self.payload(*hash).cloned() {
                self.sent.entry(link).or_default().insert(*hash);
                out.push(GateEffect::Send { link, blob: Blob { hash: *hash, payload } });
            } else {
                let wanted = self.wanted.entry(link).or_default();
                if wanted.len() < WANTED_MAX {
                    wanted.insert(*hash);
                }
                // Where parked tasks wait for it, their clients have been asked.
                if self.blobs.get(hash).is_none_or(|entry| entry.waiting.is_empty()) {
                    missing.push(*hash);
                }
            }
        }
        if !missing.is_empty() {
            out.push(GateEffect::Missing { link, hashes: missing });
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

    /// Calls `send` for each blob of a task that this worker lacks, which must be done before the RUN.
    pub fn before_run(&mut self, link: ConnId, task: &Task, mut send: impl FnMut(Blob)) {
        if task.head.blob_count == 0 {
            return;
        }
        let sent = self.sent.entry(link).or_default();
        for hash in task.blob_hashes() {
            let payload = self.blobs.get(&hash).and_then(|entry| entry.payload.as_ref());
            if let Some(payload) = payload
                && sent.insert(hash)
            {
                send(Blob { hash, payload: payload.clone() });
            }
        }
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

    /// Number of tasks of one client that wait.
    #[must_use]
    pub fn parked_of(&self, link: ConnId) -> usize {
        self.parked_by_link.get(&link).map_or(0, FxHashSet::len)
    }

    fn send_wanted(&mut self, hash: BlobHash, out: &mut Vec<GateEffect>) {
        if self.wanted.is_empty() {
            return;
        }
        let mut links: Vec<ConnId> = self
            .wanted
            .iter_mut()
            .filter_map(|(link, wanted)| wanted.remove(&hash).then_some(*link))
            .collect();
        self.wanted.retain(|_, wanted| !wanted.is_empty());
        links.sort_unstable();
        for link in links {
            self.on_need_blob(link, &[hash], out);
        }
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
        if let Some(numbers) = self.parked_by_link.get_mut(&parked.link) {
            numbers.remove(&number);
            if numbers.is_empty() {
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

    fn put_aside(&mut self, hash: BlobHash) {
        self.uses += 1;
        if let Some(entry) = self.blobs.get_mut(&hash) {
            entry.last_use = self.uses;
        }
        self.spare.push_back((hash, self.uses));
        // The last to come stays, however big it is: the task that names it comes right behind it.
        while (self.spare_bytes > self.spare_bytes_max && self.spare.len() > 1)
            || self.spare.len() > 2 * self.held + 64
        {
            let Some((oldest, number)) = self.spare.pop_front() else {
                return;
            };
            let entry = self.blobs.get(&oldest);
            let is_current = entry.is_some_and(|entry| entry.needed_by == 0 && entry.last_use == number);
            if is_current && self.spare_bytes > self.spare_bytes_max {
                if let Some(payload) = self.blobs.remove(&oldest).and_then(|entry| entry.payload) {
                    self.spare_bytes -= payload.len();
                    self.held -= 1;
                }
            } else if is_current {
                self.spare.push_back((oldest, number));
            }
        }
    }
}

#[cfg(test)]
mod tests;
