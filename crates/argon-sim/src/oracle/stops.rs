//! What the oracle knows when a manager stops an attempt: whether that harms, and which other attempts count.

use argon_proto::{Attempt, AttemptId, Flags, Status, TaskId};

use super::{GRACE, Oracle};

impl Oracle {
    /// The manager orders a worker to stop an attempt. Whether that ends something that somebody needs: not if it did so before.
    pub(crate) fn stop_is_harm(&mut self, attempt: AttemptId) -> bool {
        if self.looks_away {
            return false;
        }
        let fate = self.fate(attempt.task);
        let is_wanted = fate.delivered == 0
            && !fate.is_cancelled
            && !fate.is_sent
            && !fate.read.contains(&attempt.attempt);
        let is_doomed = fate.doomed.contains(&attempt.attempt);
        fate.doomed.push(attempt.attempt);
        is_wanted && !is_doomed
    }

    /// True if some worker of the present manager holds an attempt of the task, or may come back with one.
    pub(crate) fn is_held(&self, now: u64, id: TaskId) -> bool {
        let fate = &self.fates[self.number_of(id)];
        !fate.holders.is_empty() || fate.lost_at.is_some_and(|lost| now < lost + GRACE)
    }

    /// True if no later attempt of its task was ever sent to a worker.
    pub(crate) fn is_latest(&self, attempt: AttemptId) -> bool {
        self.fate_of(attempt.task).is_some_and(|fate| fate.latest <= attempt.attempt)
    }

    /// True if the present manager has read an outcome that ends the task, of another attempt than this one. A rogue that was
    /// given an attempt may report it as it likes, and otherwise to another manager than before.
    pub(crate) fn has_other_end(&self, attempt: AttemptId) -> bool {
        let number = self.number_of(attempt.task);
        let fate = &self.fates[number];
        let ends = |status: Status| match status {
            Status::Ok => true,
            Status::Error => !self.flags[number].contains(Flags::RETRY_ERROR),
            Status::Died | Status::Timeout | Status::Cancelled | Status::Lost | Status::Rejected => false,
        };
        let mut others = fate.read.iter().filter(|read| **read != attempt.attempt);
        others.any(|read| {
            fate.ended.iter().any(|(ended, status, _)| ended == read && ends(*status))
                || fate.claimed.iter().any(|(claimed, status)| claimed == read && ends(*status))
        })
    }

    /// True if a worker of the present manager holds the attempt, or the manager has read how it ended.
    pub(crate) fn is_here_or_over(&self, attempt: AttemptId) -> bool {
        let is_it = |held: &Attempt| *held == attempt.attempt;
        self.fate_of(attempt.task).is_some_and(|fate| {
            fate.read.iter().any(is_it) || fate.holders.iter().any(|(_, held)| is_it(held))
        })
    }
}
