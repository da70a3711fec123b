//! Tasks of rogues, and attempts that they were given: what they say of others is not believed.

use argon_proto::{Attempt, AttemptId, TaskId};

use super::{Fate, Oracle};
use crate::plan::TaskPlan;

impl Oracle {
    /// True if some client, honest or not, has given a task this id.
    pub(crate) fn is_known(&self, id: TaskId) -> bool {
        self.numbers.contains_key(&id)
    }

    /// A rogue gives a task its id.
    pub(crate) fn add_rogues(&mut self, plan: &TaskPlan, id: TaskId) {
        self.fates.push(Fate { is_rogues: true, ..Fate::default() });
        self.flags.push(plan.flags);
        self.retries.push(plan.retries);
        self.is_limited.push(false);
        self.named(id, plan.number);
    }

    pub(super) fn fate_of(&self, id: TaskId) -> Option<&Fate> {
        self.numbers.get(&id).map(|number| &self.fates[*number])
    }

    /// True for a task of an honest client.
    pub(crate) fn is_honest(&self, id: TaskId) -> bool {
        self.fate_of(id).is_some_and(|fate| !fate.is_rogues)
    }

    /// True for an attempt that a rogue may speak of: it is of its own task, or it was given it.
    pub(crate) fn is_rogues(&self, attempt: AttemptId) -> bool {
        self.fate_of(attempt.task)
            .is_some_and(|fate| fate.is_rogues || fate.with_rogues.contains(&attempt.attempt))
    }

    /// True if a rogue was given an attempt of the task at some time.
    pub(crate) fn was_with_rogue(&self, id: TaskId) -> bool {
        self.fate_of(id).is_none_or(|fate| fate.is_rogues || fate.was_with_rogue)
    }

    /// A rogue is given an attempt to run.
    pub(crate) fn given_to_rogue(&mut self, attempt: AttemptId) {
        if self.looks_away {
            return;
        }
        let fate = self.fate(attempt.task);
        fate.was_with_rogue = true;
        fate.waits_since = None;
        fate.with_rogues.push(attempt.attempt);
    }

    /// The attempt that a worker holds now, as far as the manager can know.
    pub(crate) fn present_attempt(&self, id: TaskId) -> Option<Attempt> {
        self.fate_of(id)?.holders.last().map(|(_, attempt)| *attempt)
    }
}
