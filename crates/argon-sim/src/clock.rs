//! The clocks of processes: each has its own beginning and its own rate, none is right.

use argon_core::Time;

const MILLION: i128 = 1_000_000;

/// A process' monotonic clock as a function of true time, which only the simulator knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    born: u64,
    offset: u64,
    /// Error of its rate, in millionths; positive if it is fast.
    drift: i64,
}

impl Clock {
    pub(crate) fn new(born: u64, offset: u64, drift: i64) -> Self {
        Self { born, offset, drift }
    }

    /// Returns the time that the process reads at a true time.
    pub(crate) fn read(&self, at: u64) -> Time {
        let elapsed = i128::from(at.saturating_sub(self.born));
        let shown = elapsed * (MILLION + i128::from(self.drift)) / MILLION;
        Time(self.offset + u64::try_from(shown).unwrap_or(u64::MAX - self.offset))
    }

    /// The first true time at which the process reads at least `shown`.
    pub(crate) fn when(&self, shown: Time) -> u64 {
        let wanted = i128::from(shown.0.saturating_sub(self.offset));
        let rate = MILLION + i128::from(self.drift);
        let elapsed = (wanted * MILLION + rate - 1) / rate;
        self.born.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_when_the_clock_says_so_and_not_before() {
        for drift in [-10_000, -7, 0, 13, 10_000] {
            let clock = Clock::new(1_000, 77, drift);
            for shown in [77, 78, 1_000_003, 99_999_999] {
                let at = clock.when(Time(shown));
                assert!(clock.read(at) >= Time(shown), "drift {drift}, {shown}");
                assert!(at == 1_000 || clock.read(at - 1) < Time(shown), "drift {drift}, {shown}");
            }
        }
    }
}
