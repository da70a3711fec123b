//! Rules about where a RUN goes: not to a worker that leaves, and not away from a worker that may still come back.

use argon_core::Time;
use argon_core::scheduler::ConnId;
use argon_proto::{AttemptId, WorkerId};

use crate::manager::{Absent, ManagerProcess};
use crate::world::World;

impl World {
    /// Notes what a worker may come back with whose connection broke: the attempts that the manager counts for their tasks.
    pub(crate) fn note_absent(
        &self,
        now: Time,
        process: &mut ManagerProcess,
        worker: usize,
        (id, holds): (WorkerId, Vec<AttemptId>),
    ) {
        let counts = |attempt: &AttemptId| {
            let state = process.scheduler.task_state(attempt.task);
            state.is_some_and(|state| state == format!("with worker worker-{worker}"))
        };
        let holds = holds.into_iter().filter(counts);
        let holds = holds.map(|attempt| (attempt, self.oracle.drops(attempt.task))).collect();
        let grace = self.plan.shape.limits.worker_grace;
        process.absent.retain(|_, absent| now.since(absent.since) < grace);
        process.absent.insert(id, Absent { since: now, holds });
    }

    /// Judges where a RUN goes.
    pub(crate) fn judge_receiver(&mut self, process: &ManagerProcess, link: ConnId, attempt: AttemptId) {
        if self.oracle.looks_away {
            return;
        }
        if process.peers.get(&link).is_some_and(|peer| peer.is_draining) {
            self.oracle.fail(format!("{attempt:?} is sent to run at {link:?}, whose worker leaves"));
        }
        // A worker whose connection broke has its grace to come back, by the manager's own clock. A task that was dropped
        // meanwhile, with its session, may be offered anew. Rogues submit one id many times.
        let id = attempt.task;
        let now = process.clock.read(self.now);
        let grace = self.plan.shape.limits.worker_grace;
        let is_kept = |(held, drops): &&(AttemptId, u32)| held.task == id && self.oracle.drops(id) == *drops;
        let may_come_back = process.absent.values().filter(|absent| now.since(absent.since) < grace);
        let held = may_come_back.flat_map(|absent| &absent.holds).find(is_kept).map(|(held, _)| *held);
        if let Some(held) = held.filter(|_| self.oracle.is_honest(id) && !self.oracle.is_uprooted(id)) {
            self.oracle.fail(format!(
                "{attempt:?} is sent to run though the worker that has {held:?} may still come back in its grace"
            ));
        }
    }
}
