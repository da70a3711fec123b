//! Tasks that can run: since when each waits at the manager, and at its worker.

use argon_proto::{AttemptId, Flags, Status, TaskId};

use super::Oracle;
use crate::handlers::watch::REST;

impl Oracle {
    /// A task comes in at the present manager, and can run from `at` on.
    pub(crate) fn admitted(&mut self, at: u64, id: TaskId) {
        if !self.looks_away {
            let fate = self.fate(id);
            (fate.is_admitted, fate.recovers_until) = (true, at);
            self.may_run_from(at, id);
        }
    }

    /// True if the present manager has taken the task in.
    pub(crate) fn is_admitted(&self, id: TaskId) -> bool {
        self.fate_of(id).is_some_and(|fate| fate.is_admitted)
    }

    /// Nothing keeps the task from a free slot any more, from `at` on; unless an attempt of it goes on, it is over, or the
    /// present manager does not know it.
    pub(crate) fn may_run_from(&mut self, at: u64, id: TaskId) {
        if self.looks_away {
            return;
        }
        let is_detached = self.flags[self.number_of(id)].contains(Flags::DETACHED);
        let fate = self.fate(id);
        // Whether a rogue has ended a detached task does not show before it is collected.
        let may_be_over = is_detached && fate.was_with_rogue;
        let is_over =
            may_be_over || fate.is_rogues || fate.is_sent || fate.is_cancelled || fate.delivered > 0;
        if !is_over && fate.is_admitted && fate.holders.is_empty() {
            fate.waits_since.get_or_insert(at);
        }
    }

    /// A client offers a task, which may have been sent to another manager before.
    pub(crate) fn offered(&mut self, id: TaskId, may_have_run_elsewhere: bool) {
        if !self.looks_away {
            self.fate(id).may_have_run_elsewhere = may_have_run_elsewhere;
        }
    }

    /// The end of a detached task shows only when it is collected: what may have run is not looked at.
    pub(crate) fn accepted(&mut self, at: u64, id: TaskId) {
        let is_once = self.flags[self.number_of(id)].contains(Flags::NEVER_TWICE);
        let fate = self.fate(id);
        // One that another manager was sent, too, may have ended at once: nobody can tell whether it ran.
        let is_in_doubt = is_once && (fate.losses > 0 || fate.may_have_run_elsewhere);
        if fate.starts == 0 && !fate.was_run && fate.lives_run == 0 && !is_in_doubt {
            self.admitted(at, id);
        }
    }

    /// The manager has read how an attempt ended. It may begin again after `pause`, and is over otherwise.
    pub(crate) fn may_be_retried(&mut self, at: u64, attempt: AttemptId, status: Status) {
        let number = self.number_of(attempt.task);
        let flag = match status {
            Status::Error => Flags::RETRY_ERROR,
            Status::Died => Flags::RETRY_DIED,
            Status::Timeout => Flags::RETRY_TIMEOUT,
            Status::Ok | Status::Cancelled | Status::Lost | Status::Rejected => return,
        };
        let flags = self.flags[number];
        if flags.contains(flag) && !flags.contains(Flags::NEVER_TWICE) && !flags.contains(Flags::DETACHED) {
            self.may_run_from(at, attempt.task);
        }
    }

    /// The present manager has refused the task, and does not know it.
    pub(crate) fn was_rejected(&mut self, id: TaskId) {
        if !self.looks_away {
            let fate = self.fate(id);
            (fate.waits_since, fate.is_admitted) = (None, false);
        }
    }

    /// Numbers of the tasks that could have been started at `at`, and have not.
    pub(crate) fn waiting_since(&self, at: u64) -> impl Iterator<Item = usize> + '_ {
        let waits = move |(_, fate): &(usize, &super::Fate)| {
            fate.waits_since.is_some_and(|since| since < at) && !fate.is_cancelled && !fate.is_sent
        };
        self.fates.iter().enumerate().filter(waits).map(|(number, _)| number)
    }

    /// The task could not have been started before now.
    pub(crate) fn was_held_back(&mut self, now: u64, number: usize) {
        self.fates[number].waits_since = Some(now);
    }

    /// A worker's pool is given an attempt, with everything that it needs.
    pub(crate) fn given_to_pool(&mut self, now: u64, worker: usize, attempt: AttemptId) {
        self.fate(attempt.task).given = Some((worker, now));
    }

    /// The attempt has begun, or the worker is not to begin it.
    pub(crate) fn not_with_pool(&mut self, id: TaskId) {
        self.fate(id).given = None;
    }

    /// A worker's process starts, with nothing in its pool.
    pub(crate) fn pool_is_new(&mut self, worker: usize) {
        for fate in &mut self.fates {
            fate.given.take_if(|(at_worker, _)| *at_worker == worker);
        }
    }

    /// Numbers of the tasks that a worker was given at `at` or before, and that it has neither begun nor given back.
    pub(crate) fn given_since(&self, worker: usize, at: u64) -> impl Iterator<Item = usize> + '_ {
        let waits = move |(_, fate): &(usize, &super::Fate)| {
            fate.given.is_some_and(|(at_worker, since)| at_worker == worker && since < at)
        };
        self.fates.iter().enumerate().filter(waits).map(|(number, _)| number)
    }

    /// A worker has given a task of this memory limit back: such tasks rest there for a moment.
    pub(crate) fn rests(&mut self, now: u64, memory_mib: u32) {
        self.rested_at.insert(memory_mib, now);
    }

    /// True if tasks of this memory limit rest somewhere, or did since `at`.
    pub(crate) fn has_rested_since(&self, memory_mib: u32, at: u64) -> bool {
        self.rested_at.get(&memory_mib).is_some_and(|rested| rested + REST >= at)
    }

    /// A task of this memory limit begins at a worker.
    pub(crate) fn has_begun(&mut self, now: u64, worker: usize, memory_mib: u32) {
        self.begun_at.insert((worker, memory_mib), now);
    }

    /// True if a task of this memory limit has begun at a worker since `at`.
    pub(crate) fn has_begun_since(&self, worker: usize, memory_mib: u32, at: u64) -> bool {
        self.begun_at.get(&(worker, memory_mib)).is_some_and(|begun| *begun >= at)
    }
}
