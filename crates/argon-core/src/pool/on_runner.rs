//! What becomes of runners, and of the tasks in them.

use std::collections::VecDeque;
use std::time::Duration;

use argon_proto::{
    AttemptId, Codec, Flags, Outcome, OutcomeHead, Payload, Report, RunnerId, Runtime, Status, Task,
};

use super::effect::Effect;
use super::input::{Blame, Exit};
use super::kind::{RunnerKind, STATIC_ADVICE};
use super::slot::{KillReason, SlotState, TaskRun};
use super::{Pool, Suspicion, WaitingAttempt, attempt_of};
use crate::time::Time;

/// Wait before a runner is started again where one failed to start; doubles with each failure.
const RESPAWN: Duration = Duration::from_millis(50);
/// Longest such wait.
const RESPAWN_MAX: Duration = Duration::from_secs(5);

/// Starts in a row that a runner with a memory limit may fail before the limit is to blame.
const LIMITED_STARTS: u32 = 3;

impl Pool {
    pub(super) fn on_runner_ready(&mut self, runner: RunnerId, takes_prefetch: bool) {
        let Some(slot_id) = self.slot_with(runner) else {
            return;
        };
        let slot = &mut self.slots[slot_id.0];
        if let SlotState::Starting { kind } = slot.state {
            slot.failures = 0;
            slot.takes_prefetch = takes_prefetch;
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
        now: Time,
        runner: RunnerId,
        outcome: Outcome,
        out: &mut Vec<Effect>,
    ) {
        let Some(slot_id) = self.slot_with(runner) else {
            return;
        };
        let slot = &mut self.slots[slot_id.0];
        // In any other state the outcome came too late: the runner is being ended for its task's sake.
        let SlotState::Busy { kind, served, run } = &slot.state else {
            return;
        };
        let attempt = attempt_of(&run.task);
        if attempt.task != outcome.head.id || attempt.attempt != outcome.head.attempt {
            return;
        }
        let (kind, served, is_stopped) = (*kind, served + 1, run.is_stopped);
        let max_requests = self.settings.max_requests;
        slot.observe(outcome.head.run_us);
        if slot.has_ended && slot.prefetched.is_empty() {
            slot.state = SlotState::Retiring;
        } else if max_requests > 0 && served >= max_requests {
            slot.state = SlotState::Retiring;
            out.push(Effect::Retire { runner });
        } else {
            slot.state = SlotState::Idle { kind, served };
            self.advance(now, slot_id, out);
        }
        if is_stopped {
            self.return_attempts(vec![attempt], out);
        } else {
            self.report(outcome, out);
        }
    }

    pub(super) fn on_runner_ended(&mut self, runner: RunnerId) {
        if let Some(slot) = self.slot_with(runner) {
            let slot = &mut self.slots[slot.0];
            slot.has_ended = true;
            if matches!(slot.state, SlotState::Idle { .. }) {
                slot.state = SlotState::Retiring;
            }
        }
    }

    pub(super) fn on_runner_gone(&mut self, now: Time, runner: RunnerId, exit: Exit, out: &mut Vec<Effect>) {
        let Some(slot_id) = self.slot_with(runner) else {
            return;
        };
        let slot = &mut self.slots[slot_id.0];
        let state = std::mem::take(&mut slot.state);
        let (never_reported, last) = (slot.forget_runner(), exit.clone());
        if state.is_command() {
            slot.state = SlotState::Idle { kind: RunnerKind::COMMAND, served: 0 };
        }
        match state {
            SlotState::Busy { kind: RunnerKind::COMMAND, run, .. } => {
                self.on_command_ended(now, &run, exit, out)
            }
            SlotState::Busy { run, .. } => self.report_death(now, &run, Status::Died, exit, out),
            SlotState::Ending { run, why, .. } => match why {
                KillReason::Timeout => self.report_death(now, &run, Status::Timeout, exit, out),
                KillReason::Stopped => self.return_attempts(vec![attempt_of(&run.task)], out),
            },
            SlotState::Starting { kind } if kind.is_tasks_own() => {
                self.on_own_program_failed(now, kind, &exit, out)
            }
            SlotState::Starting { kind } if kind.memory_mib > 0 => {
                slot.state = SlotState::Empty { not_before: Some(now + RESPAWN) };
                self.on_limited_start_failed(now, kind, &exit, out);
            }
            SlotState::Starting { .. } => {
                slot.postpone(now);
                self.give_back_if_helpless(out);
            }
            SlotState::Empty { not_before } => slot.state = SlotState::Empty { not_before },
            SlotState::Idle { .. } | SlotState::Retiring => {}
        }
        for run in never_reported {
            self.report_death(now, &run, Status::Died, last.clone(), out);
        }
    }

    pub(super) fn on_spawn_failed(
        &mut self,
        now: Time,
        runner: RunnerId,
        why: String,
        blame: Blame,
        out: &mut Vec<Effect>,
    ) {
        let Some(slot_id) = self.slot_with(runner) else {
            return;
        };
        let slot = &mut self.slots[slot_id.0];
        if let (Blame::Program, SlotState::Starting { kind }) = (blame, &slot.state)
            && kind.is_tasks_own()
        {
            let (kind, exit) = (*kind, Exit { complaint: Some(why), ..Exit::default() });
            slot.state = SlotState::default();
            return self.on_own_program_failed(now, kind, &exit, out);
        }
        let state = std::mem::take(&mut slot.state);
        slot.postpone(now);
        if let SlotState::Busy { run, .. } = state {
            // A command that could not be started is as good as one that never came.
            self.return_attempts(vec![attempt_of(&run.task)], out);
        }
        self.give_back_if_helpless(out);
    }

    /// If it happens again and again while others come up, the interpreter itself needs more memory than these tasks may
    /// have: they would wait for ever, here and elsewhere.
    fn on_limited_start_failed(&mut self, now: Time, kind: RunnerKind, exit: &Exit, out: &mut Vec<Effect>) {
        let before = self.suspicion.take().filter(|suspicion| suspicion.kind == kind);
        let failures = before.map_or(0, |suspicion| suspicion.failures) + 1;
        if failures < LIMITED_STARTS {
            // Without an interpreter that could be tried in between, the limit is all that can be to blame.
            let must_probe = self.ready_kind().is_some();
            self.suspicion = Some(Suspicion { kind, failures, must_probe });
            return;
        }
        let message = format!(
            "no {} process comes up within the task's limit of {} MiB memory; give it more",
            kind.runtime.name(),
            kind.memory_mib
        );
        self.end_waiting(now, kind, &message, exit, out);
    }

    /// The client's own executable does not start here. It will not start next time either, so every task that waits for
    /// it here ends, and nobody else suffers.
    fn on_own_program_failed(&mut self, now: Time, kind: RunnerKind, exit: &Exit, out: &mut Vec<Effect>) {
        let why = match (&exit.complaint, exit.signal, exit.code) {
            (Some(complaint), None, None) => complaint.clone(),
            (Some(complaint), _, _) => format!("{complaint}; {STATIC_ADVICE}"),
            (None, Some(signal), _) => {
                format!("it was killed by signal {signal} before it was ready; {STATIC_ADVICE}")
            }
            (None, None, Some(code)) => {
                format!("it exited with status {code} before it was ready; {STATIC_ADVICE}")
            }
            (None, None, None) => format!("it ended before it was ready; {STATIC_ADVICE}"),
        };
        let memory = match kind.memory_mib {
            0 => String::new(),
            limit => format!(" within its limit of {limit} MiB memory"),
        };
        let name = &self.settings.name;
        let message = format!("the task's executable does not start on worker {name}{memory}: {why}");
        self.end_waiting(now, kind, &message, exit, out);
    }

    /// Ends every waiting task of a kind that no runner comes up for.
    fn end_waiting(
        &mut self,
        now: Time,
        kind: RunnerKind,
        message: &str,
        exit: &Exit,
        out: &mut Vec<Effect>,
    ) {
        let mut ended = Vec::new();
        for lane in &mut self.waiting {
            let (cannot, can) = lane.drain(..).partition(|waiting| waiting.kind == kind);
            *lane = can;
            ended.extend::<VecDeque<WaitingAttempt>>(cannot);
        }
        for WaitingAttempt { task, .. } in ended {
            let run = TaskRun { task, since: now, until: None, is_stopped: false };
            self.report_end(now, &run, Status::Died, message.to_owned(), exit.clone(), out);
        }
    }

    /// A command's status is its task's outcome.
    fn on_command_ended(&mut self, now: Time, run: &TaskRun, exit: Exit, out: &mut Vec<Effect>) {
        let is_good = exit.complaint.is_none() && exit.code == Some(0);
        if !is_good {
            return self.report_death(now, run, Status::Died, exit, out);
        }
        let AttemptId { task: id, attempt } = attempt_of(&run.task);
        let is_captured = run.task.head.flags.contains(Flags::CAPTURE) && !exit.output.is_empty();
        // Whoever keeps a log of commands wants to know where each one ran.
        let worker = Some(self.settings.name.clone());
        let report = Report { worker, output: is_captured.then_some(exit.output), ..Report::default() };
        let outcome = Outcome {
            head: OutcomeHead {
                id,
                attempt,
                status: Status::Ok,
                codec: Codec::Own,
                run_us: micros(now, run),
                leaves: false,
            },
            report: report.to_json(),
            payload: Payload::default(),
        };
        self.report(outcome, out);
    }

    /// What waits here may start elsewhere meanwhile; if nobody else is there, it comes back.
    fn give_back_if_helpless(&mut self, out: &mut Vec<Effect>) {
        if self.is_helpless() && self.is_linked && self.waiting_len() > 0 {
            self.on_retract_requested(u32::MAX, out);
        }
    }

    fn report_death(&mut self, now: Time, run: &TaskRun, status: Status, exit: Exit, out: &mut Vec<Effect>) {
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
        run: &TaskRun,
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
        let outcome = Outcome::reported(attempt.task, attempt.attempt, status, micros(now, run), &report);
        self.report(outcome, out);
    }
}

impl super::slot::Slot {
    /// Lets the slot be empty for a while after a runner did not come up.
    fn postpone(&mut self, now: Time) {
        let wait = RESPAWN.saturating_mul(1 << self.failures.min(10)).min(RESPAWN_MAX);
        self.failures += 1;
        self.state = SlotState::Empty { not_before: Some(now + wait) };
    }
}

fn micros(now: Time, run: &TaskRun) -> u64 {
    u64::try_from(now.since(run.since).as_micros()).unwrap_or(u64::MAX)
}

fn death_message(task: &Task, exit: &Exit) -> String {
    let who = match task.head.runtime {
        Runtime::Exec => "command",
        Runtime::Perl | Runtime::Python | Runtime::Native => "runner",
    };
    match &exit.complaint {
        Some(complaint) if who == "command" => return complaint.clone(),
        Some(complaint) => return format!("the runner was ended because {complaint}"),
        None => {}
    }
    // Whatever its peak: the allocation that was too much is not in it.
    let memory = match (task.head.memory_mib, exit.peak_kib) {
        (0, _) => String::new(),
        (limit, Some(peak)) => {
            format!("; it had used {} of its limit of {limit} MiB memory", peak / 1024)
        }
        (limit, None) => format!("; its limit was {limit} MiB memory"),
    };
    let during = if who == "command" { "" } else { " during the task" };
    match (exit.signal, exit.code) {
        (Some(9), _) => format!(
            "the {who} was killed by signal 9 (SIGKILL){during}; the kernel does that when memory runs out{memory}"
        ),
        (Some(signal), _) => format!("the {who} was killed by signal {signal}{during}{memory}"),
        (None, Some(code)) => format!("the {who} exited with status {code}{during}{memory}"),
        (None, None) => format!("the {who} ended{during}{memory}"),
    }
}
