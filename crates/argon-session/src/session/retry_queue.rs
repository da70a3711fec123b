//! The pauses of tasks that the manager rejected: they grow, and differ so that not all come back at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
const DOUBLINGS: u32 = 5;

/// Numbers of tasks by the time at which they are offered again.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    by_time: BTreeSet<(Instant, u64)>,
}

impl RetryQueue {
    /// Holds a task back that was offered so many times.
    pub(super) fn hold(&mut self, now: Instant, number: u64, offers: u32) {
        let whole = FIRST * 2_u32.pow(offers.saturating_sub(1).min(DOUBLINGS));
        // Half of the pause is spread over the tasks; their numbers are as good as chance for that.
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let pause = whole / 2 + whole.mul_f64(spread as f64 / 131_072.0);
        self.by_time.insert((now + pause, number));
    }

    /// Takes out those whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<u64> {
        let later = self.by_time.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.by_time, later);
        due.into_iter().map(|(_, number)| number).collect()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }
}
