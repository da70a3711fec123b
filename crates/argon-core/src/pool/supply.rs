//! Matches waiting attempts with idle runners, and starts runners for the rest.
//!
//! Attempts come in their order. Each takes an idle runner of its sessions, counts on one that is starting, or has one
//! started, as long as slots are free. An attempt that waits for its runner does not delay those whose runner is there.

use std::collections::VecDeque;
use std::time::Duration;

use argon_proto::{Family, RunnerId, Task};

use super::effect::Effect;
use super::kind::{RunnerKey, RunnerKind, TemplateKey};
use super::runner::{Runner, RunnerState, TaskRun};
use super::{Pool, WaitingAttempt};
use crate::time::Time;

/// Number of waiting attempts per slot that are looked at; those behind have time.
const LOOK_AHEAD: usize = 4;
/// Number of waiting attempts among which those are looked for that can start, when the first one is held up.
const SIGHT_MAX: usize = 16_384;
/// Runners for each slot that start at once at most, for attempts that come and go.
const STARTING_PER_SLOT: usize = 2;
/// Wait of the first attempt, next to a free slot, after which it counts as held up.
const HELD_UP_AFTER: Duration = Duration::from_millis(100);
/// A start that takes longer keeps no others from starting: programs that hang at their start would stop the worker.
const STUCK_AFTER: Duration = Duration::from_millis(500);
/// A task that ends sooner is waited for rather than that the runner of other sessions ends for a new one, microseconds.
const WORTH_A_START_US: u64 = 5_000;

/// Wait after which an attempt gets a runner, even if another one ends for it: such starts cost a small part of
/// the time then.
const WAIT_FOR_RUNNER: Duration = Duration::from_millis(50);

/// Place of a waiting attempt in its queue.
#[derive(Clone, Copy)]
pub(super) struct QueuePlace {
    pub(super) lane: usize,
    pub(super) at: usize,
}

/// From what a runner is started.
#[derive(Clone, Copy)]
pub(super) enum StartFrom {
    Template(TemplateKey),
    Program,
}

impl Pool {
    /// Starts waiting attempts in idle runners, and runners for those that have none.
    pub(super) fn start_waiting(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.has_left {
            return;
        }
        while self.free_slots() > 0
            && self.may_start(now)
            && let Some(key) = self.front().map(|waiting| waiting.key)
            && self.start_in_place(now, QueuePlace { lane: self.front_lane(), at: 0 }, key, out)
        {}
        // Where nothing may start, a runner for an attempt would only take the place of one for another, in turns.
        if self.free_slots() > 0 && self.may_start(now) && self.front().is_some() {
            self.supply(now, out);
        }
    }

    /// A worker that its manager has given up, that cannot report outcomes, or whose machine is busy, starts nothing.
    pub(super) fn may_start(&self, now: Time) -> bool {
        self.is_linked
            && !self.is_machine_busy
            && now.since(self.last_heard) < self.settings.lease
            && self.unsettled.bytes() < self.settings.unsettled_bytes
    }

    /// Slots that no attempt takes. After attempts went on that had lent theirs, more may run than there are slots.
    pub(super) fn free_slots(&self) -> usize {
        self.settings.slots.saturating_sub(self.runners.taken_len())
    }

    pub(super) fn front(&self) -> Option<&WaitingAttempt> {
        self.waiting.iter().find_map(|lane| lane.front())
    }

    fn front_lane(&self) -> usize {
        self.waiting.iter().position(|lane| !lane.is_empty()).unwrap_or(0)
    }

    /// The first waiting attempts, as far as they are looked at. When the first one has waited long next to a free slot, its
    /// kind fails or hangs: then those behind are looked for that can start.
    fn first_waiting(&self, now: Time) -> Vec<(QueuePlace, RunnerKey, Time)> {
        let in_view = |(place, waiting): (QueuePlace, &WaitingAttempt)| (place, waiting.key, waiting.since);
        if self.held_up_from().is_none_or(|from| now < from) {
            return places_of(&self.waiting).take(self.looked_at()).map(in_view).collect();
        }
        let stuck: Vec<&Runner> = self.stuck(now).collect();
        let mut at_once = self.free_slots();
        let mut with_runner = self.looked_at();
        let mut seen = Vec::new();
        for (place, waiting) in places_of(&self.waiting).take(SIGHT_MAX) {
            let key = waiting.key;
            let left = if self.can_start(now, key) {
                &mut at_once
            } else if self.may_try(now, key.kind) && !stuck.iter().any(|runner| runner.suits(key)) {
                &mut with_runner
            } else {
                continue;
            };
            if *left > 0 {
                *left -= 1;
                seen.push(in_view((place, waiting)));
            }
            if at_once == 0 {
                break;
            }
        }
        seen
    }

    /// True if an attempt of this key needs nothing but a slot.
    fn can_start(&self, now: Time, key: RunnerKey) -> bool {
        match key.kind.has_runner() {
            true => self.runners.idle_for(key).is_some(),
            false => self.may_try(now, key.kind),
        }
    }

    /// From when on the first attempt counts as held up, if slots are free.
    fn held_up_from(&self) -> Option<Time> {
        let front = self.front().filter(|_| self.free_slots() > 0)?;
        Some(front.since + HELD_UP_AFTER)
    }

    /// Number of waiting attempts that are looked at.
    pub(super) fn looked_at(&self) -> usize {
        self.settings.slots * LOOK_AHEAD
    }

    pub(super) fn take_waiting(&mut self, place: QueuePlace) -> Option<Task> {
        self.waiting[place.lane].remove(place.at).map(|waiting| waiting.task)
    }

    /// Starts the attempt at this place if it needs no other runner than there is.
    fn start_in_place(
        &mut self,
        now: Time,
        place: QueuePlace,
        key: RunnerKey,
        out: &mut Vec<Effect>,
    ) -> bool {
        if key.kind.has_runner() {
            let Some(id) = self.runners.idle_for(key) else {
                return false;
            };
            if let Some(task) = self.take_waiting(place) {
                self.hand(now, id, key, task, out);
            }
            return true;
        }
        if !self.may_try(now, key.kind) {
            return false;
        }
        if let Some(task) = self.take_waiting(place) {
            let run = self.new_run(now, task.clone());
            let runner = self.next_runner_id();
            self.runners.insert(Runner::new(runner, key.kind, None, RunnerState::Busy(Box::new(run))));
            out.push(Effect::Execute { runner, task });
        }
        true
    }

    fn hand(&mut self, now: Time, id: RunnerId, key: RunnerKey, task: Task, out: &mut Vec<Effect>) {
        let run = self.new_run(now, task.clone());
        self.runners.begin(id, key.family, run);
        out.push(Effect::Hand { runner: id, task });
    }

    pub(super) fn new_run(&self, now: Time, task: Task) -> TaskRun {
        let until = self.settings.limit_of(&task).map(|limit| now + limit);
        TaskRun { until, ..TaskRun::new(task, now) }
    }

    /// Looks at those behind the first one, which has no runner.
    fn supply(&mut self, now: Time, out: &mut Vec<Effect>) {
        let wanted = self.first_waiting(now);
        let mut coming: Vec<RunnerId> = self.runners.starting().to_vec();
        // A slot for each runner that starts, so that no more are started than can run.
        let mut prospects = self.free_slots();
        let mut started = [0; 3];
        for (place, key, since) in wanted {
            let place = QueuePlace { at: place.at - started[place.lane], ..place };
            if self.free_slots() == 0 {
                return;
            }
            if self.start_in_place(now, place, key, out) {
                started[place.lane] += 1;
                prospects = prospects.saturating_sub(1);
            } else if let Some(at) = coming.iter().position(|id| self.runners[*id].suits(key)) {
                let is_stuck = Self::is_stuck(now, &self.runners[coming.swap_remove(at)]);
                prospects = prospects.saturating_sub(usize::from(!is_stuck));
            } else if prospects > 0 && key.kind.has_runner() && self.start_runner_for(now, key, since, out) {
                prospects -= 1;
            }
        }
    }

    /// Starts a runner for an attempt; `false` if it has to wait.
    fn start_runner_for(&mut self, now: Time, key: RunnerKey, since: Time, out: &mut Vec<Effect>) -> bool {
        // Those that started for attempts which went elsewhere meanwhile are on their way, too.
        let too_many = self.runners.starting().len() - self.stuck(now).count()
            >= STARTING_PER_SLOT * self.settings.slots;
        if too_many || !self.may_try(now, key.kind) || self.is_worth_waiting(now, key, since) {
            return false;
        }
        // If its template is just starting, the attempt counts on that.
        if let Some(from) = self.start_from(now, key.kind, out) {
            self.spawn(now, key.kind, Some(key.family), from, out);
        }
        true
    }

    /// True if a start has taken so long that it counts no more.
    fn is_stuck(now: Time, starting: &Runner) -> bool {
        now.since(starting.started) >= STUCK_AFTER
    }

    fn stuck(&self, now: Time) -> impl Iterator<Item = &Runner> {
        let starting = self.runners.starting().iter().map(|id| &self.runners[*id]);
        starting.filter(move |runner| Self::is_stuck(now, runner))
    }

    /// When attempts that wait are to be looked at again though nothing has happened: the first one is held up, or a start
    /// counts no more, so that another one may begin next to it.
    pub(super) fn supply_deadline(&self) -> Option<Time> {
        let held_up_from = self.held_up_from()?;
        let starting = self.runners.starting().iter().map(|id| self.runners[*id].started + STUCK_AFTER);
        starting.chain([held_up_from]).filter(|at| *at > self.last_step).min()
    }

    /// True if an attempt waits for a runner of its sessions that is free soon, rather than for a new one that another
    /// would have to end for. Not for long: the start is worth its price then.
    fn is_worth_waiting(&self, now: Time, key: RunnerKey, since: Time) -> bool {
        let ends_soon = |runner: &Runner| {
            let age = runner.run().map_or(0, |run| now.since(run.since).as_micros() as u64);
            runner.takes_slot() && runner.run_time.us().max(age) < WORTH_A_START_US
        };
        let alive = self.runners.starting().len() + self.runners.idle_len() + self.runners.taken_len();
        now.since(since) < WAIT_FOR_RUNNER
            && alive >= self.settings.runners_max.max(self.settings.slots)
            && self.runners.busy().any(|runner| runner.suits(key) && ends_soon(runner))
    }

    pub(super) fn spawn(
        &mut self,
        now: Time,
        kind: RunnerKind,
        family: Option<Family>,
        from: StartFrom,
        out: &mut Vec<Effect>,
    ) {
        let runner = self.next_runner_id();
        let template = match from {
            StartFrom::Template(key) => Some(key),
            StartFrom::Program => None,
        };
        let is_forked = template.is_some();
        self.runners.insert(Runner {
            is_forked,
            started: now,
            ..Runner::new(runner, kind, family, RunnerState::Starting)
        });
        out.push(Effect::Spawn { runner, kind, template });
    }

    fn next_runner_id(&mut self) -> RunnerId {
        self.last_runner.0 += 1;
        self.last_runner
    }
}

/// All waiting attempts in their order.
pub(super) fn places_of(
    lanes: &[VecDeque<WaitingAttempt>; 3],
) -> impl Iterator<Item = (QueuePlace, &WaitingAttempt)> {
    lanes.iter().enumerate().flat_map(|(lane, waiting)| {
        waiting.iter().enumerate().map(move |(at, waiting)| (QueuePlace { lane, at }, waiting))
    })
}
