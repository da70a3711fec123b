//! Short tasks go to a runner before it has finished the one before, so that it never waits for the next.
//!
//! A runner claims such a task before it starts it. What it has not claimed can be retracted: when the run before turns
//! out long or waits, when the manager wants attempts back, when one of them is stopped. So nothing that was prefetched is
//! stuck, and nobody has to guess what a dead runner had started.

use std::time::Duration;

use argon_proto::conversation::worker::FromWorker;
use argon_proto::{AttemptId, RunnerId, Task};

use super::effect::Effect;
use super::runner::{KillReason, RetractState, Runner, RunnerState, TaskRun};
use super::supply::{QueuePlace, places_of};
use super::{Pool, WaitingAttempt, attempt_of};
use crate::estimate::RunTimeEstimate;
use crate::time::Time;

/// Work that a runner has prefetched at most, by what its last tasks took, microseconds.
const PREFETCH_US: u64 = 400;
/// Tasks up to this length are prefetched too, one at a time, microseconds.
const PREFETCH_ONE_US: u64 = 20_000;
/// Tasks that a runner has prefetched at most.
const PREFETCH_MAX: usize = 256;
/// Cost of a task besides its run, microseconds. No task counts as shorter.
const TASK_US_MIN: u64 = 2;
/// A payload longer than this is not prefetched: it could not be retracted cheaply.
const PREFETCH_BYTES_MAX: u64 = 16 << 10;
/// A task that is shorter is not worth moving from one runner to another, microseconds.
const WORTHWHILE_US: u64 = 100;
/// Factor by which a run exceeds the ones before when the tasks behind it are retracted.
const RETRACT_AFTER: Duration = Duration::from_millis(1);
/// Work that a runner may get out of turn until it is idle again, microseconds: sessions take turns in a slot, and a turn
/// that short would be lost with the switch from one runner to another.
const TURN_US: u64 = 2_000;

impl Pool {
    /// Shares out what waits among the runners that finish soon, evenly.
    pub(super) fn prefetch(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.has_left || self.retract_owed.is_some() {
            return;
        }
        while self.may_start(now)
            && let Some((place, id)) = self.next_prefetch(now)
            && let Some(task) = self.take_waiting(place)
        {
            self.runners[id].prefetched.push_back(TaskRun::new(task.clone(), now));
            self.runners.watch(id);
            out.push(Effect::Prefetch { runner: id, task });
        }
        self.rebalance(out);
    }

    /// The next attempt to be prefetched, and the runner that gets it.
    fn next_prefetch(&mut self, now: Time) -> Option<(QueuePlace, RunnerId)> {
        self.front()?;
        let max_requests = self.settings.max_requests;
        let looked_at = self.looked_at();
        let with_room = self.runners.with_room(|runner| runner.has_prefetch_room(max_requests, now));
        if with_room.is_empty() {
            return None;
        }
        let soonest_for = |waiting: &WaitingAttempt, is_first: bool| {
            let is_small = waiting.task.payload.len() <= PREFETCH_BYTES_MAX;
            let has_turn = |runner: &&&Runner| is_first || runner.turn_us < TURN_US;
            let suitable = with_room.iter().filter(|runner| is_small && runner.suits(waiting.key));
            suitable.filter(has_turn).min_by_key(|runner| runner.prefetched.len()).map(|runner| runner.id)
        };
        let mut is_first = true;
        let found = places_of(&self.waiting).take(looked_at).find_map(|(place, waiting)| {
            let id = soonest_for(waiting, is_first).map(|id| (place, id, is_first));
            is_first = false;
            id
        });
        let Some((place, id, is_first)) = found else {
            self.runners.forget_room();
            return None;
        };
        if !is_first {
            let runner = &mut self.runners[id];
            runner.turn_us += runner.task_us();
        }
        Some((place, id))
    }

    /// Lets an idle runner have what is prefetched at a busy one.
    fn rebalance(&mut self, out: &mut Vec<Effect>) {
        if self.waiting_len() > 0 || self.free_slots() == 0 {
            return;
        }
        let relieved: Vec<RunnerId> = self
            .runners
            .busy()
            .filter(|runner| !runner.prefetched.is_empty() && runner.run_time.us() >= WORTHWHILE_US)
            .filter(|runner| self.runners.has_helper(runner))
            .map(|runner| runner.id)
            .collect();
        for id in relieved {
            self.retract(id, out);
        }
    }

    /// A runner has reported its run: it goes on with what was prefetched. `false` if that is nothing.
    pub(super) fn advance(&mut self, now: Time, id: RunnerId, out: &mut Vec<Effect>) -> bool {
        let lent = self.runners.lent_len();
        let runner = &mut self.runners[id];
        runner.retract = RetractState::NotAsked;
        runner.end_asked = None;
        let Some(mut run) = runner.prefetched.pop_front() else {
            return false;
        };
        run.since = now;
        run.until = self.settings.limit_of(&run.task).map(|limit| now + limit);
        // One that waits already began before the outcome of the one in front of it was read.
        let (is_stopped, waits) = (run.is_stopped, run.waits);
        let is_too_many = waits && lent >= self.settings.waiting_max;
        run.waits &= !is_too_many;
        self.runners.proceed(id, run);
        if is_stopped {
            self.end_run(now, id, KillReason::Stopped, out);
        } else if is_too_many {
            self.end_run(now, id, KillReason::TooManyWait, out);
        } else if waits {
            self.retract(id, out);
        }
        true
    }

    /// Asks a runner for what it has not claimed, once a run. `false` if it was asked, or has nothing.
    pub(super) fn retract(&mut self, id: RunnerId, out: &mut Vec<Effect>) -> bool {
        let runner = &mut self.runners[id];
        if runner.prefetched.is_empty() || runner.retract != RetractState::NotAsked {
            return false;
        }
        runner.retract = RetractState::Asked;
        out.push(Effect::Retract { runner: id });
        true
    }

    /// Asks all runners for what they have not claimed. `false` if none was asked.
    pub(super) fn retract_all(&mut self, out: &mut Vec<Effect>) -> bool {
        self.runners.busy_ids().into_iter().filter(|id| self.retract(*id, out)).count() > 0
    }

    /// Attempts came back from a runner; they are the first to start again.
    pub(super) fn on_retracted(
        &mut self,
        now: Time,
        id: RunnerId,
        attempts: &[AttemptId],
        out: &mut Vec<Effect>,
    ) {
        if let Some(runner) = self.runners.get_mut(id) {
            let end_asked = runner.end_asked.take();
            runner.retract = RetractState::Answered;
            let runs = self.take_retracted(id, attempts);
            let (stopped, wanted): (Vec<TaskRun>, Vec<TaskRun>) =
                runs.into_iter().partition(|run| run.is_stopped);
            wanted.into_iter().rev().for_each(|run| self.wait_again(now, run.task, out));
            self.return_attempts(stopped.iter().map(TaskRun::attempt).collect(), out);
            // What the runner has claimed beyond its run says that the run has ended: its outcome is on the way.
            if let Some(why) = end_asked
                && self.runners[id].prefetched.is_empty()
            {
                self.end_run(now, id, why, out);
            }
        }
        if self.runners.iter().any(|runner| runner.retract == RetractState::Asked) {
            return;
        }
        if let Some(count) = self.retract_owed.take() {
            self.return_waiting(count, out);
        }
        if self.is_draining && self.waiting_len() > 0 {
            self.return_waiting(u32::MAX, out);
        }
    }

    /// Takes attempts out that the runner has not claimed. Its run is among them if it was prefetched itself.
    fn take_retracted(&mut self, id: RunnerId, attempts: &[AttemptId]) -> Vec<TaskRun> {
        let runner = &mut self.runners[id];
        let is_back = |run: &TaskRun| attempts.contains(&run.attempt());
        let (back, kept) = runner.prefetched.drain(..).partition::<Vec<_>, _>(is_back);
        runner.prefetched = kept.into();
        let mut runs = Vec::with_capacity(attempts.len());
        if matches!(&runner.state, RunnerState::Busy(run) if is_back(run)) {
            runner.retract = RetractState::NotAsked;
            let has_ended = runner.has_ended;
            runs.extend(self.runners.take_run(id));
            if !has_ended {
                self.runners.rest(id);
            }
        }
        runs.extend(back);
        runs
    }

    pub(super) fn wait_again(&mut self, now: Time, task: Task, out: &mut Vec<Effect>) {
        match self.key_of(now, &task, out) {
            Ok(key) => {
                self.runners.note_waiting(key);
                self.waiting[task.head.priority.index()].push_front(WaitingAttempt { key, task, since: now });
            }
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

    /// For how long the runner of every slot surely goes on with what was prefetched, though nobody looks after it. Zero
    /// unless all slots are taken by short tasks.
    #[must_use]
    pub fn supplied_for(&self) -> Duration {
        let mut taken = 0;
        let mut shortest = u64::MAX;
        for runner in self.runners.busy().filter(|runner| runner.takes_slot()) {
            let goes_on =
                matches!(runner.state, RunnerState::Busy(_)) && runner.retract == RetractState::NotAsked;
            let supply = runner.prefetched.len() as u64 * (runner.run_time.us() + TASK_US_MIN);
            shortest = shortest.min(u64::from(goes_on) * supply);
            taken += 1;
        }
        if taken < self.settings.slots { Duration::ZERO } else { Duration::from_micros(shortest) }
    }

    /// Marks a prefetched task as unwanted; `false` if no runner has it.
    pub(super) fn stop_prefetched(&mut self, attempt: AttemptId, out: &mut Vec<Effect>) -> bool {
        let mut holder = None;
        for runner in self.runners.iter_mut() {
            if let Some(run) = runner.prefetched.iter_mut().find(|run| attempt_of(&run.task) == attempt) {
                run.is_stopped = true;
                holder = Some(runner.id);
            }
        }
        if let Some(id) = holder {
            self.retract(id, out);
        }
        holder.is_some()
    }
}

impl Runner {
    /// Run time that a task of this runner counts for, microseconds.
    fn task_us(&self) -> u64 {
        self.run_time.us().max(TASK_US_MIN)
    }

    /// When nothing is to stand behind its run any more.
    pub(super) fn retract_at(&self) -> Option<Time> {
        let RunnerState::Busy(run) = &self.state else {
            return None;
        };
        (!self.prefetched.is_empty() && self.retract == RetractState::NotAsked)
            .then(|| run.since + self.retract_after())
    }

    /// Run time after which the prefetched tasks behind a run are retracted.
    fn retract_after(&self) -> Duration {
        RETRACT_AFTER + Duration::from_micros(self.run_time.us())
    }

    fn has_prefetch_room(&self, max_requests: u64, now: Time) -> bool {
        let RunnerState::Busy(run) = &self.state else {
            return false;
        };
        let may_serve = max_requests == 0 || self.served + 1 + (self.prefetched.len() as u64) < max_requests;
        let room = match self.task_us() {
            PREFETCH_US..=PREFETCH_ONE_US => 1,
            task_us => usize::try_from(PREFETCH_US / task_us).unwrap_or(PREFETCH_MAX).min(PREFETCH_MAX),
        };
        self.takes_prefetch
            && !self.has_ended
            && !run.waits
            && self.retract == RetractState::NotAsked
            && may_serve
            && self.prefetched.len() < room
            && now.since(run.since) < self.retract_after()
    }

    /// The runner is gone: what it had and has not reported.
    pub(super) fn forget_process(&mut self) -> Vec<TaskRun> {
        self.has_ended = false;
        self.takes_prefetch = false;
        self.retract = RetractState::NotAsked;
        self.end_asked = None;
        self.run_time = RunTimeEstimate::UNKNOWN;
        self.prefetched.drain(..).collect()
    }
}
