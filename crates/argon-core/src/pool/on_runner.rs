//! What becomes of runners, and of the tasks in them.

use std::collections::VecDeque;
use std::time::Duration;

use argon_proto::{Message, Outcome, Report, Status, Task};

use super::effect::Effect;
use super::input::Exit;
use super::slot::{Kind, Run, SlotId, SlotState, Why};
use super::start::kind_of;
use super::{Pool, Suspicion, attempt_of};
use crate::time::Time;

/// Wait before a runner is started again where one failed to start; doubles with each failure.
const RESPAWN: Duration = Duration::from_millis(50);
/// Longest such wait.
const RESPAWN_MAX: Duration = Duration::from_secs(5);

/// Starts in a row that a runner with a memory limit may fail before the limit is to blame.
const LIMITED_STARTS: u32 = 3;

impl Pool {
    pub(super) fn on_runner_ready(&mut self, slot: SlotId, generation: u64) {
        let slot = &mut self.slots[slot.0];
        if slot.generation != generation {
            return;
        }
        if let SlotState::Starting { kind } = slot.state {
            slot.failures = 0;
            slot.state = SlotState::Idle { kind, served: 0 };
            self.suspicion.take_if(|suspicion| suspicion.kind == kind);
            if let Some(suspicion) = &mut self.suspicion
                && kind.memory_mib == 0
            {
                suspicion.must_probe = false;
            }
        }
    }

    pub(super) fn on_runner_finished(
        &mut self,
        slot_id: SlotId,
        generation: u64,
        outcome: Outcome,
        out: &mut Vec<Effect>,
    ) {
        let slot = &mut self.slots[slot_id.0];
        if slot.generation != generation {
            return;
        }
        // In any other state the outcome came too late: the runner is being ended for its task's sake.
        let SlotState::Busy { kind, served, run } = &slot.state else {
            return;
        };
        let attempt = attempt_of(&run.task);
        if attempt.task != outcome.head.id || attempt.attempt != outcome.head.attempt {
            return;
        }
        let (kind, served) = (*kind, served + 1);
        let max_requests = self.settings.max_requests;
        if max_requests > 0 && served >= max_requests {
            slot.state = SlotState::Retiring;
            out.push(Effect::Retire { slot: slot_id, generation });
        } else {
            slot.state = SlotState::Idle { kind, served };
        }
        self.report(outcome, out);
    }

    pub(super) fn on_runner_gone(
        &mut self,
        now: Time,
        slot_id: SlotId,
        generation: u64,
        exit: Exit,
        out: &mut Vec<Effect>,
    ) {
        let slot = &mut self.slots[slot_id.0];
        if slot.generation != generation {
            return;
        }
        match std::mem::take(&mut slot.state) {
            SlotState::Busy { run, .. } => self.report_death(now, &run, Status::Died, exit, out),
            SlotState::Ending { run, why, .. } => match why {
                Why::Timeout => self.report_death(now, &run, Status::Timeout, exit, out),
                Why::Stopped => {
                    self.known.remove(&attempt_of(&run.task));
                    if self.is_linked {
                        out.push(Effect::Tell(Message::Returned(vec![attempt_of(&run.task)])));
                    }
                }
            },
            SlotState::Starting { kind } if kind.memory_mib > 0 => {
                slot.state = SlotState::Empty { not_before: now + RESPAWN };
                self.on_limited_start_failed(now, kind, &exit, out);
            }
            SlotState::Starting { .. } => {
                slot.postpone(now);
                self.give_back_if_helpless(out);
            }
            SlotState::Empty { not_before } => slot.state = SlotState::Empty { not_before },
            SlotState::Idle { .. } | SlotState::Retiring => {}
        }
    }

    pub(super) fn on_spawn_failed(
        &mut self,
        now: Time,
        slot_id: SlotId,
        generation: u64,
        _why: &str,
        out: &mut Vec<Effect>,
    ) {
        let slot = &mut self.slots[slot_id.0];
        if slot.generation != generation {
            return;
        }
        slot.postpone(now);
        self.give_back_if_helpless(out);
    }

    /// If it happens again and again while others come up, the interpreter itself needs more memory than these tasks may
    /// have: they would wait for ever, here and elsewhere.
    fn on_limited_start_failed(&mut self, now: Time, kind: Kind, exit: &Exit, out: &mut Vec<Effect>) {
        let before = self.suspicion.take().filter(|suspicion| suspicion.kind == kind);
        let failures = before.map_or(0, |suspicion| suspicion.failures) + 1;
        if failures < LIMITED_STARTS {
            self.suspicion = Some(Suspicion { kind, failures, must_probe: true });
            return;
        }
        let mut ended = Vec::new();
        for lane in &mut self.waiting {
            let (cannot, can) = lane.drain(..).partition(|task| kind_of(task) == kind);
            *lane = can;
            ended.extend::<VecDeque<Task>>(cannot);
        }
        for task in ended {
            let message = format!(
                "no {} process comes up within the task's limit of {} MiB memory; give it more",
                kind.runtime.name(),
                kind.memory_mib
            );
            let run = Run { task, since: now, until: None };
            self.report_end(now, &run, Status::Died, message, exit.clone(), out);
        }
    }

    /// What waits here may start elsewhere meanwhile; if nobody else is there, it comes back.
    fn give_back_if_helpless(&mut self, out: &mut Vec<Effect>) {
        if self.is_helpless() && self.is_linked && self.waiting_len() > 0 {
            self.on_recall_received(u32::MAX, out);
        }
    }

    fn report_death(&mut self, now: Time, run: &Run, status: Status, exit: Exit, out: &mut Vec<Effect>) {
        let message = match status {
            Status::Timeout => format!(
                "the task exceeded its time limit of {} s and was killed",
                run.until.map_or(0.0, |until| until.since(run.since).as_secs_f64())
            ),
            Status::Ok
            | Status::Error
            | Status::Died
            | Status::Cancelled
            | Status::Lost
            | Status::Rejected => death_message(&run.task, &exit),
        };
        self.report_end(now, run, status, message, exit, out);
    }

    fn report_end(
        &mut self,
        now: Time,
        run: &Run,
        status: Status,
        message: String,
        exit: Exit,
        out: &mut Vec<Effect>,
    ) {
        let ran = now.since(run.since);
        let report = Report {
            pid: exit.pid,
            signal: exit.signal,
            exit: exit.code,
            output: (!exit.output.is_empty()).then_some(exit.output),
            peak_kib: exit.peak_kib,
            limit_kib: (run.task.head.memory_mib > 0).then(|| u64::from(run.task.head.memory_mib) * 1024),
            run_ms: u64::try_from(ran.as_millis()).ok(),
            ..self.report_on(&run.task, message)
        };
        let attempt = attempt_of(&run.task);
        let run_us = u64::try_from(ran.as_micros()).unwrap_or(u64::MAX);
        let outcome = Outcome::reported(attempt.task, attempt.attempt, status, run_us, &report);
        self.report(outcome, out);
    }
}

impl super::slot::Slot {
    /// Lets the slot be empty for a while after a runner did not come up.
    fn postpone(&mut self, now: Time) {
        let wait = RESPAWN.saturating_mul(1 << self.failures.min(10)).min(RESPAWN_MAX);
        self.failures += 1;
        self.state = SlotState::Empty { not_before: now + wait };
    }
}

fn death_message(task: &Task, exit: &Exit) -> String {
    if let Some(complaint) = &exit.complaint {
        return format!("the runner was ended because {complaint}");
    }
    // Whatever its peak: the allocation that was too much is not in it.
    let memory = match (task.head.memory_mib, exit.peak_kib) {
        (0, _) => String::new(),
        (limit, Some(peak)) => {
            format!("; it had used {} of its limit of {limit} MiB memory", peak / 1024)
        }
        (limit, None) => format!("; its limit was {limit} MiB memory"),
    };
    match (exit.signal, exit.code) {
        (Some(9), _) => format!(
            "the runner was killed by signal 9 (SIGKILL) during the task; the kernel does that when memory runs out{memory}"
        ),
        (Some(signal), _) => format!("the runner was killed by signal {signal} during the task{memory}"),
        (None, Some(code)) => format!("the runner exited with status {code} during the task{memory}"),
        (None, None) => format!("the runner ended during the task{memory}"),
    }
}
