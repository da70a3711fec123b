//! Questions that need somebody else: of tasks to their clients, and of workers for blobs. Each is answered, or ends with
//! its task.
//!
//! A question of a task stays here until its client has answered: a client that comes back is asked again, and one that does
//! not loses its tasks. A worker repeats its question for a blob as long as it waits.

use std::time::Duration;

use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::conversation::{Answer, Ask};
use argon_proto::{BlobHash, Flags, Report, Status};
use bytes::Bytes;
use rustc_hash::FxHashSet;

use super::effect::Out;
use super::input::ConnId;
use super::{Scheduler, TaskKey, WorkerKey};
use crate::time::Time;

/// Largest question that waits for a client to come back, bytes.
const QUESTION_BYTES: usize = 64 << 10;
/// Time that a client has to send a blob again which is missing here.
const BLOB_WITHIN: Duration = Duration::from_secs(60);

impl Scheduler {
    /// An attempt asks its client for something.
    pub(super) fn on_question_asked(&mut self, now: Time, link: ConnId, ask: Ask, out: &mut Out) {
        let Some(worker) = self.worker_at(link) else {
            return;
        };
        self.decide_about(now, &ask.from.task, out);
        let is_kept = ask.question.len() <= QUESTION_BYTES && self.keep_question(worker, &ask);
        match self.listener(worker, ask.from) {
            (_, Some(client)) => out.send_to_client(client, ToClient::Ask(ask)),
            (_, None) if is_kept => {}
            (None, None) if !self.workers[worker].without_task.contains(&ask.from) => {
                self.totals.unproven += 1;
            }
            (_, None) => {
                // Without words: nobody was there to be asked.
                let answer = Answer { to: ask.from, ask: ask.ask, found: false, bytes: Bytes::new() };
                out.send_to_worker(link, ToWorker::Answer(answer));
            }
        }
    }

    /// Keeps a question that a client may answer later. A task waits for one at a time.
    fn keep_question(&mut self, worker: WorkerKey, ask: &Ask) -> bool {
        if let (Some(key), _) = self.listener(worker, ask.from) {
            let entry = &mut self.tasks[key];
            let has_client = !entry.is(Flags::DETACHED);
            if has_client {
                entry.cold_mut().question = Some(ask.clone());
            }
            return has_client;
        }
        match self.orphans.get_mut(&ask.from.task) {
            Some(orphan) if orphan.worker == worker && orphan.attempt == ask.from => {
                orphan.question = Some(ask.clone());
                true
            }
            Some(_) | None => false,
        }
    }

    /// A client is there that has not answered a question of its task, as far as is known here.
    pub(super) fn ask_again(&mut self, key: TaskKey, out: &mut Out) {
        let entry = &self.tasks[key];
        let question = entry.cold.as_ref().and_then(|cold| cold.question.as_ref());
        if let Some(ask) = question.filter(|ask| ask.from == entry.attempt_id())
            && entry.worker().is_some()
            && let Some(client) = self.sessions[entry.session].link
        {
            out.send_to_client(client, ToClient::Ask(ask.clone()));
        }
    }

    /// A client answers an attempt's question.
    pub(super) fn on_question_answered(&mut self, link: ConnId, answer: Answer, out: &mut Out) {
        let Some(key) = self.task_for_client(link, answer.to) else {
            return;
        };
        if let Some(cold) = &mut self.tasks[key].cold {
            cold.question.take_if(|ask| ask.ask == answer.ask);
        }
        let worker = self.tasks[key].worker();
        if let Some(worker) = worker.and_then(|worker| self.workers[worker].link) {
            out.send_to_worker(worker, ToWorker::Answer(answer));
        }
    }

    /// Blobs of these that a task at this worker names; a worker may ask for any. Costs time in proportion to its
    /// tasks, and none to what it asks beyond them.
    #[must_use]
    pub fn needed_at(&self, link: ConnId, hashes: &[BlobHash]) -> Vec<BlobHash> {
        let mut asked: FxHashSet<BlobHash> = hashes.iter().copied().collect();
        let assigned = self.worker_at(link).map_or(&[][..], |key| &self.workers[key].assigned);
        let named = assigned.iter().flat_map(|key| self.tasks[*key].task.blob_hashes());
        named.filter(|hash| asked.remove(hash)).collect()
    }

    /// A worker lacks blobs that are not here either, and are not on their way. The clients of the tasks that name them are
    /// asked; tasks without a client, and those whose client does not send them, end.
    pub(super) fn on_blobs_missing(&mut self, now: Time, link: ConnId, hashes: &[BlobHash], out: &mut Out) {
        let Some(worker) = self.worker_at(link) else {
            return;
        };
        let missing: FxHashSet<BlobHash> = hashes.iter().copied().collect();
        let names_one =
            |key: &TaskKey| self.tasks[*key].task.blob_hashes().any(|hash| missing.contains(&hash));
        let waiting: Vec<TaskKey> = self.workers[worker].assigned.iter().copied().filter(names_one).collect();
        for key in waiting {
            let entry = &mut self.tasks[key];
            let attempt = entry.attempt_id();
            let lacking: Vec<BlobHash> =
                entry.task.blob_hashes().filter(|hash| missing.contains(hash)).collect();
            let is_attached = !entry.is(Flags::DETACHED);
            let cold = entry.cold_mut();
            let (of, since) = *cold.lacks_blobs.get_or_insert((attempt.attempt, now));
            if of != attempt.attempt {
                cold.lacks_blobs = Some((attempt.attempt, now));
            } else if !is_attached || now >= since + BLOB_WITHIN {
                self.end_without_blob(now, key, lacking[0], out);
                continue;
            }
            match self.sessions[self.tasks[key].session].link.filter(|_| is_attached) {
                Some(client) => out.send_to_client(client, ToClient::NeedBlob(lacking)),
                None if is_attached => {}
                None => self.end_without_blob(now, key, lacking[0], out),
            }
        }
    }

    fn end_without_blob(&mut self, now: Time, key: TaskKey, hash: BlobHash, out: &mut Out) {
        let report = Report::of(format!(
            "the task did not start: its code or a shared argument ({hash}) is missing at the manager, and no client has sent \
             it again; submit the task again"
        ));
        self.withdraw(key, out);
        self.end_reported(now, key, Status::Died, report, out);
    }
}
