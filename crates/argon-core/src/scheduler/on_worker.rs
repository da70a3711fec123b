//! Workers come, come back, give back, drain and are lost.

use std::sync::Arc;
use std::time::Duration;

use argon_proto::conversation::worker::{Held, Registered, ToWorker};
use argon_proto::handshake::RefusalCode;
use argon_proto::{Attempt, AttemptId, Flags, Incarnation, Report, Secret, Status, WorkerId};

use super::chores::Chore;
use super::effect::Out;
use super::held::Past;
use super::input::{ConnId, WorkerProfile};
use super::listings::Listing;
use super::on_submit::close;
use super::task::Origin;
use super::timers::Timer;
use super::worker::{Worker, WorkerRetractState};
use super::{OrphanAttempt, PeerKey, Scheduler, TaskKey, WorkerKey};
use crate::pool::RunnerKind;
use crate::time::Time;

/// A worker is remembered until there are too many.
const FOR_EVER: Time = Time(u64::MAX);

/// Registration of a worker, with the attempts that it holds.
pub(super) struct Joining {
    pub(super) link: ConnId,
    pub(super) profile: WorkerProfile,
    pub(super) secret: Secret,
    /// The manager that has registered it last.
    pub(super) previous: Option<Incarnation>,
    pub(super) held: Vec<Held>,
}

impl Scheduler {
    pub(super) fn on_worker_joined(&mut self, now: Time, joining: Joining, out: &mut Out) {
        let Joining { link, profile, secret, previous, held } = joining;
        let listing = self.take_listing(link, held);
        if let Some(PeerKey::Worker(key)) = self.peers.get(&link)
            && self.workers[*key].profile.id == profile.id
        {
            // It has found out more about itself, or its machine has become busy, or free again.
            let worker = &mut self.workers[*key];
            worker.profile.runtimes = profile.runtimes;
            worker.profile.paused = profile.paused;
            self.placement.update(*key, worker);
            return self.drop_listing(&listing);
        }
        if self.peers.contains_key(&link) {
            self.drop_listing(&listing);
            return close(link, RefusalCode::Frame, "this connection has introduced itself already", out);
        }
        let id = profile.id;
        if id != WorkerId::of(&secret) {
            self.drop_listing(&listing);
            let why = "the secret of this worker is not the one that its id is made of";
            return close(link, RefusalCode::Session, why, out);
        }
        let has_ended_here = self.has_ended_here(id, previous);
        self.seen_workers.insert(id, FOR_EVER);
        let key = self.worker_of(now, profile);
        self.drop_undecided(key);
        let stamp = self.next_stamp();
        self.forget_unheld(key, &listing);
        let worker = &mut self.workers[key];
        if let Some(old) = worker.link.replace(link) {
            self.peers.remove(&old);
            close(old, RefusalCode::Session, "this worker registered on another connection", out);
        }
        worker.stamp = stamp;
        worker.rests.clear();
        worker.retract = WorkerRetractState::Possible;
        worker.pending_acks.clear();
        worker.kept.clear();
        // It says again which attempts lend their slots.
        let lent = std::mem::take(&mut worker.lent);
        let without_task = std::mem::take(&mut worker.without_task);
        let drain = worker.draining.then(|| worker.drain_message(now));
        for attempt in lent {
            if let Some(task) = self.task_of(&attempt.task) {
                self.set_lent_of_owner(task, false);
            }
        }
        self.peers.insert(link, PeerKey::Worker(key));
        out.send_to_worker(link, ToWorker::Registered(Registered { worker: Some(id) }));
        if let Some(drain) = drain {
            // It may not have received it on its last connection.
            out.send_to_worker(link, ToWorker::Drain(drain));
        }
        self.requeue_unheld(now, key, &listing, out);
        self.count_output_anew(key);
        self.begin_deciding(key, listing, Past { without_task, has_ended_here });
        self.take_up(now, Chore::Decide { key, stamp }, out);
        self.placement.update(key, &self.workers[key]);
    }

    fn worker_of(&mut self, now: Time, profile: WorkerProfile) -> WorkerKey {
        if let Some(key) = self.worker_by_id.get(&profile.id).copied() {
            self.workers[key].name = Arc::new(profile.name.clone());
            self.workers[key].profile = profile;
            return key;
        }
        let id = profile.id;
        let attempt_key = self.identity.capabilities.of_worker(id);
        let key = self.workers.insert(Worker::new(profile, attempt_key, now));
        self.worker_by_id.insert(id, key);
        key
    }

    /// Forgets unclaimed attempts that the worker no longer holds.
    fn forget_unheld(&mut self, key: WorkerKey, held: &Listing) {
        if !self.orphans.is_empty() {
            let tokens = self.workers[key].key;
            self.orphans.retain(|_, kept| kept.worker != key || held.has(kept.attempt, &tokens));
        }
    }

    /// Requeues tasks that were on their way to the worker when its connection broke: they never started there.
    fn requeue_unheld(&mut self, now: Time, key: WorkerKey, held: &Listing, out: &mut Out) {
        let tokens = self.workers[key].key;
        let missing: Vec<TaskKey> = self.workers[key]
            .assigned
            .iter()
            .copied()
            .filter(|task| !held.has(self.tasks[*task].attempt_id(), &tokens))
            .collect();
        let blamed = self.blamed_of(&missing);
        for task in missing.into_iter().rev() {
            let is_lost = Some(task) == blamed && self.note_undelivered(now, task, key, out);
            if !is_lost {
                self.requeue_unstarted(now, task, out);
            }
        }
    }

    /// Puts a task whose attempt never started back to the head of the queue, and its attempt number with it.
    pub(super) fn requeue_unstarted(&mut self, now: Time, key: TaskKey, out: &mut Out) {
        let entry = &self.tasks[key];
        if entry.origin == Origin::Found && entry.is(Flags::NEVER_TWICE) {
            // An earlier manager may have had it stopped in the middle.
            self.unassign(key);
            return self.end_in_doubt(now, key, out);
        }
        self.step_back(key);
        self.enqueue(now, key, true);
    }

    /// Takes a task from its worker, where it never started, and takes its attempt number back.
    pub(super) fn step_back(&mut self, key: TaskKey) {
        self.unassign(key);
        let entry = &mut self.tasks[key];
        let attempt = &mut entry.task.head.attempt;
        let before = Attempt(attempt.0.saturating_sub(1));
        if entry.last == *attempt {
            entry.last = before;
        }
        *attempt = before;
    }

    /// Lets a task go on with an attempt that a worker holds.
    pub(super) fn adopt(&mut self, now: Time, key: TaskKey, worker: WorkerKey, attempt: Attempt) {
        self.assign(now, key, worker, attempt);
        self.tasks[key].origin = Origin::Found;
        self.totals.adopted += 1;
    }

    /// Gives a task to the worker that held an attempt of it before its client came back.
    pub(super) fn claim(&mut self, now: Time, key: TaskKey, orphan: OrphanAttempt, out: &mut Out) {
        let worker = orphan.worker;
        let is_lent = self.workers[worker].lent.contains(&orphan.attempt);
        self.release_without_task(worker, orphan.attempt);
        self.adopt(now, key, worker, orphan.attempt.attempt);
        if is_lent {
            self.set_lent(worker, orphan.attempt, true);
        }
        self.claim_printed(key, orphan.printed);
        if let Some(question) = orphan.question {
            self.tasks[key].cold_mut().question = Some(question);
            self.ask_again(key, out);
        }
        if let Some(outcome) = orphan.outcome {
            self.on_current_outcome(now, worker, key, outcome, out);
        }
    }

    /// The worker holds an attempt no more that was assigned to no task.
    pub(super) fn release_without_task(&mut self, key: WorkerKey, attempt: AttemptId) -> bool {
        let worker = &mut self.workers[key];
        // Most workers hold no such attempt: there is nothing to be looked up then.
        let was_without_task = !worker.without_task.is_empty() && worker.without_task.remove(&attempt);
        if was_without_task {
            worker.forget_lent(attempt);
            self.placement.update(key, worker);
        }
        was_without_task
    }

    pub(super) fn on_attempts_returned(
        &mut self,
        now: Time,
        link: ConnId,
        attempts: &[AttemptId],
        out: &mut Out,
    ) {
        let Some(worker) = self.worker_at(link) else {
            return;
        };
        let answered =
            if attempts.is_empty() { WorkerRetractState::NothingLeft } else { WorkerRetractState::Possible };
        let was_asked =
            std::mem::replace(&mut self.workers[worker].retract, answered) == WorkerRetractState::Asked;
        let mut given_back: Vec<RunnerKind> = Vec::new();
        for attempt in attempts.iter().rev() {
            self.decide_about(now, &attempt.task, out);
            if self.release_without_task(worker, *attempt) {
                self.forget_orphan(worker, *attempt);
                continue;
            }
            let Some(key) = self.task_of(&attempt.task) else {
                continue;
            };
            let entry = &self.tasks[key];
            if entry.worker() == Some(worker) && entry.attempt_id() == *attempt {
                self.totals.recalled += 1;
                if !was_asked {
                    let kind = RunnerKind::asked_by(&entry.task);
                    if given_back.last() != Some(&kind) {
                        given_back.push(kind);
                    }
                }
                self.requeue_unstarted(now, key, out);
            }
        }
        // What it gives back unasked it cannot start now: others may.
        if !given_back.is_empty() {
            self.let_rest(now, worker, &given_back);
        }
    }

    fn forget_orphan(&mut self, worker: WorkerKey, attempt: AttemptId) {
        let kept = self.orphans.get(&attempt.task);
        if kept.is_some_and(|kept| kept.worker == worker && kept.attempt == attempt) {
            self.orphans.remove(&attempt.task);
        }
    }

    pub(super) fn on_worker_draining(&mut self, link: ConnId) {
        if let Some(key) = self.worker_at(link) {
            self.note_draining(key);
        }
    }

    pub(super) fn on_drain_requested(
        &mut self,
        now: Time,
        id: WorkerId,
        within: Option<Duration>,
        out: &mut Out,
    ) {
        let Some(key) = self.worker_by_id.get(&id).copied() else {
            return;
        };
        self.note_draining(key);
        let worker = &mut self.workers[key];
        let until = within.map(|within| now + within);
        worker.drain_until = [worker.drain_until, until].into_iter().flatten().min();
        if let Some(link) = worker.link {
            out.send_to_worker(link, ToWorker::Drain(worker.drain_message(now)));
        }
    }

    pub(super) fn on_worker_lost(&mut self, now: Time, link: ConnId, declared_dead: bool, out: &mut Out) {
        let Some(key) = self.worker_at(link) else {
            return self.forget_listing(link);
        };
        self.peers.remove(&link);
        let was_undecided = self.drop_undecided(key);
        let stamp = self.next_stamp();
        let worker = &mut self.workers[key];
        worker.link = None;
        worker.stamp = stamp;
        worker.kept.clear();
        self.placement.update(key, worker);
        if declared_dead || worker.outstanding() == 0 && !was_undecided {
            self.lose_worker(now, key, out);
        } else {
            self.timers.set(now + self.limits.worker_grace, Timer::WorkerGrace(key, stamp));
        }
    }

    /// Gives up a worker: what it held runs elsewhere.
    pub(super) fn lose_worker(&mut self, now: Time, key: WorkerKey, out: &mut Out) {
        let stamp = self.workers[key].stamp;
        self.take_up(now, Chore::LoseWorker { key, stamp }, out);
    }

    /// Gives up attempts of a worker, and then the worker itself. True if attempts are left for which there was no time.
    pub(super) fn lose_part(&mut self, now: Time, key: WorkerKey, stamp: u32, out: &mut Out) -> bool {
        while let Some(worker) = self.workers.get(key).filter(|worker| worker.stamp == stamp) {
            let Some(task) = worker.assigned.last().copied() else {
                self.part_with_orphans(now, key);
                self.placement.remove(key);
                let worker = self.workers.remove(key);
                self.worker_by_id.remove(&worker.profile.id);
                return false;
            };
            if !self.has_time() {
                return true;
            }
            self.on_attempt_lost(now, task, key, out);
        }
        false
    }

    fn on_attempt_lost(&mut self, now: Time, key: TaskKey, worker: WorkerKey, out: &mut Out) {
        if self.tasks[key].origin == Origin::Unsent {
            // The worker has never received it.
            return self.requeue_unstarted(now, key, out);
        }
        self.note_past(key, Status::Lost, "the worker was lost while it held the task");
        self.unassign(key);
        self.totals.lost_attempts += 1;
        let name = self.workers[worker].profile.name.clone();
        let limit = self.limits.losses;
        let entry = &mut self.tasks[key];
        let attempt = entry.task.head.attempt.0;
        let cold = entry.cold_mut();
        cold.losses += 1;
        cold.story.push(format!("attempt {attempt} on {name}: the worker was lost while it held the task"));
        let losses = cold.losses;
        let report = if entry.is(Flags::NEVER_TWICE) {
            Report::of(format!(
                "worker {name} was lost while it held this task, which must never run twice: whether it ran is not known; \
                 see for yourself whether it took effect, then submit it again"
            ))
        } else if losses >= limit {
            Report::of(format!(
                "the task lost {losses} workers in a row, the last one {name}; it may be what kills them: \
                 try it alone, or with a memory limit"
            ))
        } else {
            return self.enqueue(now, key, true);
        };
        self.end_reported(now, key, Status::Lost, report, out);
    }
}
