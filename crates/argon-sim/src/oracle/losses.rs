//! Losses of managers, workers and clients, and what workers bring back.

use argon_core::scheduler::ConnId;
use argon_proto::{AttemptId, Flags, TaskId};

use super::{GRACE, Oracle};

impl Oracle {
    /// A worker registers with what it holds; `is_recovering` if the manager has just started and has not seen it before.
    pub(crate) fn held(&mut self, link: ConnId, attempts: &[AttemptId], is_recovering: bool) {
        if self.looks_away {
            return;
        }
        for attempt in attempts {
            let fate = self.fate(attempt.task);
            let run_elsewhere = fate.was_run && fate.holders.iter().any(|(other, _)| *other != link);
            let was_lost = fate.losses > fate.crashes || fate.lives_run > 1;
            let was_judged = fate.judged.contains(&attempt.attempt);
            // A rogue may come back with an attempt that it was given and gave back, and give it back once more.
            let was_with_rogue = !fate.with_rogues.is_empty();
            fate.holders.retain(|held| *held != (link, attempt.attempt));
            fate.holders.push((link, attempt.attempt));
            fate.waits_since = None;
            let is_excused = was_lost || was_judged || was_with_rogue || !fate.read.is_empty();
            if is_recovering && run_elsewhere && !is_excused {
                self.fail(format!(
                    "{attempt:?} came back in time after a restart, but its task had been started again"
                ));
            }
        }
    }

    /// The manager orders a worker to stop attempts, or read that they are gone.
    pub(crate) fn released(&mut self, link: ConnId, attempts: &[AttemptId], by_stop: bool) {
        if self.looks_away {
            return;
        }
        for attempt in attempts {
            let fate = self.fate(attempt.task);
            fate.holders.retain(|held| *held != (link, attempt.attempt));
            fate.losses += u32::from(by_stop);
            if by_stop {
                fate.waits_since = None;
                fate.finished = None;
            }
        }
    }

    /// A worker's connection is no more.
    pub(crate) fn link_lost(&mut self, now: u64, link: ConnId, attempts: &[AttemptId]) {
        if self.looks_away {
            // A manager that has no seat may start elsewhere what the worker had.
            return attempts.iter().for_each(|attempt| self.fate(attempt.task).losses += 1);
        }
        for attempt in attempts {
            let number = self.number_of(attempt.task);
            let fate = self.fate(attempt.task);
            let before = fate.holders.len();
            fate.holders.retain(|(other, _)| *other != link);
            fate.losses += u32::from(fate.holders.len() < before);
            fate.lost_at = Some(now);
            fate.lost = Some(attempt.attempt);
            // What a worker lists and the manager has not decided about when it goes leaves the task waiting as before.
            let waits_until = if fate.was_run { 0 } else { fate.recovers_until };
            let is_detached = self.flags[number].contains(Flags::DETACHED);
            if !is_detached {
                self.may_run_from(waits_until.max(now + GRACE), attempt.task);
            }
            self.sessions_below_lost(attempt.task);
        }
    }

    /// A manager that loses an attempt ends the sessions of the clients inside it. If the attempt goes on after all, they
    /// offer their tasks again.
    fn sessions_below_lost(&mut self, above: TaskId) {
        for number in self.below.get(&above).cloned().unwrap_or_default() {
            self.session_lost(std::iter::once(number as u64));
            if let Some(id) = self.fates[number].id {
                self.sessions_below_lost(id);
            }
        }
    }

    /// Number of times that the present manager may have dropped a task before its end.
    pub(crate) fn drops(&self, id: TaskId) -> u32 {
        self.fate_of(id).map_or(0, |fate| fate.crashes)
    }

    /// The manager is gone, and what it knew.
    pub(crate) fn manager_lost(&mut self) {
        if self.looks_away {
            return;
        }
        for fate in &mut self.fates {
            if fate.is_submitted && fate.delivered == 0 {
                fate.losses += 1;
                fate.crashes += 1;
            }
            fate.holders.clear();
            fate.waits_since = None;
            fate.is_admitted = false;
            fate.is_sent = false;
            fate.lives_run += u32::from(fate.was_run);
            fate.was_run = false;
            fate.read.clear();
            fate.claimed.clear();
            fate.doomed.clear();
        }
    }

    /// A client was away for longer than its grace, and its attached tasks were dropped.
    pub(crate) fn session_lost(&mut self, tasks: impl Iterator<Item = u64>) {
        if self.looks_away {
            return;
        }
        for number in tasks {
            let fate = &mut self.fates[number as usize];
            if fate.is_submitted && fate.delivered == 0 {
                fate.losses += 1;
                fate.crashes += 1;
                fate.is_sent = false;
                fate.is_admitted = false;
                fate.waits_since = None;
                fate.finished = None;
            }
        }
    }
}
