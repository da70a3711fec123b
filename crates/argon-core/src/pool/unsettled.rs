//! Outcomes that the manager has not settled. It settles most in their order; those of a client that reads slowly may stay
//! for long, so that the ones behind them are found by their attempts.

use std::collections::VecDeque;

use argon_proto::{AttemptId, Outcome};
use rustc_hash::FxHashMap;

/// Settled places that may stand between others besides as many as there are outcomes.
const GAPS_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    /// The oldest first; `None` was settled before one that is older.
    outcomes: VecDeque<Option<Outcome>>,
    /// Number of the first place; numbers grow with each outcome.
    first: u64,
    places: FxHashMap<AttemptId, u64>,
    bytes: u64,
}

impl Unsettled {
    pub(super) fn push(&mut self, outcome: Outcome) {
        self.bytes += outcome.weight();
        self.places.insert(attempt_of(&outcome), self.first + self.outcomes.len() as u64);
        self.outcomes.push_back(Some(outcome));
    }

    /// Forgets an outcome; `false` if there is none of this attempt.
    pub(super) fn remove(&mut self, attempt: AttemptId) -> bool {
        let Some(place) = self.places.remove(&attempt) else {
            return false;
        };
        let outcome = usize::try_from(place - self.first).ok().and_then(|at| self.outcomes[at].take());
        self.bytes -= outcome.map_or(0, |outcome| outcome.weight());
        while self.outcomes.pop_front_if(|outcome| outcome.is_none()).is_some() {
            self.first += 1;
        }
        if self.outcomes.len() > 2 * self.places.len() + GAPS_MAX {
            self.close_gaps();
        }
        true
    }

    /// The outcome of this attempt.
    pub(super) fn get(&self, attempt: AttemptId) -> Option<&Outcome> {
        let place = self.places.get(&attempt)?;
        self.outcomes.get(usize::try_from(place - self.first).ok()?)?.as_ref()
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().flatten()
    }

    /// The attempts whose outcomes they are, the oldest first.
    pub(super) fn attempts(&self) -> impl Iterator<Item = AttemptId> + '_ {
        self.iter().map(attempt_of)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Memory of their payloads and reports.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn close_gaps(&mut self) {
        self.outcomes.retain(Option::is_some);
        let numbered = (self.first..).zip(self.outcomes.iter().flatten());
        self.places = numbered.map(|(place, outcome)| (attempt_of(outcome), place)).collect();
    }

    pub(super) fn assert_invariants(&self) {
        let bytes: u64 = self.iter().map(Outcome::weight).sum();
        assert_eq!(bytes, self.bytes, "unsettled bytes are miscounted");
        assert_eq!(self.places.len(), self.iter().count(), "an unsettled outcome is not found");
        for (place, outcome) in (self.first..).zip(&self.outcomes) {
            let listed = outcome.as_ref().map(|outcome| self.places.get(&attempt_of(outcome)));
            assert!(listed.is_none_or(|listed| listed == Some(&place)), "an unsettled outcome is misplaced");
        }
    }
}

fn attempt_of(outcome: &Outcome) -> AttemptId {
    AttemptId { task: outcome.head.id, attempt: outcome.head.attempt }
}

#[cfg(test)]
mod tests {
    use argon_proto::{Attempt, Report, SessionId, Status, TaskId};

    use super::*;

    fn outcome(sequence: u64) -> Outcome {
        let id = TaskId { session: SessionId([1; 16]), sequence };
        Outcome::reported(id, Attempt(1), Status::Error, 1, &Report::of("why"))
    }

    #[test]
    fn outcomes_behind_one_that_stays_are_found_and_leave_no_gaps_behind() {
        let mut unsettled = Unsettled::default();
        for sequence in 0..10_000 {
            unsettled.push(outcome(sequence));
            unsettled.assert_invariants();
            // The first one stays; the others are settled a few behind the last.
            if sequence >= 5 {
                assert!(unsettled.remove(attempt_of(&outcome(sequence - 4))));
                assert!(!unsettled.remove(attempt_of(&outcome(sequence - 4))), "twice");
            }
            assert!(unsettled.outcomes.len() <= 2 * unsettled.len() + GAPS_MAX);
            if unsettled.len() > 6 {
                panic!("{} stay", unsettled.len());
            }
        }
        let left: Vec<u64> = unsettled.iter().map(|outcome| outcome.head.id.sequence).collect();
        assert_eq!(left, [0, 9_996, 9_997, 9_998, 9_999]);
        left.into_iter().for_each(|sequence| assert!(unsettled.remove(attempt_of(&outcome(sequence)))));
        assert!(unsettled.is_empty() && unsettled.bytes() == 0 && unsettled.outcomes.is_empty());
    }
}
