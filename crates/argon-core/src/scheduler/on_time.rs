//! What becomes due as time passes.

use argon_proto::Flags;

use super::effect::Out;
use super::record::Record;
use super::task::TaskState;
use super::timers::Timer;
use super::{OnDurable, Scheduler, TaskKey};
use crate::time::Time;

impl Scheduler {
    pub(super) fn on_time_passed(&mut self, now: Time, out: &mut Out) {
        while let Some(timer) = self.timers.pop_due(now) {
            self.on_timer(now, timer, out);
        }
    }

    fn on_timer(&mut self, now: Time, timer: Timer, out: &mut Out) {
        match timer {
            Timer::SessionGrace(key, stamp) => {
                let is_current = self
                    .sessions
                    .get(key)
                    .is_some_and(|session| session.stamp == stamp && session.link.is_none());
                if is_current {
                    self.end_session(key, out);
                }
            }
            Timer::WorkerGrace(key, stamp) => {
                let is_current = self
                    .workers
                    .get(key)
                    .is_some_and(|worker| worker.stamp == stamp && worker.link.is_none());
                if is_current {
                    self.lose_worker(now, key, out);
                }
            }
            Timer::WorkerRest(key, stamp) => self.on_rest_ended(now, key, stamp),
            Timer::DispatchGoesOn => {}
            Timer::Retry(key, stamp) => {
                let is_current = self
                    .tasks
                    .get(key)
                    .is_some_and(|entry| entry.stamp == stamp && matches!(entry.state, TaskState::Delayed));
                if is_current {
                    self.enqueue(now, key, false);
                }
            }
            Timer::RecoveryEnd => self.end_recovery(now, out),
            Timer::OrphansEnd => self.drop_orphans(now, out),
            Timer::ResultExpiry(key, stamp) => self.expire(key, stamp, out),
            Timer::RetractCheck => self.retract_check = None,
            Timer::AcksDue => self.on_acks_due(),
        }
    }

    fn end_recovery(&mut self, now: Time, out: &mut Out) {
        let waiting: Vec<TaskKey> = self
            .tasks
            .iter()
            .filter(|(_, entry)| matches!(entry.state, TaskState::Recovering))
            .map(|(key, _)| key)
            .collect();
        for key in waiting {
            let entry = &self.tasks[key];
            // The store knows of every start of a detached task that must not run twice.
            let may_have_run = !entry.is(Flags::DETACHED) || entry.task.head.attempt.0 > 0;
            if entry.is(Flags::NEVER_TWICE) && may_have_run {
                self.end_in_doubt(now, key, out);
            } else {
                self.enqueue(now, key, false);
            }
        }
    }

    fn drop_orphans(&mut self, now: Time, out: &mut Out) {
        if now >= self.recovering_until + self.limits.orphan_timeout {
            self.stop_on_arrival.clear();
        }
        let due: Vec<_> = self.orphans.values().filter(|orphan| orphan.until <= now).cloned().collect();
        for orphan in due {
            self.orphans.remove(&orphan.attempt.task);
            match orphan.outcome {
                Some(_) => self.ack_discarded(orphan.worker, orphan.attempt),
                None => self.stop(orphan.worker, orphan.attempt, out),
            }
        }
    }

    fn expire(&mut self, key: TaskKey, stamp: u32, out: &mut Out) {
        let Some(entry) = self.tasks.get(key) else {
            return;
        };
        if entry.stamp != stamp || !entry.is_ended() {
            return;
        }
        let id = entry.task.head.id;
        self.totals.expired += 1;
        self.write(Record::TaskForgotten(id), OnDurable::Forget, out);
        self.forget_ended(key, out);
    }
}
