//! What becomes due as time passes.

use argon_proto::Flags;

use super::effect::Out;
use super::record::Record;
use super::task::State;
use super::timers::Timer;
use super::{Awaits, Scheduler, TaskKey};
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
                    .get(key.index())
                    .is_some_and(|session| session.stamp == stamp && session.link.is_none());
                if is_current {
                    self.end_session(key, out);
                }
            }
            Timer::WorkerGrace(key, stamp) => {
                let is_current = self
                    .workers
                    .get(key.index())
                    .is_some_and(|worker| worker.stamp == stamp && worker.link.is_none());
                if is_current {
                    self.lose_worker(now, key, out);
                }
            }
            Timer::WorkerRest(key, stamp) => {
                if let Some(worker) = self.workers.get_mut(key.index()).filter(|worker| worker.stamp == stamp)
                {
                    worker.is_resting = false;
                    self.placement.update(key, worker);
                }
            }
            Timer::Retry(key, stamp) => {
                let is_current = self
                    .tasks
                    .get(key.index())
                    .is_some_and(|entry| entry.stamp == stamp && matches!(entry.state, State::Delayed));
                if is_current {
                    self.enqueue(now, key, false);
                }
            }
            Timer::RecoveryEnd => self.end_recovery(now, out),
            Timer::UnclaimedEnd => self.drop_unclaimed(now, out),
            Timer::ResultExpiry(key, stamp) => self.expire(key, stamp, out),
            Timer::RecallCheck => self.recall_check = None,
            Timer::SettlementsDue => self.on_settlements_due(),
        }
    }

    fn end_recovery(&mut self, now: Time, out: &mut Out) {
        let waiting: Vec<TaskKey> = self
            .tasks
            .iter()
            .filter(|(_, entry)| matches!(entry.state, State::Recovering))
            .map(|(key, _)| TaskKey::of(key))
            .collect();
        for key in waiting {
            let entry = &self.tasks[key.index()];
            // The store knows of every start of a detached task that must not run twice.
            let may_have_run = !entry.is(Flags::DETACHED) || entry.task.head.attempt.0 > 0;
            if entry.is(Flags::NEVER_TWICE) && may_have_run {
                self.end_in_doubt(now, key, out);
            } else {
                self.enqueue(now, key, false);
            }
        }
    }

    fn drop_unclaimed(&mut self, now: Time, out: &mut Out) {
        if now >= self.recovering_until + self.limits.unclaimed {
            self.dismissed.clear();
        }
        let due: Vec<_> =
            self.unclaimed.values().filter(|unclaimed| unclaimed.until <= now).cloned().collect();
        for unclaimed in due {
            self.unclaimed.remove(&unclaimed.attempt.task);
            match unclaimed.outcome {
                Some(_) => self.settle_void(unclaimed.worker, unclaimed.attempt),
                None => self.stop(unclaimed.worker, unclaimed.attempt, out),
            }
        }
    }

    fn expire(&mut self, key: TaskKey, stamp: u32, out: &mut Out) {
        let Some(entry) = self.tasks.get(key.index()) else {
            return;
        };
        if entry.stamp != stamp || !entry.is_ended() {
            return;
        }
        let id = entry.task.head.id;
        self.totals.expired += 1;
        self.write(Record::TaskForgotten(id), Awaits::Forget, out);
        self.forget_ended(key, out);
    }
}
