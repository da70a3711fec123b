//! Attempts that wait for tasks of their own lend their slots meanwhile.

use argon_proto::AttemptId;
use argon_proto::conversation::worker::{FromWorker, Lent};

use super::Pool;
use super::effect::Effect;
use super::runner::{KillReason, Runner, RunnerState, TaskRun};
use crate::time::Time;

impl Pool {
    pub(super) fn on_attempt_waits(
        &mut self,
        now: Time,
        attempt: AttemptId,
        waits: bool,
        out: &mut Vec<Effect>,
    ) {
        let lent = self.lent_len();
        let Some(id) = self.runner_of(attempt) else {
            return;
        };
        let runner = &mut self.runners[id];
        // One that was prefetched may run already, while the outcome of the one before is on the way.
        let is_running = runner.run().is_some_and(|run| run.attempt() == attempt);
        let Some(run) = runner.find_run(attempt).filter(|run| run.waits != waits) else {
            return;
        };
        if waits && is_running && lent >= self.settings.waiting_max {
            return self.end_run(now, id, KillReason::TooManyWait, out);
        }
        run.waits = waits;
        if self.is_linked {
            out.push(Effect::Tell(FromWorker::Lent(Lent { attempt, waits })));
        }
        // What stands behind it would wait as long, and may be what it waits for.
        self.retract(id, out);
    }

    /// Tells a manager that was just found which attempts lend their slots.
    pub(super) fn tell_lent(&self, out: &mut Vec<Effect>) {
        let lent = self.runners.busy().filter_map(Runner::lent_run);
        out.extend(
            lent.map(|run| Effect::Tell(FromWorker::Lent(Lent { attempt: run.attempt(), waits: true }))),
        );
    }

    /// Attempts that wait for tasks of their own.
    pub(super) fn lent_len(&self) -> usize {
        self.runners.busy().filter(|runner| runner.lent_run().is_some()).count()
    }
}

impl Runner {
    fn find_run(&mut self, attempt: AttemptId) -> Option<&mut TaskRun> {
        let running = match &mut self.state {
            RunnerState::Busy(run) => Some(&mut **run),
            RunnerState::Starting
            | RunnerState::Idle
            | RunnerState::Ending { .. }
            | RunnerState::Retiring => None,
        };
        running.into_iter().chain(&mut self.prefetched).find(|run| run.attempt() == attempt)
    }
}
