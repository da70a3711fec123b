//! Tasks that were sent ahead come back when another slot is free, so that nothing short waits behind something long.

use argon_proto::conversation::worker::ToWorker;
use std::time::Duration;

use super::Scheduler;
use super::effect::Out;
use super::timers::Timer;
use super::worker::WorkerRetractState;
use crate::time::Time;

/// A retraction is not worth a round trip for work that a worker finishes within this time, microseconds.
const WORTHWHILE_US: u64 = 1_000;
/// Time without an outcome after which a worker's slots are taken to run long tasks.
const STUCK: Duration = Duration::from_millis(2);
/// Workers that are looked at in one batch.
const WORKERS_AT_ONCE: usize = 8;

impl Scheduler {
    /// Asks the fullest workers to give back tasks that a free slot elsewhere could run now.
    pub(super) fn retract(&mut self, now: Time, out: &mut Out) {
        if !self.queue.is_dry() || !self.placement.has_free_slot() {
            return;
        }
        let fullest: Vec<_> = self.placement.fullest().take(WORKERS_AT_ONCE).collect();
        let mut must_look_again = false;
        for key in fullest {
            let worker = &mut self.workers[key];
            let (Some(link), WorkerRetractState::Possible) = (worker.link, worker.retract) else {
                continue;
            };
            let wait_us = worker.surplus().saturating_mul(worker.mean_us) / worker.slots();
            if wait_us < WORTHWHILE_US && now.since(worker.last_outcome) < STUCK {
                must_look_again = true;
                continue;
            }
            worker.retract = WorkerRetractState::Asked;
            let count = worker.surplus().div_ceil(2);
            out.send_to_worker(link, ToWorker::Recall(u32::try_from(count).unwrap_or(u32::MAX)));
        }
        if must_look_again && self.retract_check.is_none_or(|at| at <= now) {
            let at = now + STUCK;
            self.retract_check = Some(at);
            self.timers.set(at, Timer::RetractCheck);
        }
    }
}
