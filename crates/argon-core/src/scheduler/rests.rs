//! Workers that cannot start one kind of runner: they rest for that kind, and are given tasks of all others.
//!
//! Only a worker knows whether its interpreters come up. It gives back what it cannot start, and the kind of these tasks
//! rests at that worker for a moment. While some worker rests so, the next task in order may be none for the next worker:
//! then the queue is asked for the first task that this worker can start (`queue.rs`), and the others step aside
//! (`aside.rs`).

use std::time::Duration;

use super::effect::Out;
use super::placement::Best;
use super::queue::Looks;
use super::timers::{STEP, Timer};
use super::{Scheduler, TaskKey, WorkerKey};
use crate::pool::RunnerKind;
use crate::time::Time;

/// Time for which a worker gets no tasks of a kind that it could not start.
const REST: Duration = Duration::from_secs(1);

impl Scheduler {
    /// A worker gave these tasks back of its own accord: it is given none of their kinds for a moment.
    pub(super) fn let_rest(&mut self, now: Time, key: WorkerKey, kinds: &[RunnerKind]) {
        let until = now + REST;
        let worker = &mut self.workers[key];
        kinds.iter().for_each(|kind| worker.rests.begin(*kind, until));
        self.timers.set(until, Timer::WorkerRest(key, worker.stamp));
        self.placement.update(key, worker);
    }

    /// The time of a rest is over.
    pub(super) fn on_rest_ended(&mut self, now: Time, key: WorkerKey, stamp: u32) {
        if let Some(worker) = self.workers.get_mut(key).filter(|worker| worker.stamp == stamp) {
            worker.rests.end(now);
            self.placement.update(key, worker);
        }
    }

    /// Dispatches while kinds rest at some worker that may take tasks.
    pub(super) fn dispatch_around_rests(&mut self, now: Time, out: &mut Out) {
        let mut looks = Looks::default();
        let mut started = 0;
        while started < self.limits.at_once
            && !self.queue.is_dry()
            && let Some((worker, key)) = self.next_match(now, &mut looks)
        {
            self.start(now, key, worker, out);
            started += 1;
        }
        if looks.are_over() || started == self.limits.at_once {
            self.timers.set(now + STEP, Timer::DispatchGoesOn);
        }
    }

    /// The least loaded worker for which there is a task, and the first task for it.
    fn next_match(&mut self, now: Time, looks: &mut Looks) -> Option<(WorkerKey, TaskKey)> {
        let mut next = self.placement.best();
        while let Some(best) = next {
            let Best { worker, has_free_slot } = best;
            let rests = std::mem::take(&mut self.workers[worker].rests);
            let is_known = self.queue.has_nothing_for(&rests, has_free_slot);
            let found = if is_known { None } else { self.pop_for(now, has_free_slot, &rests, looks) };
            if found.is_none() && !is_known && !looks.are_over() {
                self.queue.note_nothing_for(&rests, has_free_slot);
            }
            self.workers[worker].rests = rests;
            if found.is_some() || looks.are_over() {
                return found.map(|key| (worker, key));
            }
            next = self.placement.best_after(worker);
        }
        None
    }
}
