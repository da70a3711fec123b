//! What waits meets who is idle, and every slot is supplied with the runner that is wanted most.
//!
//! Attempts are looked at in their order. Each takes an idle runner of its kind, or counts on one that is coming, or has
//! one started in an empty slot, or has an idle runner of another kind make room. So an attempt that has to wait for
//! its runner holds up none whose runner is there, and loses no slot to it either.

use argon_proto::Task;
use rustc_hash::FxHashSet;

use super::effect::Effect;
use super::kind::RunnerKind;
use super::slot::{SlotId, SlotState, TaskRun};
use super::{Pool, WaitingAttempt};
use crate::time::Time;

/// So many waiting attempts for each slot are looked at; those behind have time.
const LOOK_AHEAD: usize = 4;

/// Where a waiting attempt stands: its lane, and its place in it.
type QueuePlace = (usize, usize);

/// What the attempts looked at so far have left of the slots.
#[derive(Default)]
struct FreeCapacity {
    idle: Vec<(SlotId, RunnerKind)>,
    /// Without a runner, and ready for one.
    empty: Vec<SlotId>,
    /// Without a runner because the last one did not come up. A command does not mind.
    resting: Vec<SlotId>,
    /// Where a runner is told to end.
    retiring: usize,
    /// Runners that are starting.
    coming: Vec<RunnerKind>,
}

impl Pool {
    /// Starts waiting attempts in idle runners, and keeps every slot supplied with a runner.
    pub(super) fn start_waiting(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.has_left {
            return;
        }
        while self.may_start(now)
            && let Some(kind) = self.next_kind()
            && let Some(slot) = self.idle_slot(kind)
            && let Some(task) = self.take_next()
        {
            self.hand(now, slot, task, out);
        }
        if self.next_kind().is_some() {
            self.supply(now, out);
        }
        self.keep_ready(now, out);
    }

    /// A worker that its manager has given up, or cannot tell of outcomes, starts nothing.
    pub(super) fn may_start(&self, now: Time) -> bool {
        self.is_linked
            && now.since(self.last_heard) < self.settings.lease
            && self.unsettled_bytes < self.settings.unsettled_bytes
    }

    fn next_kind(&self) -> Option<RunnerKind> {
        self.waiting.iter().find_map(|lane| lane.front()).map(|waiting| waiting.kind)
    }

    pub(super) fn take_next(&mut self) -> Option<Task> {
        self.waiting.iter_mut().find_map(|lane| lane.pop_front()).map(|waiting| waiting.task)
    }

    pub(super) fn idle_slot(&self, wanted: RunnerKind) -> Option<SlotId> {
        self.slots
            .iter()
            .position(|slot| matches!(&slot.state, SlotState::Idle { kind, .. } if *kind == wanted))
            .map(SlotId)
    }

    fn hand(&mut self, now: Time, slot_id: SlotId, task: Task, out: &mut Vec<Effect>) {
        let slot = &self.slots[slot_id.0];
        let SlotState::Idle { kind, served } = slot.state else {
            return;
        };
        let until = self.settings.limit_of(&task).map(|limit| now + limit);
        if kind.has_runner() {
            out.push(Effect::Hand { runner: slot.runner, task: task.clone() });
        } else {
            let runner = self.renew(slot_id);
            out.push(Effect::Execute { runner, task: task.clone() });
        }
        self.slots[slot_id.0].state = SlotState::Busy {
            kind,
            served,
            run: Box::new(TaskRun { task, since: now, until, is_stopped: false }),
        };
    }

    /// Shares out among the waiting attempts what the slots have.
    fn supply(&mut self, now: Time, out: &mut Vec<Effect>) {
        let mut left = self.left(now);
        if left.is_used_up() {
            return;
        }
        let wanted = self.wanted();
        let kinds: FxHashSet<RunnerKind> = wanted.iter().map(|(_, kind)| *kind).collect();
        let mut starts: Vec<(QueuePlace, SlotId)> = Vec::new();
        for (place, kind) in wanted {
            if left.is_used_up() {
                break;
            }
            if let Some(slot) = left.take_idle(kind) {
                starts.push((place, slot));
            } else if self.must_probe(kind) || left.take_coming(kind) {
                // It has to wait, and needs no slot for that.
            } else if let Some(slot) = left.take_empty(kind) {
                self.prepare(slot, kind, out);
                if !kind.has_runner() {
                    starts.push((place, slot));
                }
            } else if !left.take_emptying(kind)
                && let Some(slot) = self.make_room(&mut left, &kinds, out)
            {
                self.prepare(slot, kind, out);
            }
        }
        if self.may_start(now) {
            self.start_all(now, starts, out);
        }
    }

    fn left(&self, now: Time) -> FreeCapacity {
        let mut left = FreeCapacity::default();
        for (slot, id) in self.slots.iter().zip((0..).map(SlotId)) {
            match slot.state {
                SlotState::Idle { kind, .. } => left.idle.push((id, kind)),
                SlotState::Empty { not_before } if not_before.is_none_or(|at| at <= now) => {
                    left.empty.push(id);
                }
                SlotState::Empty { .. } => left.resting.push(id),
                SlotState::Retiring => left.retiring += 1,
                SlotState::Starting { kind } => left.coming.push(kind),
                SlotState::Busy { .. } | SlotState::Ending { .. } => {}
            }
        }
        left
    }

    /// The first waiting attempts and their kinds.
    fn wanted(&self) -> Vec<(QueuePlace, RunnerKind)> {
        let lanes = self.waiting.iter().enumerate();
        let places = lanes.flat_map(|(lane, waiting)| {
            waiting.iter().enumerate().map(move |(at, WaitingAttempt { kind, .. })| ((lane, at), *kind))
        });
        places.take(self.slots.len() * LOOK_AHEAD).collect()
    }

    /// Whether runners of this kind are not tried again before another kind has come up.
    fn must_probe(&self, wanted: RunnerKind) -> bool {
        self.suspicion.as_ref().is_some_and(|suspicion| suspicion.must_probe && suspicion.kind == wanted)
    }

    /// Makes an idle runner of another kind end, if possible one that nobody waits for. Returns a slot that is empty
    /// at once.
    fn make_room(
        &mut self,
        left: &mut FreeCapacity,
        wanted: &FxHashSet<RunnerKind>,
        out: &mut Vec<Effect>,
    ) -> Option<SlotId> {
        let unwanted = left.idle.iter().position(|(_, kind)| !wanted.contains(kind));
        let at = unwanted.or((!left.idle.is_empty()).then_some(0))?;
        let (id, kind) = left.idle.swap_remove(at);
        if !kind.has_runner() {
            return Some(id);
        }
        let slot = &mut self.slots[id.0];
        slot.state = SlotState::Retiring;
        out.push(Effect::Retire { runner: slot.runner });
        None
    }

    /// Starts a runner in an empty slot; for a command there is nothing to start yet.
    fn prepare(&mut self, id: SlotId, kind: RunnerKind, out: &mut Vec<Effect>) {
        if kind.has_runner() {
            let runner = self.renew(id);
            self.slots[id.0].state = SlotState::Starting { kind };
            out.push(Effect::Spawn { runner, kind, template: None });
        } else {
            self.slots[id.0].state = SlotState::Idle { kind, served: 0 };
        }
    }

    fn start_all(&mut self, now: Time, starts: Vec<(QueuePlace, SlotId)>, out: &mut Vec<Effect>) {
        // From the back, so that the places of the others stay what they are.
        let taken: Vec<_> = starts
            .into_iter()
            .rev()
            .filter_map(|((lane, at), slot)| Some((slot, self.waiting[lane].remove(at)?.task)))
            .collect();
        for (slot, task) in taken.into_iter().rev() {
            self.hand(now, slot, task, out);
        }
    }

    /// Starts in the slots that are still empty the runner that is kept ready.
    fn keep_ready(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Some(kind) = self.ready_kind() else {
            return;
        };
        for at in 0..self.slots.len() {
            if matches!(self.slots[at].state, SlotState::Empty { not_before } if not_before.is_none_or(|at| at <= now))
            {
                self.prepare(SlotId(at), kind, out);
            }
        }
    }
}

impl FreeCapacity {
    /// Whether nothing can be started or ended any more.
    fn is_used_up(&self) -> bool {
        self.idle.is_empty() && self.empty.is_empty() && self.resting.is_empty()
    }

    fn take_idle(&mut self, wanted: RunnerKind) -> Option<SlotId> {
        let at = self.idle.iter().position(|(_, kind)| *kind == wanted)?;
        Some(self.idle.swap_remove(at).0)
    }

    fn take_coming(&mut self, wanted: RunnerKind) -> bool {
        let at = self.coming.iter().position(|kind| *kind == wanted);
        at.map(|at| self.coming.swap_remove(at)).is_some()
    }

    fn take_empty(&mut self, wanted: RunnerKind) -> Option<SlotId> {
        let resting = if wanted.has_runner() { None } else { self.resting.pop() };
        resting.or_else(|| self.empty.pop())
    }

    /// Counts on a slot that will be empty.
    fn take_emptying(&mut self, wanted: RunnerKind) -> bool {
        if self.retiring > 0 {
            self.retiring -= 1;
            return true;
        }
        wanted.has_runner() && self.resting.pop().is_some()
    }
}
