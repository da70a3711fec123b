//! Runs come to their limits and to their reports.

use argon_proto::conversation::worker::FromWorker;
use argon_proto::{Outcome, Report, Status, Task};

use super::effect::{Effect, Signal};
use super::slot::{KillReason, SlotId, SlotState};
use super::{Pool, attempt_of};
use crate::time::Time;

impl Pool {
    /// Ends what has run too long, and kills what did not heed TERM.
    pub(super) fn on_time_passed(&mut self, now: Time, out: &mut Vec<Effect>) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if slot.deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            match &mut slot.state {
                SlotState::Busy { run, .. } if run.until.is_some_and(|until| until <= now) => {
                    self.end_run(now, SlotId(index), KillReason::Timeout, out);
                }
                SlotState::Busy { .. } => drop(self.retract(SlotId(index), out)),
                SlotState::Ending { kill_at, .. } => {
                    *kill_at = None;
                    out.push(Effect::Signal { runner: slot.runner, signal: Signal::Kill });
                }
                SlotState::Empty { not_before } => *not_before = None,
                SlotState::Starting { .. } | SlotState::Idle { .. } | SlotState::Retiring => {}
            }
        }
    }

    /// Tells a busy slot's runner to end.
    pub(super) fn end_run(&mut self, now: Time, slot_id: SlotId, why: KillReason, out: &mut Vec<Effect>) {
        let slot = &mut self.slots[slot_id.0];
        if let SlotState::Busy { run, .. } = &mut slot.state {
            run.is_stopped |= why == KillReason::Stopped;
        }
        if !slot.prefetched.is_empty() {
            // Whether it is still at this run is known when it has been asked for the ones behind it.
            slot.end_asked = Some(why);
            self.retract(slot_id, out);
            return;
        }
        let state = std::mem::take(&mut slot.state);
        let SlotState::Busy { run, .. } = state else {
            slot.state = state;
            return;
        };
        slot.state = SlotState::Ending { run, why, kill_at: Some(now + self.settings.term_grace) };
        out.push(Effect::Signal { runner: slot.runner, signal: Signal::Term });
    }

    /// Keeps an outcome and tells the manager, if there is one.
    pub(super) fn report(&mut self, outcome: Outcome, out: &mut Vec<Effect>) {
        if self.is_linked {
            out.push(Effect::Tell(FromWorker::Outcome(outcome.clone())));
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

    /// Ends an attempt that this worker cannot run.
    pub(super) fn refuse(&mut self, task: &Task, why: String, out: &mut Vec<Effect>) {
        let report = self.report_on(task, why);
        let attempt = attempt_of(task);
        let outcome = Outcome::reported(attempt.task, attempt.attempt, Status::Died, 0, &report);
        self.report(outcome, out);
    }
}
