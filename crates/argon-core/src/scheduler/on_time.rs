//! Handles timers that are due.

use super::effect::Out;
use super::record::Record;
use super::task::TaskState;
use super::timers::Timer;
use super::{OnDurable, Scheduler, TaskKey};
use crate::time::Time;

impl Scheduler {
    pub(super) fn on_time_passed(&mut self, now: Time, out: &mut Out) {
        while self.timers_left > 0
            && let Some(timer) = self.timers.pop_due(now)
        {
            self.timers_left -= 1;
            self.touched += 1;
            self.on_timer(now, timer, out);
        }
    }

    /// In few steps is a timer due.
    #[inline(never)]
    fn on_timer(&mut self, now: Time, timer: Timer, out: &mut Out) {
        match timer {
            Timer::SessionGrace(key, stamp) => {
                let is_current = self
                    .sessions
                    .get(key)
                    .is_some_and(|session| session.stamp == stamp && session.link.is_none());
                if is_current {
                    self.end_session(now, key, out);
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
            Timer::ChoresGoOn => self.go_on_with_chores(now, out),
            Timer::Retry(key, stamp) => {
                let is_current = self
                    .tasks
                    .get(key)
                    .is_some_and(|entry| entry.stamp == stamp && matches!(entry.state, TaskState::Delayed));
                if is_current {
                    self.enqueue(now, key, false);
                }
            }
            Timer::RecoveryEnd(key) => self.end_recovery(now, key, out),
            Timer::OrphansEnd => self.drop_orphans(now, out),
            Timer::ResultExpiry(key, stamp) => self.expire(key, stamp, out),
            Timer::RetractCheck => self.retract_check = None,
            Timer::AcksDue => self.on_acks_due(),
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
