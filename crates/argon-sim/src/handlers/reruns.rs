//! No task that finished runs again while the worker lives where it did.

use argon_core::Time;
use argon_proto::{AttemptId, Flags, TaskId};

use crate::manager::ManagerProcess;
use crate::world::World;

impl World {
    /// Judges a RUN of a task that has come to its end before. Its worker keeps the outcome: it has brought it, or may still
    /// do so.
    pub(crate) fn judge_rerun(&mut self, process: &ManagerProcess, attempt: AttemptId) {
        let id = attempt.task;
        let Some(finished) = self.oracle.finished(id) else {
            return;
        };
        if self.manager.stood_still || self.oracle.was_with_rogue(id) || self.is_unknown_to_stale(process, id)
        {
            return;
        }
        let place = &self.workers[finished.worker];
        let Some(lives) = place.process.as_ref().filter(|_| place.incarnation == finished.incarnation) else {
            return;
        };
        // One that leaves is not kept waiting for clients: the manager holds its outcomes.
        if lives.was_asked_to_leave {
            return;
        }
        let is_here = process.peers.values().any(|peer| peer.worker == Some(lives.id));
        let now = process.clock.read(self.now);
        let came_at = self.came_at(process, id);
        let limits = &self.plan.shape.limits;
        // One that has come is given up as always when it is away for longer than its grace, by the fastest clock.
        let grace = limits.worker_grace.as_micros() as u64 * 98 / 100;
        let was_lost = process.known.contains(&finished.worker)
            && self.oracle.lost_at(id).is_some_and(|at| at + grace <= self.now);
        let may_come =
            !self.oracle.was_run(id) && !was_lost && came_at.is_none_or(|at| now.since(at) < limits.recovery);
        // What nobody has claimed for long is given up.
        let brought_at = process.brought.get(&AttemptId { task: id, attempt: finished.attempt });
        let was_given_up = brought_at
            .zip(came_at)
            .is_some_and(|(brought_at, came_at)| came_at.since(*brought_at) >= limits.orphan_timeout);
        // Two managers that do not hear each other may both give out the next attempt.
        let was_given_elsewhere = self.oracle.run_by_another(id) == Some(finished.attempt);
        let is_uprooted = self.oracle.is_uprooted(id);
        if (is_here || may_come && !was_given_elsewhere) && !is_uprooted && !was_given_up {
            self.oracle.fail(format!(
                "{attempt:?} is sent to run though attempt {} of it has finished at worker {}, which lives",
                finished.attempt.0, finished.worker
            ));
        }
    }

    /// True if a manager has come back to its seat and cannot know what became of a task meanwhile: its client is not here.
    pub(crate) fn is_unknown_to_stale(&self, process: &ManagerProcess, id: TaskId) -> bool {
        process.was_away && !process.arrived.contains_key(&self.task_plan(id).client)
    }

    /// When a task came to the present manager: with its client, or from the store.
    pub(crate) fn came_at(&self, process: &ManagerProcess, id: TaskId) -> Option<Time> {
        let plan = self.task_plan(id);
        match plan.flags.contains(Flags::DETACHED) {
            true => Some(process.started),
            false => process.arrived.get(&plan.client).copied(),
        }
    }
}
