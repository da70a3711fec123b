//! Attempts that wait for tasks of their own lend their slots meanwhile.

use argon_proto::AttemptId;
use argon_proto::conversation::worker::{FromWorker, Lent};

use super::Pool;
use super::effect::Effect;
use super::runner::{KillReason, Runner};
use crate::time::Time;

impl Pool {
    pub(super) fn on_attempt_waits(
        &mut self,
        now: Time,
        attempt: AttemptId,
        waits: bool,
        out: &mut Vec<Effect>,
    ) {
        let lent = self.runners.lent_len();
        let Some(id) = self.runner_of(attempt) else {
            return;
        };
        let runner = &mut self.runners[id];
        if let Some(run) = runner.run().filter(|run| run.attempt() == attempt) {
            if run.waits == waits {
                return;
            }
            if waits && lent >= self.settings.waiting_max {
                return self.end_run(now, id, KillReason::TooManyWait, out);
            }
            self.runners.set_waits(id, waits);
        } else if let Some(run) = runner.prefetched.iter_mut().find(|run| run.attempt() == attempt) {
            // It runs already: the outcome of the one before is on the way.
            if std::mem::replace(&mut run.waits, waits) == waits {
                return;
            }
        }
        if self.is_linked {
            out.push(Effect::Tell(FromWorker::Lent(Lent { attempt, waits })));
        }
        // What stands behind it would wait as long, and may be what it waits for.
        self.retract(id, out);
    }

    /// Reports to a new manager which attempts lend their slots.
    pub(super) fn tell_lent(&self, out: &mut Vec<Effect>) {
        let lent = self.runners.busy().filter_map(Runner::lent_run);
        out.extend(
            lent.map(|run| Effect::Tell(FromWorker::Lent(Lent { attempt: run.attempt(), waits: true }))),
        );
    }
}
