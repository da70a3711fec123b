//! Workers come, come back, give back, drain and are lost.

use argon_proto::message::AttemptId;
use argon_proto::{Attempt, Flags, Message, Report, Status, WorkerId};
use bytes::Bytes;
use rustc_hash::FxHashSet;

use super::effect::Out;
use super::input::{Link, WorkerProfile};
use super::on_submit::close;
use super::task::State;
use super::timers::Timer;
use super::worker::{Recall, Worker};
use super::{Peer, Scheduler, TaskKey, Unclaimed, WorkerKey};
use crate::time::Time;

/// What becomes of an attempt that a worker says it holds.
enum Fate {
    Keep,
    Adopt(TaskKey),
    Hold,
    Drop,
}

impl Scheduler {
    pub(super) fn on_worker_joined(
        &mut self,
        now: Time,
        link: Link,
        profile: WorkerProfile,
        held: &[AttemptId],
        out: &mut Out,
    ) {
        if self.peers.contains_key(&link) {
            return close(link, "frame", "this connection has introduced itself already", out);
        }
        let id = profile.id;
        let key = self.worker_of(now, profile);
        let stamp = self.next_stamp();
        let worker = &mut self.workers[key.0];
        if let Some(old) = worker.link.replace(link) {
            self.peers.remove(&old);
            close(old, "session", "this worker registered on another connection", out);
        }
        worker.stamp = stamp;
        worker.draining = false;
        worker.recall = Recall::Possible;
        worker.unowned.clear();
        worker.settled.clear();
        self.peers.insert(link, Peer::Worker(key));
        let registered = format!("{{\"worker\":\"{id}\"}}");
        out.send(link, Message::Registered(Bytes::from(registered)));
        self.requeue_unheld(now, key, held);
        for attempt in held {
            self.on_attempt_held(now, key, *attempt, out);
        }
        self.placement.update(key, &self.workers[key.0]);
    }

    fn worker_of(&mut self, now: Time, profile: WorkerProfile) -> WorkerKey {
        if let Some(key) = self.worker_by_id.get(&profile.id).copied() {
            self.workers[key.0].profile = profile;
            return key;
        }
        let id = profile.id;
        let key = WorkerKey(self.workers.insert(Worker::new(profile, now)));
        self.worker_by_id.insert(id, key);
        key
    }

    /// What was on its way to the worker when its connection broke never started there.
    fn requeue_unheld(&mut self, now: Time, key: WorkerKey, held: &[AttemptId]) {
        let held: FxHashSet<AttemptId> = held.iter().copied().collect();
        let missing: Vec<TaskKey> = self.workers[key.0]
            .assigned
            .iter()
            .copied()
            .filter(|task| !held.contains(&self.tasks[task.0].attempt_id()))
            .collect();
        for task in missing.into_iter().rev() {
            self.take_back(now, task);
        }
    }

    /// Puts a task whose attempt never started back to the head of the queue, and its attempt number with it.
    fn take_back(&mut self, now: Time, key: TaskKey) {
        self.unassign(key);
        let attempt = &mut self.tasks[key.0].task.head.attempt;
        *attempt = Attempt(attempt.0.saturating_sub(1));
        self.enqueue(now, key, true);
    }

    fn on_attempt_held(&mut self, now: Time, worker: WorkerKey, attempt: AttemptId, out: &mut Out) {
        match self.fate_of(now, worker, attempt) {
            Fate::Keep => {}
            Fate::Adopt(key) => {
                self.withdraw(key, out);
                self.assign(now, key, worker, attempt.attempt);
                self.totals.adopted += 1;
            }
            Fate::Hold => {
                let until = now + self.limits.unclaimed;
                self.workers[worker.0].unowned.insert(attempt);
                self.unclaimed.insert(attempt.task, Unclaimed { worker, attempt, outcome: None, until });
                self.timers.set(until, Timer::UnclaimedEnd);
            }
            Fate::Drop => self.stop(worker, attempt, out),
        }
    }

    fn fate_of(&self, now: Time, worker: WorkerKey, attempt: AttemptId) -> Fate {
        let Some(key) = self.task_by_id.get(&attempt.task).copied() else {
            let is_young = now < self.recovering_until + self.limits.unclaimed;
            let is_new = !self.unclaimed.contains_key(&attempt.task);
            return if is_young && is_new { Fate::Hold } else { Fate::Drop };
        };
        let entry = &self.tasks[key.0];
        match entry.state {
            State::Assigned { worker: other, .. } if other == worker && entry.attempt_id() == attempt => {
                Fate::Keep
            }
            State::Recovering | State::Queued { .. } | State::Delayed => Fate::Adopt(key),
            State::Storing => Fate::Hold,
            State::Assigned { .. } | State::Ended { .. } => Fate::Drop,
        }
    }

    /// Gives a task to the worker that held an attempt of it before its client came back.
    pub(super) fn claim(&mut self, now: Time, key: TaskKey, unclaimed: Unclaimed, out: &mut Out) {
        let worker = unclaimed.worker;
        self.release_unowned(worker, unclaimed.attempt);
        self.assign(now, key, worker, unclaimed.attempt.attempt);
        self.totals.adopted += 1;
        if let Some(outcome) = unclaimed.outcome {
            self.on_current_outcome(now, worker, key, outcome, out);
        }
    }

    /// The worker holds an attempt no more that was assigned to no task.
    pub(super) fn release_unowned(&mut self, key: WorkerKey, attempt: AttemptId) -> bool {
        let worker = &mut self.workers[key.0];
        let was_unowned = worker.unowned.remove(&attempt);
        if was_unowned {
            self.placement.update(key, worker);
        }
        was_unowned
    }

    pub(super) fn on_attempts_returned(&mut self, now: Time, link: Link, attempts: &[AttemptId]) {
        let Some(worker) = self.worker_at(link) else {
            return;
        };
        self.workers[worker.0].recall = if attempts.is_empty() { Recall::Vain } else { Recall::Possible };
        for attempt in attempts.iter().rev() {
            if self.release_unowned(worker, *attempt) {
                self.forget_unclaimed(*attempt);
                continue;
            }
            let Some(key) = self.task_by_id.get(&attempt.task).copied() else {
                continue;
            };
            let entry = &self.tasks[key.0];
            if entry.worker() == Some(worker) && entry.attempt_id() == *attempt {
                self.totals.recalled += 1;
                self.take_back(now, key);
            }
        }
    }

    fn forget_unclaimed(&mut self, attempt: AttemptId) {
        if self.unclaimed.get(&attempt.task).is_some_and(|unclaimed| unclaimed.attempt == attempt) {
            self.unclaimed.remove(&attempt.task);
        }
    }

    pub(super) fn on_worker_draining(&mut self, link: Link) {
        if let Some(key) = self.worker_at(link) {
            let worker = &mut self.workers[key.0];
            worker.draining = true;
            self.placement.update(key, worker);
        }
    }

    pub(super) fn on_drain_requested(&mut self, id: WorkerId, out: &mut Out) {
        let Some(key) = self.worker_by_id.get(&id).copied() else {
            return;
        };
        let worker = &mut self.workers[key.0];
        worker.draining = true;
        if let Some(link) = worker.link {
            out.send(link, Message::Drain(Bytes::from_static(b"{}")));
        }
        self.placement.update(key, worker);
    }

    pub(super) fn on_worker_lost(&mut self, now: Time, link: Link, certain: bool, out: &mut Out) {
        let Some(key) = self.worker_at(link) else {
            return;
        };
        self.peers.remove(&link);
        let stamp = self.next_stamp();
        let worker = &mut self.workers[key.0];
        worker.link = None;
        worker.stamp = stamp;
        self.placement.update(key, worker);
        if certain || worker.outstanding() == 0 {
            self.lose_worker(now, key, out);
        } else {
            self.timers.set(now + self.limits.worker_grace, Timer::WorkerGrace(key, stamp));
        }
    }

    /// Gives up a worker: what it held runs elsewhere.
    pub(super) fn lose_worker(&mut self, now: Time, key: WorkerKey, out: &mut Out) {
        let assigned = self.workers[key.0].assigned.clone();
        for task in assigned.into_iter().rev() {
            self.on_attempt_lost(now, task, key, out);
        }
        self.unclaimed.retain(|_, unclaimed| unclaimed.worker != key);
        self.placement.remove(key);
        let worker = self.workers.remove(key.0);
        self.worker_by_id.remove(&worker.profile.id);
    }

    fn on_attempt_lost(&mut self, now: Time, key: TaskKey, worker: WorkerKey, out: &mut Out) {
        self.unassign(key);
        self.totals.lost_attempts += 1;
        let name = self.workers[worker.0].profile.name.clone();
        let limit = self.limits.losses;
        let entry = &mut self.tasks[key.0];
        entry.losses += 1;
        entry.story.push(format!(
            "attempt {} on {name}: the worker was lost while it held the task",
            entry.task.head.attempt.0
        ));
        let report = if entry.is(Flags::NEVER_TWICE) {
            Report::of(format!(
                "worker {name} was lost while it held this task, which must never run twice: whether it ran is not known; \
                 see for yourself whether it took effect, then submit it again"
            ))
        } else if entry.losses >= limit {
            Report::of(format!(
                "the task lost {} workers in a row, the last one {name}; it may be what kills them: \
                 try it alone, or with a memory limit",
                entry.losses
            ))
        } else {
            return self.enqueue(now, key, true);
        };
        self.end_reported(now, key, Status::Lost, report, out);
    }

    pub(super) fn on_word_from_worker(
        &mut self,
        link: Link,
        attempt: AttemptId,
        word: Message,
        out: &mut Out,
    ) {
        let Some(worker) = self.worker_at(link) else {
            return;
        };
        let listener = self.task_by_id.get(&attempt.task).and_then(|key| {
            let entry = &self.tasks[key.0];
            let is_current = entry.worker() == Some(worker) && entry.attempt_id() == attempt;
            let wants_it = is_current && !entry.is(Flags::DETACHED);
            wants_it.then_some(self.sessions[entry.session.0].link).flatten()
        });
        match (listener, word) {
            (Some(client), word) => out.send(client, word),
            (None, Message::Ask { from, ask, .. }) => {
                let bytes = Bytes::from_static(b"the client that could answer is not connected");
                out.send(link, Message::Answer { to: from, ask, found: false, bytes });
            }
            // Nobody listens: the task must not stall for that. Its report keeps the last lines.
            (None, Message::Output { from, .. }) => {
                out.send(link, Message::OutputCredit { to: from, bytes: u64::MAX });
            }
            (None, _) => {}
        }
    }
}
