//! Attempts that a worker holds when it registers: which of them are its own, and what is done with each.

use argon_proto::conversation::worker::{Held, ToWorker};
use argon_proto::{AttemptId, Status, limit};
use rustc_hash::FxHashSet;

use super::effect::{Effect, Out};
use super::task::TaskState;
use super::{Scheduler, TaskKey, WorkerKey};
use crate::time::Time;

/// Decision about an attempt that a worker reports as held.
enum Fate {
    Keep,
    /// The attempt whose outcome ended the task: it stays until the outcome is settled.
    KeepOutcome(TaskKey),
    Adopt(TaskKey),
    Hold,
    /// An earlier attempt of the task is kept, which has failed: this one was given for that.
    HoldInstead,
    Drop,
}

/// Earlier state of a worker that comes back.
#[derive(Debug)]
pub(super) struct Past {
    /// Attempts that it held without a task on its last connection.
    pub(super) without_task: FxHashSet<AttemptId>,
    /// True if attempts that nobody here knows have ended here.
    pub(super) has_ended_here: bool,
}

impl Scheduler {
    /// The attempts whose tokens show that they were given to this worker, and the others.
    pub(super) fn verified(&self, key: WorkerKey, held: Vec<Held>) -> (Vec<AttemptId>, Vec<AttemptId>) {
        let attempt_key = self.workers[key].key;
        let is_its_own = |held: &Held| attempt_key.verifies(held.attempt, held.token);
        let (held, forged): (Vec<Held>, Vec<Held>) = held.into_iter().partition(is_its_own);
        let attempts = |held: Vec<Held>| held.into_iter().map(|held| held.attempt);
        (attempts(held).collect(), attempts(forged).collect())
    }

    /// Refuses attempts that this worker was never given. The scheduler keeps nothing for them.
    pub(super) fn refuse_forged(&mut self, key: WorkerKey, forged: &[AttemptId], out: &mut Out) {
        if forged.is_empty() {
            return;
        }
        self.totals.unproven += forged.len() as u64;
        if let Some(link) = self.workers[key].link {
            for part in forged.chunks(limit::IDS_PER_FRAME) {
                out.send_to_worker(link, ToWorker::Stop(part.to_vec()));
            }
        }
        let worker = &mut self.workers[key];
        if !std::mem::replace(&mut worker.was_warned_of, true) {
            let what = format!(
                "worker {} lists attempts that no manager with this cluster key has given to it; they are stopped",
                worker.profile.name,
            );
            out.effects.push(Effect::Warn { what });
        }
    }

    /// Decides about one attempt.
    pub(super) fn on_attempt_held(
        &mut self,
        now: Time,
        worker: WorkerKey,
        attempt: AttemptId,
        past: &Past,
        out: &mut Out,
    ) {
        match self.fate_of(worker, attempt, past) {
            Fate::Keep => self.note_delivered(attempt),
            Fate::KeepOutcome(key) => self.keep(key, worker),
            Fate::Adopt(key) => {
                self.withdraw(key, out);
                self.adopt(now, key, worker, attempt.attempt);
            }
            Fate::Hold => self.keep_orphan(now, worker, attempt),
            Fate::HoldInstead => {
                self.discard_orphan(attempt.task, out);
                self.keep_orphan(now, worker, attempt);
            }
            Fate::Drop => self.stop(worker, attempt, out),
        }
    }

    fn fate_of(&self, worker: WorkerKey, attempt: AttemptId, past: &Past) -> Fate {
        let orphan = self.orphans.get(&attempt.task);
        if orphan.is_some_and(|kept| kept.worker == worker && kept.attempt == attempt) {
            return Fate::Hold;
        }
        if past.without_task.contains(&attempt) {
            // It was asked to stop.
            return Fate::Drop;
        }
        if let Some(kept) = orphan {
            let failed = kept.outcome.as_ref().is_some_and(|outcome| outcome.head.status != Status::Ok);
            let is_earlier = kept.attempt.attempt < attempt.attempt;
            return if failed && is_earlier { Fate::HoldInstead } else { Fate::Drop };
        }
        let Some(key) = self.task_of(&attempt.task) else {
            let has_ended = past.has_ended_here && !self.parted.contains(&attempt);
            let is_wanted = !has_ended && !self.stop_on_arrival.contains(&attempt.task);
            return if is_wanted { Fate::Hold } else { Fate::Drop };
        };
        let entry = &self.tasks[key];
        match entry.state {
            TaskState::Assigned { worker: other, .. } if other == worker && entry.attempt_id() == attempt => {
                Fate::Keep
            }
            TaskState::Recovering | TaskState::Queued { .. } | TaskState::Delayed
                if !entry.has_retried(attempt.attempt) =>
            {
                Fate::Adopt(key)
            }
            TaskState::Persisting => Fate::Hold,
            TaskState::Ended(_) if self.may_keep(key, worker, attempt.attempt) => Fate::KeepOutcome(key),
            TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Assigned { .. }
            | TaskState::Ended(_) => Fate::Drop,
        }
    }
}
