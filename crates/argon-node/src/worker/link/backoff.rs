//! How long to wait between two tries: at once first, then longer and longer, never in step with others.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Counts tries that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause before the next try.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.longest_pause();
        self.failures = self.failures.saturating_add(1);
        // Between half of it and all of it.
        pause.mul_f64(0.5 + 0.5 * chance())
    }

    fn longest_pause(self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            count => FIRST.saturating_mul(1 << (count - 1).min(10)).min(LONGEST),
        }
    }
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    let mut byte = [0];
    match getrandom::fill(&mut byte) {
        Ok(()) => f64::from(byte[0]) / 255.0,
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_at_once_and_the_pause_is_bounded() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(), Duration::ZERO);
        for longest in [50, 100, 200, 400, 800, 1600, 2000, 2000] {
            let longest = Duration::from_millis(longest);
            let pause = backoff.next();
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?} of {longest:?}");
        }
        assert!(Backoff { failures: u32::MAX }.next() <= LONGEST);
    }
}
