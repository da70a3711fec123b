//! Pauses between tries: doubled up to a bound, and spread so that many who failed together do not come back together.

use std::time::Duration;

/// Pauses before a manager is dialled again.
pub const REDIAL: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(2) };
/// Pauses before a task that the manager rejected is offered again.
pub const OFFER_AGAIN: Backoff =
    Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(2) };

/// Rule for the pauses of one kind of try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// Longest pause after the first failure.
    pub first: Duration,
    /// Longest pause of all.
    pub longest: Duration,
}

impl Backoff {
    /// Pause after `failures` failures in a row: between half of the bound and the bound, as `chance` decides. The caller
    /// brings the chance, from a random number or from an id that differs from one caller to the next. No failure, no pause.
    #[must_use]
    pub fn pause(self, failures: u32, chance: u16) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let bound = self.first.saturating_mul(1 << doublings.min(16)).min(self.longest);
        bound / 2 + (bound / 2).mul_f64(f64::from(chance) / f64::from(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_and_chance_spreads_half_of_each() {
        assert_eq!(REDIAL.pause(0, u16::MAX), Duration::ZERO);
        for (failures, bound_ms) in (1..).zip([50, 100, 200, 400, 800, 1600, 2000, 2000]) {
            let bound = Duration::from_millis(bound_ms);
            assert_eq!(REDIAL.pause(failures, 0), bound / 2, "failure {failures}");
            assert_eq!(REDIAL.pause(failures, u16::MAX), bound, "failure {failures}");
        }
        assert_eq!(REDIAL.pause(u32::MAX, u16::MAX), REDIAL.longest);
    }
}
