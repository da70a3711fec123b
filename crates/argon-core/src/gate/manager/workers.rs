//! Blobs for workers: what each was sent and wants, and which blobs stay for tasks to come.

use argon_proto::conversation::Blob;
use argon_proto::{BlobHash, Task};

use super::{GateEffect, ManagerGate, SENT_ALL_MAX, WANTED_ALL_MAX, WANTED_MAX};
use crate::scheduler::ConnId;

impl ManagerGate {
    /// A worker's connection ended, and what it was sent may be gone.
    pub fn on_worker_lost(&mut self, link: ConnId) {
        self.sent_count -= self.sent.remove(&link).map_or(0, |sent| sent.len());
        self.wanted_count -= self.wanted.remove(&link).map_or(0, |wanted| wanted.len());
    }

    /// A worker lacks blobs of tasks that it holds. It gets those that are not here when they come: after a restart it may
    /// ask before the client is back. It asks again as long as it waits.
    pub fn on_need_blob(&mut self, link: ConnId, hashes: &[BlobHash], out: &mut Vec<GateEffect>) {
        let mut missing = Vec::new();
        for hash in hashes {
            if let Some(payload) = self.payload(*hash).cloned() {
                self.note_sent(link, *hash);
                out.push(GateEffect::Send { link, blob: Blob { hash: *hash, payload } });
            } else {
                let wanted = self.wanted.entry(link).or_default();
                if wanted.len() < WANTED_MAX && self.wanted_count < WANTED_ALL_MAX && wanted.insert(*hash) {
                    self.wanted_count += 1;
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

    /// Calls `send` for each blob of a task that this worker lacks, which must be done before the RUN.
    pub fn before_run(&mut self, link: ConnId, task: &Task, mut send: impl FnMut(Blob)) {
        if task.head.blob_count == 0 {
            return;
        }
        for hash in task.blob_hashes() {
            if self.contains(hash)
                && self.note_sent(link, hash)
                && let Some(payload) = self.payload(hash)
            {
                send(Blob { hash, payload: payload.clone() });
            }
        }
    }

    /// Notes that a worker was sent a blob; false if it was before. What is forgotten is sent again, which does no harm.
    fn note_sent(&mut self, link: ConnId, hash: BlobHash) -> bool {
        let sent = self.sent.entry(link).or_default();
        if self.sent_count >= SENT_ALL_MAX {
            self.sent_count -= std::mem::take(sent).len();
        }
        let is_new = sent.insert(hash);
        self.sent_count += usize::from(is_new);
        is_new
    }

    pub(super) fn send_wanted(&mut self, hash: BlobHash, out: &mut Vec<GateEffect>) {
        if self.wanted.is_empty() {
            return;
        }
        let mut links: Vec<ConnId> = self
            .wanted
            .iter_mut()
            .filter_map(|(link, wanted)| wanted.remove(&hash).then_some(*link))
            .collect();
        self.wanted_count -= links.len();
        self.wanted.retain(|_, wanted| !wanted.is_empty());
        links.sort_unstable();
        for link in links {
            self.on_need_blob(link, &[hash], out);
        }
    }

    pub(super) fn put_aside(&mut self, hash: BlobHash) {
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
                    self.held_bytes -= payload.len();
                    self.held -= 1;
                }
            } else if is_current {
                self.spare.push_back((oldest, number));
            }
        }
    }
}
