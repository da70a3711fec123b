//! An attempt ended: does its outcome end the task, call for a retry, or come too late?

use std::hash::{Hash, Hasher};
use std::time::Duration;

use argon_proto::handshake::RefusalCode;
use argon_proto::{AttemptId, Flags, Outcome, OutcomeHead, Report, Status};
use rustc_hash::FxHasher;

use super::effect::Out;
use super::input::ConnId;
use super::on_submit::close;
use super::past::UNKNOWN;
use super::record::Record;
use super::task::{Origin, TaskEntry, TaskState};
use super::timers::Timer;
use super::{OnDurable, Scheduler, TaskKey, WorkerKey};
use crate::time::Time;

/// Run time that an attempt is believed to have taken where it was not measured here, microseconds: a year.
const RUN_US_MAX: u64 = 365 * 24 * 3600 * 1_000_000;

impl Scheduler {
    pub(super) fn on_outcome_arrived(&mut self, now: Time, link: ConnId, outcome: Outcome, out: &mut Out) {
        let Some(worker_key) = self.worker_at(link) else {
            return;
        };
        let status = outcome.head.status;
        if !is_of_workers(status) {
            let why = format!("a worker may not report that a task ended as {}", status.name());
            return close(link, RefusalCode::Frame, &why, out);
        }
        let attempt = AttemptId { task: outcome.head.id, attempt: outcome.head.attempt };
        self.decide_about(now, &attempt.task, out);
        let key = self.task_of(&attempt.task);
        if let Some(key) = key
            && self.tasks[key].worker() == Some(worker_key)
            && self.tasks[key].task.head.attempt == attempt.attempt
        {
            return self.on_current_outcome(now, worker_key, key, outcome, out);
        }
        if !self.release_without_task(worker_key, attempt) {
            if key.is_some_and(|key| self.is_kept_by(key, worker_key, attempt.attempt)) {
                // It has come before, over another connection.
                return;
            }
            // Not an attempt of this worker: it may forget the outcome, and nobody else learns of it.
            self.totals.unproven += 1;
            return self.ack_discarded(worker_key, attempt);
        }
        let Some(key) = key else {
            return self.on_unknown_outcome(worker_key, attempt, outcome);
        };
        let entry = &self.tasks[key];
        if matches!(entry.state, TaskState::Persisting) {
            return self.on_unknown_outcome(worker_key, attempt, outcome);
        }
        if entry.is_ended() || entry.has_retried(attempt.attempt) {
            return self.ack_discarded(worker_key, attempt);
        }
        // Too late for its attempt, but none has come yet: what ran is what counts.
        match status {
            // Another attempt is under way or waits for its turn, as the user wanted after an error.
            Status::Error if entry.may_retry(Status::Error) => self.ack_discarded(worker_key, attempt),
            Status::Ok | Status::Error => {
                let outcome = Outcome { head: capped(outcome.head, RUN_US_MAX), ..outcome };
                self.withdraw(key, out);
                self.end(now, key, outcome, Some(worker_key), out);
            }
            Status::Died | Status::Timeout | Status::Cancelled | Status::Lost | Status::Rejected => {
                self.ack_discarded(worker_key, attempt);
            }
        }
    }

    fn on_unknown_outcome(&mut self, worker: WorkerKey, attempt: AttemptId, outcome: Outcome) {
        match self.orphans.get_mut(&attempt.task) {
            Some(orphan) if orphan.worker == worker && orphan.attempt == attempt => {
                orphan.outcome = Some(outcome);
            }
            Some(_) | None => self.ack_discarded(worker, attempt),
        }
    }

    /// The outcome of the attempt that the task is assigned for.
    pub(super) fn on_current_outcome(
        &mut self,
        now: Time,
        worker_key: WorkerKey,
        key: TaskKey,
        mut outcome: Outcome,
        out: &mut Out,
    ) {
        let attempt = self.tasks[key].attempt_id();
        outcome.head = capped(outcome.head, self.tasks[key].run_us_max(now));
        self.phases.running.note(outcome.head.run_us);
        self.workers[worker_key].observe_outcome(now, outcome.head.run_us, outcome.weight());
        self.take_from_worker(key);
        let entry = &mut self.tasks[key];
        if let Some(cold) = &mut entry.cold {
            cold.losses = 0;
            cold.undelivered = 0;
        }
        if entry.may_retry(outcome.head.status) {
            let message = Report::from_json(&outcome.report).message;
            self.note_past(key, outcome.head.status, &message);
            let entry = &mut self.tasks[key];
            let wait = entry.backoff(self.limits.backoff_max);
            let cold = entry.cold_mut();
            cold.retried += 1;
            cold.retried_attempts.push(attempt.attempt);
            let cause = message;
            cold.story.push(format!(
                "attempt {} on {}: {}{}{}; tried again after {:.1} s",
                attempt.attempt.0,
                self.workers[worker_key].profile.name,
                outcome.head.status.name(),
                if cause.is_empty() { "" } else { ": " },
                cause,
                wait.as_secs_f64(),
            ));
            self.totals.retried += 1;
            self.ack_discarded(worker_key, attempt);
            return self.delay(now + wait, key);
        }
        let outcome = self.tasks[key].with_story(outcome);
        self.end(now, key, outcome, Some(worker_key), out);
    }

    /// Lets a task wait, outside the queue, until `at`.
    fn delay(&mut self, at: Time, key: TaskKey) {
        let stamp = self.next_stamp();
        self.tasks[key].stamp = stamp;
        self.set_state(key, TaskState::Delayed);
        self.timers.set(at, Timer::Retry(key, stamp));
    }

    /// Ends a task that no queue and no worker holds any more, for a reason of the scheduler's own.
    pub(super) fn end_reported(
        &mut self,
        now: Time,
        key: TaskKey,
        status: Status,
        mut report: Report,
        out: &mut Out,
    ) {
        let entry = &self.tasks[key];
        let attempt = entry.attempt_id();
        report.attempt = Some(attempt.attempt.0);
        report.attempts = Some(u32::from(entry.task.head.retries) + 1);
        report.story = entry.story().to_vec();
        let outcome = Outcome::reported(attempt.task, attempt.attempt, status, 0, &report);
        self.end(now, key, outcome, None, out);
    }

    /// Ends a task that no queue and no worker holds any more. The worker that brought the outcome keeps it until it is
    /// settled.
    pub(super) fn end(
        &mut self,
        now: Time,
        key: TaskKey,
        outcome: Outcome,
        from: Option<WorkerKey>,
        out: &mut Out,
    ) {
        self.totals.count(outcome.head.status);
        let submitted = self.tasks[key].submitted;
        if submitted != UNKNOWN {
            self.phases.total.note(now.0.saturating_sub(submitted.0));
        }
        if self.tasks[key].is(Flags::DETACHED) {
            let record = Record::TaskEnded(outcome.clone());
            self.set_ended(key, outcome, false);
            self.expire_later(now, key);
            // Nothing is written of a task that may not be accepted in the end.
            if self.tasks[key].is_durable {
                self.write(record, OnDurable::End, out);
            }
        } else {
            self.set_ended(key, outcome, true);
            self.deliver(key, out);
        }
        if let Some(worker) = from {
            self.keep(key, worker);
        }
    }
}

/// True if a worker may report that a task ended so; the others are the manager's to say.
fn is_of_workers(status: Status) -> bool {
    match status {
        Status::Ok | Status::Error | Status::Died | Status::Timeout => true,
        Status::Cancelled | Status::Lost | Status::Rejected => false,
    }
}

/// The head with a run time of at most `run_us_max`: workers measure it, and are not believed.
fn capped(head: OutcomeHead, run_us_max: u64) -> OutcomeHead {
    OutcomeHead { run_us: head.run_us.min(run_us_max), ..head }
}

impl TaskEntry {
    /// The longest that the present attempt can have run, microseconds: not before it was sent, if this scheduler sent it.
    fn run_us_max(&self, now: Time) -> u64 {
        match self.state {
            TaskState::Assigned { since, .. } if self.origin != Origin::Found => {
                u64::try_from(now.since(since).as_micros()).unwrap_or(RUN_US_MAX)
            }
            TaskState::Assigned { .. }
            | TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Ended(_) => RUN_US_MAX,
        }
    }

    fn may_retry(&self, status: Status) -> bool {
        let applies = match status {
            Status::Error => self.is(Flags::RETRY_ERROR),
            Status::Died => self.is(Flags::RETRY_DIED),
            Status::Timeout => self.is(Flags::RETRY_TIMEOUT),
            Status::Ok | Status::Cancelled | Status::Lost | Status::Rejected => false,
        };
        applies && self.retried() < self.task.head.retries && !self.is(Flags::NEVER_TWICE)
    }

    /// The wait before the next retry: doubling, and somewhere in the upper half of that, by the task's own identity.
    fn backoff(&self, at_most: Duration) -> Duration {
        let base = Duration::from_millis(u64::from(self.task.head.backoff_ms));
        let whole = base.saturating_mul(1 << self.retried().min(20)).min(at_most);
        let mut hasher = FxHasher::default();
        self.attempt_id().hash(&mut hasher);
        let thousandths = 500 + u32::try_from(hasher.finish() % 500).unwrap_or(0);
        whole * thousandths / 1000
    }

    /// The outcome, its report telling what happened to earlier attempts.
    fn with_story(&self, mut outcome: Outcome) -> Outcome {
        if !self.story().is_empty() && outcome.head.status != Status::Ok {
            let mut report = Report::from_json(&outcome.report);
            report.story = self.story().to_vec();
            report.attempt = Some(outcome.head.attempt.0);
            report.attempts = Some(u32::from(self.task.head.retries) + 1);
            outcome.report = report.to_json();
        }
        outcome
    }
}
