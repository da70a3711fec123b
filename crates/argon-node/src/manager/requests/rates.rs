//! Rates of submitted and ended tasks over the last seconds, from totals that are noted once a second.

use std::collections::VecDeque;

use argon_core::Time;
use argon_core::scheduler::Totals;
use argon_proto::conversation::admin;

/// Microseconds between two notes at least,
const NOTE_EVERY: u64 = 1_000_000;
/// and how far back a rate looks.
const SPAN: u64 = 10_000_000;

/// Totals of the last seconds.
#[derive(Debug, Default)]
pub(in crate::manager) struct Rates {
    notes: VecDeque<Note>,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    at: Time,
    submitted: u64,
    ended: u64,
}

impl Note {
    fn of(at: Time, totals: &Totals) -> Self {
        let Totals { submitted, ok, error, died, timeout, cancelled, lost, .. } = *totals;
        Self { at, submitted, ended: ok + error + died + timeout + cancelled + lost }
    }
}

impl Rates {
    /// Looks at the totals, if it is time for that.
    pub(in crate::manager) fn note(&mut self, now: Time, totals: &Totals) {
        let is_time = self.notes.back().is_none_or(|last| now.0 - last.at.0 >= NOTE_EVERY);
        if !is_time {
            return;
        }
        self.notes.push_back(Note::of(now, totals));
        // One that is older than the span is kept: what happened since is what the rate is about.
        while self.notes.get(1).is_some_and(|second| now.0 - second.at.0 >= SPAN) {
            self.notes.pop_front();
        }
    }

    /// Tasks a second that came in and that ended, and the seconds that this is the mean of.
    pub(in crate::manager) fn at(&self, now: Time, totals: &Totals) -> admin::Rates {
        let current = Note::of(now, totals);
        let earlier = self.notes.iter().rev().find(|note| now.0 - note.at.0 >= SPAN).or(self.notes.front());
        let Some(earlier) = earlier else { return admin::Rates::default() };
        let micros = (now.0 - earlier.at.0).max(NOTE_EVERY);
        let per_second = |count: u64| (count as f64 * 1e7 / micros as f64).round() / 10.0;
        admin::Rates {
            submitted: per_second(current.submitted - earlier.submitted),
            ended: per_second(current.ended - earlier.ended),
            seconds: (micros as f64 / 1e5).round() / 10.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(submitted: u64, ok: u64) -> Totals {
        Totals { submitted, ok, ..Totals::default() }
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut rates = Rates::default();
        for second in 0..60 {
            rates.note(Time(second * 1_000_000), &totals(second * 100, second * 50));
            rates.note(Time(second * 1_000_000 + 1), &totals(second * 100, second * 50));
        }
        let rate = rates.at(Time(60_000_000), &totals(6_000, 3_000));
        assert_eq!((rate.submitted, rate.ended), (100.0, 50.0));
        assert!(rates.notes.len() <= 12);
    }

    #[test]
    fn after_a_silence_the_rate_is_low_and_at_the_beginning_there_is_none() {
        let mut rates = Rates::default();
        assert_eq!(rates.at(Time(0), &totals(0, 0)).ended, 0.0);
        rates.note(Time(0), &totals(0, 0));
        rates.note(Time(1_000_000), &totals(100, 100));
        let rate = rates.at(Time(101_000_000), &totals(100, 100));
        assert_eq!(rate.ended, 0.0);
    }
}
