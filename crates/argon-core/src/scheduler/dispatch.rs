//! From the queue to the workers, and back out of their hands.

use argon_proto::conversation::worker::{Run, ToWorker};
use argon_proto::{Attempt, AttemptId, Flags, Report, Status};

use super::effect::Out;
use super::placement::Best;
use super::record::Record;
use super::task::{Origin, TaskState};
use super::timers::{STEP, Timer};
use super::worker::WorkerRetractState;
use super::{OnDurable, Scheduler, TaskKey, WorkerKey, place_of};
use crate::time::Time;

impl Scheduler {
    /// Gives waiting tasks to the least loaded workers until one or the other runs out.
    pub(super) fn dispatch(&mut self, now: Time, out: &mut Out) {
        if self.placement.has_choosy() {
            return self.dispatch_around_rests(now, out);
        }
        for _ in 0..self.limits.at_once {
            if self.queue.is_dry() {
                return;
            }
            let Some(Best { worker, has_free_slot }) = self.placement.best() else {
                return;
            };
            let Some(key) = self.pop_queued(now, has_free_slot) else {
                return;
            };
            self.start(now, key, worker, out);
        }
        self.timers.set(now + STEP, Timer::DispatchGoesOn);
    }

    #[inline]
    pub(super) fn start(&mut self, now: Time, key: TaskKey, worker: WorkerKey, out: &mut Out) {
        if self.is_listed(now, key, out) {
            return;
        }
        if let Some(since) = self.tasks[key].queued_since() {
            self.phases.queued.note(now.0.saturating_sub(since.0));
        }
        let worker = self.unless_avoided(key, worker);
        let Some(attempt) = self.next_attempt(key, worker) else {
            self.set_state(key, TaskState::Delayed);
            let report = Report::of("the task has used up the numbers of its attempts; submit it again");
            return self.end_reported(now, key, Status::Lost, report, out);
        };
        self.assign(now, key, worker, attempt);
        let stamp = self.next_stamp();
        let entry = &mut self.tasks[key];
        entry.stamp = stamp;
        entry.origin = Origin::Sent;
        self.totals.started += 1;
        if entry.is(Flags::DETACHED) && entry.is(Flags::NEVER_TWICE) {
            // RUN follows when the store knows of the start.
            entry.origin = Origin::Unsent;
            let record = Record::AttemptStarted(entry.attempt_id());
            return self.write(record, OnDurable::Start(stamp), out);
        }
        self.send_run(key, out);
    }

    /// A number that no attempt of the task has, not even one of an earlier life that the worker is still ending. `None`
    /// if there is none above the last one. Looks at one number more than the worker is ending, at most.
    fn next_attempt(&self, key: TaskKey, worker: WorkerKey) -> Option<Attempt> {
        let entry = &self.tasks[key];
        let without_task = &self.workers[worker].without_task;
        let is_free = |number| {
            !without_task.contains(&AttemptId { task: entry.task.head.id, attempt: Attempt(number) })
        };
        let above = entry.last.0.checked_add(1)?;
        if without_task.is_empty() {
            return Some(Attempt(above));
        }
        (above..=u32::MAX).find(|number| is_free(*number)).map(Attempt)
    }

    /// Sends RUN to the worker that the task is assigned to.
    pub(super) fn send_run(&mut self, key: TaskKey, out: &mut Out) {
        let entry = &self.tasks[key];
        let Some(worker) = entry.worker() else {
            return;
        };
        if let Some(link) = self.workers[worker].link {
            let token = self.workers[worker].key.token(entry.attempt_id());
            out.send_to_worker(link, ToWorker::Run(Run { token, task: entry.task.clone() }));
            self.flush_acks(worker);
        }
    }

    /// Notes that a worker holds an attempt of the task.
    pub(super) fn assign(&mut self, now: Time, key: TaskKey, worker_key: WorkerKey, attempt: Attempt) {
        let worker = &mut self.workers[worker_key];
        let entry = &mut self.tasks[key];
        entry.task.head.attempt = attempt;
        entry.last = entry.last.max(attempt);
        let place = place_of(worker.assigned.len());
        worker.assigned.push(key);
        if worker.retract == WorkerRetractState::NothingLeft {
            worker.retract = WorkerRetractState::Possible;
        }
        self.placement.update(worker_key, worker);
        self.set_state(key, TaskState::Assigned { worker: worker_key, place, since: now });
    }

    /// Takes a task off its worker's list.
    pub(super) fn unassign(&mut self, key: TaskKey) {
        if matches!(self.tasks[key].state, TaskState::Assigned { .. }) {
            self.take_from_worker(key);
            self.set_state(key, TaskState::Delayed);
        }
    }

    /// As `unassign`, for a caller that sets another state before anything else looks at the task.
    pub(super) fn take_from_worker(&mut self, key: TaskKey) {
        let TaskState::Assigned { worker: worker_key, place, .. } = self.tasks[key].state else {
            return;
        };
        let attempt = self.tasks[key].attempt_id();
        self.end_children_of(attempt);
        let worker = &mut self.workers[worker_key];
        worker.forget_lent(attempt);
        worker.assigned.swap_remove(place as usize);
        if let Some(moved) = worker.assigned.get(place as usize)
            && let TaskState::Assigned { place: its_place, .. } = &mut self.tasks[*moved].state
        {
            *its_place = place;
        }
        self.placement.update(worker_key, worker);
    }

    /// Takes a task that has not ended out of the queue or away from its worker, which is asked to stop it.
    pub(super) fn withdraw(&mut self, key: TaskKey, out: &mut Out) {
        let entry = &self.tasks[key];
        let attempt = entry.attempt_id();
        match entry.state {
            TaskState::Queued { .. } => {
                self.leave_queue(key);
            }
            TaskState::Assigned { worker, .. } => {
                self.note_past(key, Status::Cancelled, "");
                self.unassign(key);
                self.stop(worker, attempt, out);
            }
            TaskState::Recovering => {
                self.stop_on_arrival(key);
                self.await_no_holder(key);
            }
            TaskState::Persisting | TaskState::Delayed | TaskState::Ended(_) => {}
        }
    }

    /// Orders a worker to kill or forget an attempt, which occupies it until it reports the end.
    pub(super) fn stop(&mut self, worker_key: WorkerKey, attempt: AttemptId, out: &mut Out) {
        let worker = &mut self.workers[worker_key];
        worker.without_task.insert(attempt);
        if let Some(link) = worker.link {
            out.send_to_worker(link, ToWorker::Stop(vec![attempt]));
        }
        self.placement.update(worker_key, worker);
    }
}
