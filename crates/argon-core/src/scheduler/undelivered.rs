//! Tasks that do not reach their worker: RUN is under way, and the connection breaks before the worker has it. A short
//! loss of the network is no reason to blame anybody. A path on which large packets vanish breaks every connection at the
//! same task, so that it would block the worker for ever.

use argon_proto::{AttemptId, Flags, Report, Status};

use super::effect::Out;
use super::placement::Best;
use super::task::Origin;
use super::{Scheduler, TaskKey, WorkerKey};
use crate::time::Time;

/// Broken connections under which a task was under way that count as one lost worker.
const CONNECTIONS: u8 = 3;
/// A path that carries anything at all carries packets of this size: of smaller tasks the first to be sent is blamed.
const SMALL_BYTES: u64 = 512;

impl Scheduler {
    /// The task among `missing` that is likely to have kept the others from a worker. Big ones are interleaved with others
    /// and travel longest; otherwise all wait for the first.
    pub(super) fn blamed_of(&self, missing: &[TaskKey]) -> Option<TaskKey> {
        let size = |key: &TaskKey| {
            let task = &self.tasks[*key].task;
            Some(task.weight()).filter(|bytes| *bytes >= SMALL_BYTES).unwrap_or(0)
        };
        let rank = |key: &&TaskKey| (size(key), std::cmp::Reverse(self.tasks[**key].stamp));
        missing.iter().max_by_key(rank).copied()
    }

    /// Counts a connection to this worker that broke while the task was under way on it. True if that is a loss: the task
    /// waits behind others for its next start, or has ended.
    pub(super) fn note_undelivered(
        &mut self,
        now: Time,
        key: TaskKey,
        worker: WorkerKey,
        out: &mut Out,
    ) -> bool {
        let name = self.workers[worker].profile.name.clone();
        let limit = self.limits.losses;
        let entry = &mut self.tasks[key];
        if entry.origin == Origin::Found && entry.is(Flags::NEVER_TWICE) {
            return false;
        }
        let (attempt, bytes) = (entry.task.head.attempt.0, entry.task.weight());
        let cold = entry.cold_mut();
        cold.avoided = Some(worker);
        cold.undelivered += 1;
        if cold.undelivered < CONNECTIONS {
            return false;
        }
        cold.undelivered = 0;
        cold.losses += 1;
        cold.story.push(format!(
            "attempt {attempt} on {name}: {CONNECTIONS} connections in a row broke while the task ({bytes} bytes of \
             arguments, and its code) was under way to the worker"
        ));
        let losses = cold.losses;
        self.totals.lost_attempts += 1;
        self.step_back(key);
        if losses < limit {
            self.enqueue(now, key, false);
        } else {
            let report = Report::of(format!(
                "the task ({bytes} bytes of arguments, and its code) did not reach worker {name} over {CONNECTIONS} \
                 connections in a row, and was counted as lost {losses} times: packets of that size may not get through; \
                 compare the MTU of the path between manager and worker, such as that of a VPN, with that of the \
                 interfaces"
            ));
            self.end_reported(now, key, Status::Lost, report, out);
        }
        true
    }

    /// A worker holds the attempt: what breaks its connections is not this task.
    pub(super) fn note_delivered(&mut self, attempt: AttemptId) {
        let key = self.task_of(&attempt.task);
        if let Some(cold) = key.and_then(|key| self.tasks[key].cold.as_mut()) {
            cold.undelivered = 0;
        }
    }

    /// The worker that a task goes to: another one than `best` if it did not reach that, and the other is as free.
    pub(super) fn unless_avoided(&self, key: TaskKey, best: WorkerKey) -> WorkerKey {
        let avoided = self.tasks[key].cold.as_ref().and_then(|cold| cold.avoided);
        if avoided != Some(best) || self.placement.has_choosy() {
            return best;
        }
        let may_start = self.workers[best].free_slots() == 0;
        match self.placement.best_after(best) {
            Some(Best { worker, has_free_slot }) if has_free_slot || may_start => worker,
            Some(_) | None => best,
        }
    }
}
