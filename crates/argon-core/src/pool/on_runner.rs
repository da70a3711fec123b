//! Handles events of runners, and decides about the tasks in them.

use std::collections::VecDeque;

use argon_proto::{
    AttemptId, Codec, Flags, Outcome, OutcomeHead, Payload, Report, RunnerId, Runtime, Status, Task,
};

use super::effect::Effect;
use super::input::{Blame, Exit};
use super::kind::{RunnerKind, STATIC_ADVICE};
use super::runner::{KillReason, RetractState, Runner, RunnerState, TaskRun};
use super::{Pool, WaitingAttempt, attempt_of};
use crate::time::Time;

/// Starts in a row that a runner with a memory limit may fail before the limit is to blame.
const LIMITED_STARTS: u32 = 3;

impl Pool {
    pub(super) fn on_runner_ready(&mut self, id: RunnerId, takes_prefetch: bool, out: &mut Vec<Effect>) {
        let Some(runner) = self.runners.get_mut(id).filter(|runner| runner.is_starting()) else {
            return;
        };
        runner.takes_prefetch = takes_prefetch;
        let (kind, is_forked) = (runner.kind, runner.is_forked);
        self.runners.rest(id);
        self.note_good_start(kind);
        if is_forked {
            self.on_fork_judged(kind, true, out);
        }
    }

    pub(super) fn on_runner_finished(
        &mut self,
        now: Time,
        id: RunnerId,
        mut outcome: Outcome,
        out: &mut Vec<Effect>,
    ) {
        let Some(runner) = self.runners.get_mut(id) else {
            return;
        };
        // In any other state the outcome came too late: the runner is being ended for its task's sake.
        let RunnerState::Busy(run) = &runner.state else {
            return;
        };
        let attempt = run.attempt();
        if attempt.task != outcome.head.id || attempt.attempt != outcome.head.attempt {
            return;
        }
        let is_stopped = run.is_stopped;
        runner.served += 1;
        runner.run_time.observe(outcome.head.run_us);
        let leaves = std::mem::take(&mut outcome.head.leaves);
        let max_requests = self.settings.max_requests;
        if leaves || runner.has_ended && runner.prefetched.is_empty() {
            // It claims nothing more.
            runner.retract = RetractState::NotAsked;
            runner.end_asked = None;
            self.retract(id, out);
            self.runners.retire(id);
        } else if max_requests > 0 && runner.served >= max_requests {
            self.retire(id, out);
        } else if !self.advance(now, id, out) {
            self.runners.rest(id);
        }
        if is_stopped {
            self.return_attempts(vec![attempt], out);
        } else {
            self.report(outcome, out);
        }
    }

    pub(super) fn on_runner_ended(&mut self, id: RunnerId) {
        if let Some(runner) = self.runners.get_mut(id) {
            runner.has_ended = true;
            if runner.is_idle() {
                self.runners.retire(id);
            }
        }
    }

    pub(super) fn on_runner_gone(&mut self, now: Time, id: RunnerId, exit: Exit, out: &mut Vec<Effect>) {
        let Some(mut runner) = self.runners.remove(id) else {
            return;
        };
        let kind = runner.kind;
        let (never_reported, last) = (runner.forget_process(), exit.clone());
        match runner.state {
            RunnerState::Busy(run) if kind == RunnerKind::COMMAND => {
                self.forget_health(kind);
                self.on_command_ended(now, &run, exit, out);
            }
            RunnerState::Busy(run) => self.report_death(now, &run, Status::Died, exit, out),
            RunnerState::Ending { run, why, .. } => match why {
                KillReason::Timeout => self.report_death(now, &run, Status::Timeout, exit, out),
                KillReason::Stopped => self.return_attempts(vec![run.attempt()], out),
                KillReason::TooManyWait => {
                    let message = self.too_many_wait();
                    self.report_end(now, &run, Status::Died, message, exit, out);
                }
            },
            RunnerState::Starting => self.on_start_failed(now, &runner, &exit, out),
            RunnerState::Retiring => {
                // It said that it claims nothing more.
                never_reported.into_iter().rev().for_each(|run| self.wait_again(now, run.task, out));
                return;
            }
            RunnerState::Idle => {}
        }
        for run in never_reported {
            self.report_death(now, &run, Status::Died, last.clone(), out);
        }
    }

    pub(super) fn on_spawn_failed(
        &mut self,
        now: Time,
        id: RunnerId,
        why: String,
        blame: Blame,
        out: &mut Vec<Effect>,
    ) {
        let Some(runner) = self.runners.remove(id) else {
            return;
        };
        let kind = runner.kind;
        if blame == Blame::Program && runner.is_starting() && kind.is_tasks_own() {
            let exit = Exit { complaint: Some(why), ..Exit::default() };
            return self.on_own_program_failed(now, kind, &exit, out);
        }
        if !runner.is_forked && self.on_environment_unusable(now, kind.program, &why, out) {
            return;
        }
        self.note_failed_start(now, kind, true);
        if let RunnerState::Busy(run) = runner.state {
            // A command that could not be started is as good as one that never came.
            self.return_attempts(vec![run.attempt()], out);
        }
        self.give_back_if_helpless(kind, out);
    }

    /// A runner ended before it was ready.
    fn on_start_failed(&mut self, now: Time, runner: &Runner, exit: &Exit, out: &mut Vec<Effect>) {
        let kind = runner.kind;
        if kind.is_tasks_own() {
            return self.on_own_program_failed(now, kind, exit, out);
        }
        if !runner.is_forked && kind.memory_mib == 0 {
            let why = format!("its interpreter ended before it was ready: {}", exit.output.trim());
            if self.on_environment_unusable(now, kind.program, &why, out) {
                return;
            }
        }
        if kind.memory_mib == 0 {
            if runner.is_forked {
                self.on_fork_judged(kind, false, out);
            }
            self.note_failed_start(now, kind, true);
            self.give_back_if_helpless(kind, out);
            // Those that waited for this one to come up know now that it is not their limit.
            for kind in self.give_up_probes(kind) {
                self.give_back_if_helpless(kind, out);
            }
            return;
        }
        // If it happens again and again while others come up, the interpreter itself needs more memory than these tasks may
        // have: they would wait for ever, here and elsewhere.
        if self.note_failed_start(now, kind, false) < LIMITED_STARTS {
            return;
        }
        // The next ones of the kind wait for its next start, and for no more than one.
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
        for WaitingAttempt { task, .. } in self.take_of_kind(kind) {
            let run = TaskRun::new(task, now);
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
        // A log of commands shows where each one ran.
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

    /// Gives back the tasks that wait for runners of this kind: they may start elsewhere. Without another worker, they return
    /// here.
    fn give_back_if_helpless(&mut self, kind: RunnerKind, out: &mut Vec<Effect>) {
        if self.is_linked && self.is_helpless(kind) {
            let given = self.take_of_kind(kind);
            self.return_attempts(given.iter().map(|waiting| attempt_of(&waiting.task)).collect(), out);
        }
    }

    fn take_of_kind(&mut self, kind: RunnerKind) -> Vec<WaitingAttempt> {
        let mut taken = Vec::new();
        for lane in &mut self.waiting {
            let (of_kind, others) = lane.drain(..).partition(|waiting| waiting.key.kind == kind);
            *lane = others;
            taken.extend::<VecDeque<WaitingAttempt>>(of_kind);
        }
        taken
    }

    fn too_many_wait(&self) -> String {
        format!(
            "the task was ended when it began to wait for tasks of its own: {} tasks do that on worker {} already, which is \
             its limit; start the worker with a higher --waiting-max, or let fewer tasks wait for others",
            self.settings.waiting_max, self.settings.name
        )
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
            cpu_ms: exit.cpu_us.map(|cpu_us| cpu_us / 1000),
            peak_by: exit.peak_kib.map(|_| counter(exit.peak_by_group)),
            cpu_by: exit.cpu_us.map(|_| counter(exit.cpu_by_group)),
            limit_kib: (run.task.head.memory_mib > 0).then(|| u64::from(run.task.head.memory_mib) * 1024),
            run_ms: u64::try_from(ran.as_millis()).ok(),
            ..self.report_on(&run.task, message)
        };
        let attempt = attempt_of(&run.task);
        let outcome = Outcome::reported(attempt.task, attempt.attempt, status, micros(now, run), &report);
        self.report(outcome, out);
    }
}

fn micros(now: Time, run: &TaskRun) -> u64 {
    u64::try_from(now.since(run.since).as_micros()).unwrap_or(u64::MAX)
}

/// Unit whose memory was counted, for reports.
fn counter(is_group: bool) -> String {
    if is_group { "cgroup" } else { "process" }.to_owned()
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
    if exit.out_of_memory {
        let limit = match task.head.memory_mib {
            0 => "of its control group or the machine is used up".to_owned(),
            limit => format!("limit of {limit} MiB for all of its processes is reached"),
        };
        let used = exit.peak_kib.map_or(String::new(), |peak| format!("; it had used {} MiB", peak / 1024));
        return format!("the {who} was killed by the kernel{during} because the memory {limit}{used}");
    }
    match (exit.signal, exit.code) {
        (Some(9), _) => format!(
            "the {who} was killed by signal 9 (SIGKILL){during}; the kernel does that when memory runs out{memory}"
        ),
        (Some(signal), _) => format!("the {who} was killed by signal {signal}{during}{memory}"),
        (None, Some(code)) => format!("the {who} exited with status {code}{during}{memory}"),
        (None, None) => format!("the {who} ended{during}{memory}"),
    }
}
