//! Runs come to their limits and to their reports.

use argon_proto::conversation::worker::FromWorker;
use argon_proto::{Outcome, Report, RunnerId, Status, Task};

use super::effect::{Effect, Signal};
use super::runner::{KillReason, RunnerState};
use super::{Pool, attempt_of};
use crate::time::Time;

impl Pool {
    /// Ends what has run too long, and kills what did not end after TERM.
    pub(super) fn on_time_passed(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.end_waits(now);
        self.restart_templates(now, out);
        if !self.runners.is_due(now) {
            return;
        }
        for id in self.runners.busy_ids() {
            let runner = &mut self.runners[id];
            if runner.deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            match &mut runner.state {
                RunnerState::Busy(run) if run.until.is_some_and(|until| until <= now) => {
                    self.end_run(now, id, KillReason::Timeout, out);
                }
                RunnerState::Busy(_) => drop(self.retract(id, out)),
                RunnerState::Ending { kill_at, .. } => {
                    *kill_at = None;
                    out.push(Effect::Signal { runner: id, signal: Signal::Kill });
                }
                RunnerState::Starting | RunnerState::Idle | RunnerState::Retiring => {}
            }
        }
        self.runners.settle_deadlines();
    }

    /// Ends a busy runner.
    pub(super) fn end_run(&mut self, now: Time, id: RunnerId, why: KillReason, out: &mut Vec<Effect>) {
        let runner = &mut self.runners[id];
        if let RunnerState::Busy(run) = &mut runner.state {
            run.is_stopped |= why == KillReason::Stopped;
        }
        if !runner.prefetched.is_empty() {
            // Whether it is still at this run is known when it has been asked for the ones behind it.
            runner.end_asked = Some(why);
            self.retract(id, out);
            return;
        }
        let kill_at = Some(now + self.settings.term_grace);
        if matches!(runner.state, RunnerState::Busy(_))
            && let RunnerState::Busy(run) = std::mem::replace(&mut runner.state, RunnerState::Retiring)
        {
            runner.state = RunnerState::Ending { run, why, kill_at };
            out.push(Effect::Signal { runner: id, signal: Signal::Term });
            self.runners.watch(id);
        }
    }

    /// Keeps an outcome and tells the manager, if there is one.
    pub(super) fn report(&mut self, outcome: Outcome, out: &mut Vec<Effect>) {
        if self.is_linked {
            out.push(Effect::Tell(FromWorker::Outcome(outcome.clone())));
        }
        self.unsettled.push(outcome);
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
