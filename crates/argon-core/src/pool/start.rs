//! What waits meets who is idle.

use std::time::Duration;

use argon_proto::{Outcome, Report, Runtime, Status, Task};

use super::effect::{Effect, Signal};
use super::slot::{Kind, Run, SlotId, SlotState, Why};
use super::{Pool, attempt_of};
use crate::time::Time;

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
        self.fill_slots(now, out);
    }

    /// A worker that its manager has given up, or cannot tell of outcomes, starts nothing.
    fn may_start(&self, now: Time) -> bool {
        self.is_linked
            && now.since(self.last_heard) < self.settings.lease
            && self.unsettled_bytes < self.settings.unsettled_bytes
    }

    fn next_kind(&self) -> Option<Kind> {
        self.waiting.iter().find_map(|lane| lane.front()).map(kind_of)
    }

    fn take_next(&mut self) -> Option<Task> {
        self.waiting.iter_mut().find_map(|lane| lane.pop_front())
    }

    fn idle_slot(&self, wanted: Kind) -> Option<SlotId> {
        self.slots
            .iter()
            .position(|slot| matches!(&slot.state, SlotState::Idle { kind, .. } if *kind == wanted))
            .map(SlotId)
    }

    fn hand(&mut self, now: Time, slot_id: SlotId, task: Task, out: &mut Vec<Effect>) {
        let slot = &mut self.slots[slot_id.0];
        let SlotState::Idle { kind, served } = slot.state else {
            return;
        };
        let limit_ms = match task.head.timeout_ms {
            0 => self.settings.default_timeout_ms,
            own => own,
        };
        let until = (limit_ms > 0).then(|| now + Duration::from_millis(u64::from(limit_ms)));
        out.push(Effect::Hand { slot: slot_id, task: task.clone() });
        slot.state = SlotState::Busy { kind, served, run: Box::new(Run { task, since: now, until }) };
    }

    /// Starts runners in empty slots: of the kinds that waiting tasks need, else the one that is kept ready.
    fn fill_slots(&mut self, now: Time, out: &mut Vec<Effect>) {
        let wanted = self.wanted_kind();
        self.make_room(wanted, out);
        let ready = self.settings.runtimes.first().map(|runtime| Kind { runtime: *runtime, memory_mib: 0 });
        let Some(kind) = wanted.or(ready) else {
            return;
        };
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if matches!(slot.state, SlotState::Empty { not_before } if not_before <= now) {
                slot.generation += 1;
                slot.state = SlotState::Starting { kind };
                out.push(Effect::Spawn { slot: SlotId(index), generation: slot.generation, kind });
            }
        }
    }

    /// The kind of runner that the next attempt needs and no slot has, starting or idle.
    fn wanted_kind(&self) -> Option<Kind> {
        if self.suspicion.as_ref().is_some_and(|suspicion| suspicion.must_probe) {
            return None;
        }
        let wanted = self.next_kind()?;
        let is_coming = self.slots.iter().any(|slot| match &slot.state {
            SlotState::Starting { kind } | SlotState::Idle { kind, .. } => *kind == wanted,
            SlotState::Empty { .. }
            | SlotState::Busy { .. }
            | SlotState::Ending { .. }
            | SlotState::Retiring => false,
        });
        (!is_coming).then_some(wanted)
    }

    /// Retires one idle runner of another kind, unless an empty or emptying slot will do.
    fn make_room(&mut self, wanted: Option<Kind>, out: &mut Vec<Effect>) {
        let has_room =
            self.slots.iter().any(|slot| matches!(slot.state, SlotState::Empty { .. } | SlotState::Retiring));
        if wanted.is_none() || has_room {
            return;
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if matches!(slot.state, SlotState::Idle { .. }) {
                slot.state = SlotState::Retiring;
                out.push(Effect::Retire { slot: SlotId(index), generation: slot.generation });
                return;
            }
        }
    }

    /// Ends what has run too long, and kills what did not heed TERM.
    pub(super) fn on_time_passed(&mut self, now: Time, out: &mut Vec<Effect>) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if slot.deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            match &mut slot.state {
                SlotState::Busy { .. } => self.end_run(now, SlotId(index), Why::Timeout, out),
                SlotState::Ending { kill_at, .. } => {
                    *kill_at = None;
                    out.push(Effect::Signal {
                        slot: SlotId(index),
                        generation: slot.generation,
                        signal: Signal::Kill,
                    });
                }
                SlotState::Empty { .. }
                | SlotState::Starting { .. }
                | SlotState::Idle { .. }
                | SlotState::Retiring => {}
            }
        }
    }

    /// Tells a busy slot's runner to end.
    pub(super) fn end_run(&mut self, now: Time, slot_id: SlotId, why: Why, out: &mut Vec<Effect>) {
        let slot = &mut self.slots[slot_id.0];
        let state = std::mem::take(&mut slot.state);
        let SlotState::Busy { run, .. } = state else {
            slot.state = state;
            return;
        };
        slot.state = SlotState::Ending { run, why, kill_at: Some(now + self.settings.term_grace) };
        out.push(Effect::Signal { slot: slot_id, generation: slot.generation, signal: Signal::Term });
    }

    /// Keeps an outcome and tells the manager, if there is one.
    pub(super) fn report(&mut self, outcome: Outcome, out: &mut Vec<Effect>) {
        if self.is_linked {
            out.push(Effect::Tell(argon_proto::Message::Outcome(outcome.clone())));
        }
        self.unsettled_bytes += outcome.weight();
        self.unsettled.push_back(outcome);
    }

    /// A report that names this worker and the attempt.
    pub(super) fn report_on(&self, task: &Task, message: String) -> Report {
        Report {
            worker: Some(self.settings.name.clone()),
            host: Some(self.settings.host.clone()),
            attempt: Some(task.head.attempt.0),
            attempts: Some((u32::from(task.head.retries) + 1).max(task.head.attempt.0)),
            ..Report::of(message)
        }
    }

    /// Ends an attempt whose runtime this worker does not have.
    pub(super) fn refuse_runtime(&mut self, task: &Task, runtime: Runtime, out: &mut Vec<Effect>) {
        let mine: Vec<_> = self.settings.runtimes.iter().map(|runtime| runtime.name()).collect();
        let message = format!(
            "worker {} has no {} runtime (it has: {}); install the interpreter there and restart the worker",
            self.settings.name,
            runtime.name(),
            mine.join(", "),
        );
        let report = self.report_on(task, message);
        let attempt = attempt_of(task);
        let outcome = Outcome::reported(attempt.task, attempt.attempt, Status::Died, 0, &report);
        self.report(outcome, out);
    }
}

pub(super) fn kind_of(task: &Task) -> Kind {
    Kind { runtime: task.head.runtime, memory_mib: task.head.memory_mib }
}
