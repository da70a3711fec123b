//! Handles messages of the manager.

use argon_proto::conversation::worker::{Draining, FromWorker, Run};
use argon_proto::{AttemptId, RunnerId};

use super::effect::Effect;
use super::kind::RunnerKey;
use super::runner::{KillReason, RunnerState};
use super::{Pool, WaitingAttempt, attempt_of};
use crate::time::Time;

impl Pool {
    pub(super) fn on_manager_found(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.is_linked = true;
        self.last_heard = now;
        for outcome in self.unsettled.iter() {
            out.push(Effect::Tell(FromWorker::Outcome(outcome.clone())));
        }
        self.tell_lent(out);
        if self.is_draining {
            self.tell_draining("the worker is leaving", out);
        }
    }

    pub(super) fn on_task_received(&mut self, now: Time, run: Run, out: &mut Vec<Effect>) {
        let Run { token, task } = run;
        let attempt = attempt_of(&task);
        if self.known.contains_key(&attempt) {
            // A manager that has forgotten the task may give the number again: it waits for an answer like any other.
            let kept = self.unsettled.get(attempt).cloned();
            out.extend(kept.map(|outcome| Effect::Tell(FromWorker::Outcome(outcome))));
            return;
        }
        let key = self.key_of(now, &task, out);
        // A command needs no runner, so it does not matter that none comes up.
        let is_helpless = |key: RunnerKey| key.kind.has_runner() && self.is_helpless(key.kind);
        if self.is_draining || self.is_machine_busy || key.as_ref().is_ok_and(|key| is_helpless(*key)) {
            return out.push(Effect::Tell(FromWorker::Returned(vec![attempt])));
        }
        self.known.insert(attempt, token);
        match key {
            Ok(key) => {
                let lane = &self.waiting[task.head.priority.index()];
                // Behind one of the same key, or out of sight, it changes nothing.
                if lane.len() < self.looked_at() && lane.back().is_none_or(|last| last.key != key) {
                    self.runners.note_waiting(key);
                }
                self.waiting[task.head.priority.index()].push_back(WaitingAttempt { key, task, since: now });
            }
            Err(why) => self.refuse(&task, why, out),
        }
    }

    pub(super) fn on_stop_received(&mut self, now: Time, attempts: &[AttemptId], out: &mut Vec<Effect>) {
        let mut gone = Vec::new();
        for attempt in attempts {
            if self.stop_prefetched(*attempt, out) {
                continue;
            }
            if let Some(id) = self.runner_of(*attempt) {
                self.stop_run(now, id, out);
                continue;
            }
            if self.known.remove(attempt).is_some() {
                self.forget_waiting(*attempt);
                self.unsettled.remove(*attempt);
            }
            gone.push(*attempt);
        }
        self.cancel_unwanted_environments(out);
        if !gone.is_empty() && self.is_linked {
            out.push(Effect::Tell(FromWorker::Returned(gone)));
        }
    }

    fn stop_run(&mut self, now: Time, id: RunnerId, out: &mut Vec<Effect>) {
        if let RunnerState::Ending { why, .. } = &mut self.runners[id].state {
            *why = KillReason::Stopped;
        }
        self.end_run(now, id, KillReason::Stopped, out);
    }

    pub(super) fn on_manager_lost(&mut self, out: &mut Vec<Effect>) {
        self.is_linked = false;
        self.retract_all(out);
    }

    pub(super) fn on_retract_requested(&mut self, count: u32, out: &mut Vec<Effect>) {
        if self.waiting_len() < count as usize && self.retract_all(out) {
            self.retract_owed = Some(count);
        } else {
            self.return_waiting(count, out);
        }
    }

    /// Gives back at most `count` attempts that have not started.
    pub(super) fn return_waiting(&mut self, count: u32, out: &mut Vec<Effect>) {
        let mut given = Vec::new();
        // The least urgent and the last to come are the last to start here.
        for lane in self.waiting.iter_mut().rev() {
            while given.len() < count as usize
                && let Some(waiting) = lane.pop_back()
            {
                given.push(attempt_of(&waiting.task));
            }
        }
        given.reverse();
        given.iter().for_each(|attempt| {
            self.known.remove(attempt);
        });
        self.cancel_unwanted_environments(out);
        if self.is_linked {
            out.push(Effect::Tell(FromWorker::Returned(given)));
        }
    }

    pub(super) fn on_outcomes_settled(&mut self, attempts: &[AttemptId]) {
        for attempt in attempts {
            // A running attempt is not settled, whatever the manager says.
            if self.unsettled.remove(*attempt) {
                self.known.remove(attempt);
            }
        }
    }

    pub(super) fn on_machine_busy(&mut self, is_busy: bool, out: &mut Vec<Effect>) {
        self.is_machine_busy = is_busy;
        if is_busy {
            self.retract_all(out);
        }
    }

    /// While the machine is busy, attempts that have not started are worth more elsewhere: those that were here, that
    /// runners give back, and that dead runners left.
    pub(super) fn give_back_while_busy(&mut self, out: &mut Vec<Effect>) {
        if self.is_machine_busy && self.is_linked && self.waiting_len() > 0 {
            self.return_waiting(u32::MAX, out);
        }
    }

    pub(super) fn on_drain_requested(&mut self, reason: &str, out: &mut Vec<Effect>) {
        if self.is_draining {
            return;
        }
        self.is_draining = true;
        let given: Vec<AttemptId> = self
            .waiting
            .iter_mut()
            .flat_map(|lane| lane.drain(..))
            .map(|waiting| attempt_of(&waiting.task))
            .collect();
        self.known.retain(|attempt, _| !given.contains(attempt));
        self.cancel_unwanted_environments(out);
        if !self.is_linked {
            // Nobody to give them to: the manager takes back what the next REGISTER does not list.
            return;
        }
        self.tell_draining(reason, out);
        if !given.is_empty() {
            out.push(Effect::Tell(FromWorker::Returned(given)));
        }
    }

    fn tell_draining(&self, reason: &str, out: &mut Vec<Effect>) {
        out.push(Effect::Tell(FromWorker::Draining(Draining { reason: reason.into() })));
    }

    fn forget_waiting(&mut self, attempt: AttemptId) {
        for lane in &mut self.waiting {
            lane.retain(|waiting| attempt_of(&waiting.task) != attempt);
        }
    }
}
