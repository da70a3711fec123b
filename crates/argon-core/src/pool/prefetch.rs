//! Short tasks go to a runner before it has finished the one before, so that it never waits for the next.
//!
//! A runner claims such a task before it starts it, and what it has not claimed can be taken back: when the run before it
//! turns out long, when the manager wants attempts back, when one of them is stopped. So nothing that was handed ahead
//! is stuck, and nobody has to guess what a dead runner had started.

use std::time::Duration;

use argon_proto::conversation::worker::FromWorker;
use argon_proto::{AttemptId, RunnerId, Task};

use super::effect::Effect;
use super::kind::RunnerKind;
use super::slot::{KillReason, RetractState, Slot, SlotId, SlotState, TaskRun, UNKNOWN_US};
use super::{Pool, WaitingAttempt, attempt_of};
use crate::estimate;
use crate::time::Time;

/// Work that a runner has ahead at most, by what its last tasks took, microseconds.
const PREFETCH_US: u64 = 400;
/// Tasks up to this length are handed ahead too, one at a time, microseconds.
const PREFETCH_ONE_US: u64 = 20_000;
/// Tasks that a runner has ahead at most.
const PREFETCH_MAX: usize = 256;
/// What a task costs beside its run, microseconds: no task counts as shorter.
const TASK_US_MIN: u64 = 2;
/// A payload longer than this is not handed ahead: it could not be taken back cheaply.
const PREFETCH_BYTES_MAX: u64 = 16 << 10;
/// A task that is shorter is not worth moving from one runner to another, microseconds.
const WORTHWHILE_US: u64 = 100;
/// A run that takes so much longer than the ones before has nothing ahead of it any more.
const RETRACT_AFTER: Duration = Duration::from_millis(1);

impl Pool {
    /// Shares out what waits among the runners that finish soon, evenly.
    pub(super) fn prefetch(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.has_left || self.retract_owed.is_some() {
            return;
        }
        while self.may_start(now)
            && let Some(WaitingAttempt { kind, task }) = self.waiting.iter().find_map(|lane| lane.front())
            && task.payload.len() <= PREFETCH_BYTES_MAX
            && let Some(slot) = self.soonest_for(*kind, now)
            && let Some(task) = self.take_next()
        {
            self.slots[slot.0].prefetched.push_back(TaskRun {
                task: task.clone(),
                since: now,
                until: None,
                is_stopped: false,
            });
            out.push(Effect::Prefetch { runner: self.slots[slot.0].runner, task });
        }
        self.rebalance(out);
    }

    /// Lets an idle runner have what a busy one has ahead.
    fn rebalance(&mut self, out: &mut Vec<Effect>) {
        if self.waiting_len() > 0 {
            return;
        }
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            if let SlotState::Busy { kind, .. } = slot.state
                && !slot.prefetched.is_empty()
                && slot.run_us >= WORTHWHILE_US
                && self.idle_slot(kind).is_some()
            {
                self.retract(SlotId(at), out);
            }
        }
    }

    fn soonest_for(&self, wanted: RunnerKind, now: Time) -> Option<SlotId> {
        let max_requests = self.settings.max_requests;
        let slots = self.slots.iter().zip((0..).map(SlotId));
        let with_room = slots.filter(|(slot, _)| slot.has_prefetch_room(wanted, max_requests, now));
        with_room.min_by_key(|(slot, _)| slot.prefetched.len()).map(|(_, id)| id)
    }

    /// A runner has reported its run: it goes on with what it was handed ahead.
    pub(super) fn advance(&mut self, now: Time, slot_id: SlotId, out: &mut Vec<Effect>) {
        let slot = &mut self.slots[slot_id.0];
        slot.retract = RetractState::NotAsked;
        slot.end_asked = None;
        let SlotState::Idle { kind, served } = slot.state else {
            return;
        };
        let Some(mut run) = slot.prefetched.pop_front() else {
            return;
        };
        run.since = now;
        run.until = self.settings.limit_of(&run.task).map(|limit| now + limit);
        let is_stopped = run.is_stopped;
        slot.state = SlotState::Busy { kind, served, run: Box::new(run) };
        if is_stopped {
            self.end_run(now, slot_id, KillReason::Stopped, out);
        }
    }

    /// Asks the slot's runner for what it has not claimed, once a run. `false` if it was asked, or has nothing.
    pub(super) fn retract(&mut self, slot_id: SlotId, out: &mut Vec<Effect>) -> bool {
        let slot = &mut self.slots[slot_id.0];
        if slot.prefetched.is_empty() || slot.retract != RetractState::NotAsked {
            return false;
        }
        slot.retract = RetractState::Asked;
        out.push(Effect::Retract { runner: slot.runner });
        true
    }

    /// Asks all runners for what they have not claimed. `false` if none was asked.
    pub(super) fn retract_all(&mut self, out: &mut Vec<Effect>) -> bool {
        (0..self.slots.len()).filter(|slot| self.retract(SlotId(*slot), out)).count() > 0
    }

    /// Attempts came back from a runner; they are the first to start again.
    pub(super) fn on_retracted(
        &mut self,
        now: Time,
        runner: RunnerId,
        attempts: &[AttemptId],
        out: &mut Vec<Effect>,
    ) {
        if let Some(slot_id) = self.slot_with(runner) {
            let slot = &mut self.slots[slot_id.0];
            let end_asked = slot.end_asked.take();
            slot.retract = RetractState::Answered;
            let runs = slot.take_retracted(attempts);
            let (stopped, wanted): (Vec<TaskRun>, Vec<TaskRun>) =
                runs.into_iter().partition(|run| run.is_stopped);
            wanted.into_iter().rev().for_each(|run| self.wait_again(run.task, out));
            self.return_attempts(stopped.iter().map(|run| attempt_of(&run.task)).collect(), out);
            // What the runner has claimed beyond its run says that the run has ended: its outcome is on the way.
            if let Some(why) = end_asked
                && self.slots[slot_id.0].prefetched.is_empty()
            {
                self.end_run(now, slot_id, why, out);
            }
        }
        if self.slots.iter().any(|slot| slot.retract == RetractState::Asked) {
            return;
        }
        if let Some(count) = self.retract_owed.take() {
            self.return_waiting(count, out);
        }
        if self.is_draining && self.waiting_len() > 0 {
            self.return_waiting(u32::MAX, out);
        }
    }

    fn wait_again(&mut self, task: Task, out: &mut Vec<Effect>) {
        match self.kind_of(&task) {
            Ok(kind) => self.waiting[task.head.priority.index()].push_front(WaitingAttempt { kind, task }),
            Err(why) => self.refuse(&task, why, out),
        }
    }

    /// Forgets attempts that nobody wants any more, and says so.
    pub(super) fn return_attempts(&mut self, attempts: Vec<AttemptId>, out: &mut Vec<Effect>) {
        for attempt in &attempts {
            self.known.remove(attempt);
        }
        if !attempts.is_empty() && self.is_linked {
            out.push(Effect::Tell(FromWorker::Returned(attempts)));
        }
    }

    /// For how long every slot's runner surely goes on with what it was handed, though nobody looks after it. Zero unless
    /// all are busy with short tasks.
    #[must_use]
    pub fn supplied_for(&self) -> Duration {
        let micros = self.slots.iter().map(|slot| {
            let goes_on =
                matches!(slot.state, SlotState::Busy { .. }) && slot.retract == RetractState::NotAsked;
            u64::from(goes_on) * slot.prefetched.len() as u64 * (slot.run_us + TASK_US_MIN)
        });
        Duration::from_micros(micros.min().unwrap_or(0))
    }

    /// Marks a task that a runner has ahead as unwanted; `false` if none has it.
    pub(super) fn stop_prefetched(&mut self, attempt: AttemptId, out: &mut Vec<Effect>) -> bool {
        let holds = |slot: &mut Slot| {
            slot.prefetched
                .iter_mut()
                .find(|run| attempt_of(&run.task) == attempt)
                .map(|run| run.is_stopped = true)
        };
        let Some(slot) = self.slots.iter_mut().position(|slot| holds(slot).is_some()) else {
            return false;
        };
        self.retract(SlotId(slot), out);
        true
    }
}

impl Slot {
    /// Follows what tasks take, upwards faster than downwards. One that was long is no reason to stop: it may have waited for
    /// a processor, and what was ahead of it comes back anyway.
    pub(super) fn observe(&mut self, run_us: u64) {
        let believed = estimate::believed(run_us, self.run_us);
        self.run_us = if believed > self.run_us { believed } else { self.run_us.midpoint(believed) };
    }

    /// When nothing is to be ahead of the run any more.
    pub(super) fn retract_at(&self) -> Option<Time> {
        let SlotState::Busy { run, .. } = &self.state else {
            return None;
        };
        (!self.prefetched.is_empty() && self.retract == RetractState::NotAsked)
            .then(|| run.since + self.retract_after())
    }

    /// How long a run may take before nothing is ahead of it any more.
    fn retract_after(&self) -> Duration {
        RETRACT_AFTER + Duration::from_micros(self.run_us)
    }

    fn has_prefetch_room(&self, wanted: RunnerKind, max_requests: u64, now: Time) -> bool {
        let SlotState::Busy { kind, served, run } = &self.state else {
            return false;
        };
        let may_serve = max_requests == 0 || served + 1 + (self.prefetched.len() as u64) < max_requests;
        let room = match self.run_us.max(TASK_US_MIN) {
            PREFETCH_US..=PREFETCH_ONE_US => 1,
            run_us => usize::try_from(PREFETCH_US / run_us).unwrap_or(PREFETCH_MAX).min(PREFETCH_MAX),
        };
        self.takes_prefetch
            && !self.has_ended
            && *kind == wanted
            && self.retract == RetractState::NotAsked
            && may_serve
            && self.prefetched.len() < room
            && now.since(run.since) < self.retract_after()
    }

    /// Takes attempts out that the runner has not claimed. Its run is among them if it was handed ahead itself.
    fn take_retracted(&mut self, attempts: &[AttemptId]) -> Vec<TaskRun> {
        let is_back = |run: &TaskRun| attempts.contains(&attempt_of(&run.task));
        let (back, kept) = self.prefetched.drain(..).partition::<Vec<_>, _>(is_back);
        self.prefetched = kept.into();
        let mut runs = Vec::with_capacity(attempts.len());
        if let SlotState::Busy { kind, served, run } = &self.state
            && is_back(run)
        {
            let idle = SlotState::Idle { kind: *kind, served: *served };
            let state = if self.has_ended { SlotState::Retiring } else { idle };
            self.retract = RetractState::NotAsked;
            if let SlotState::Busy { run, .. } = std::mem::replace(&mut self.state, state) {
                runs.push(*run);
            }
        }
        runs.extend(back);
        runs
    }

    /// The runner is gone: what it had claimed and not reported.
    pub(super) fn forget_runner(&mut self) -> Vec<TaskRun> {
        self.has_ended = false;
        self.takes_prefetch = false;
        self.retract = RetractState::NotAsked;
        self.end_asked = None;
        self.run_us = UNKNOWN_US;
        self.prefetched.drain(..).collect()
    }
}
