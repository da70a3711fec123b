//! Processor time of an attempt, from readings of what its process has used since it started.
//!
//! A reading for each task would cost a system call. Readings are made now and then, and when a process has ended. What an
//! attempt may have used before the first reading in its time is bounded by that time.

use std::time::Duration;

use argon_proto::AttemptId;

/// See the module. All times are microseconds.
#[derive(Debug, Default)]
pub(crate) struct CpuMeter {
    last_us: u64,
    /// The attempt of the last reading, and what the process had used when it began.
    begun: Option<(AttemptId, u64)>,
}

impl CpuMeter {
    /// The process has used `total_us`; its attempt has run for that long.
    pub(crate) fn on_reading(&mut self, total_us: u64, current: Option<(AttemptId, Duration)>) {
        self.begun = current.map(|(attempt, ran)| (attempt, self.start_of(total_us, attempt, ran)));
        self.last_us = total_us;
    }

    /// Processor time of an attempt that has run for `ran`, if its process has used `total_us` by now.
    pub(crate) fn used_by(&self, total_us: u64, attempt: AttemptId, ran: Duration) -> u64 {
        total_us.saturating_sub(self.start_of(total_us, attempt, ran))
    }

    fn start_of(&self, total_us: u64, attempt: AttemptId, ran: Duration) -> u64 {
        match self.begun {
            Some((begun, start)) if begun == attempt => start,
            Some(_) | None => {
                let processors = std::thread::available_parallelism().map_or(1, usize::from) as u64;
                let most = u64::try_from(ran.as_micros()).unwrap_or(u64::MAX).saturating_mul(processors);
                self.last_us.max(total_us.saturating_sub(most))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::tests::attempt;

    const LONG: Duration = Duration::from_secs(1000);

    #[test]
    fn an_attempt_is_charged_for_its_own_time_only() {
        let mut meter = CpuMeter::default();
        assert_eq!(meter.used_by(500, attempt(1), LONG), 500);
        meter.on_reading(700, None);
        assert_eq!(meter.used_by(900, attempt(2), LONG), 200);
        meter.on_reading(1000, Some((attempt(2), LONG)));
        meter.on_reading(5000, Some((attempt(2), LONG)));
        assert_eq!(meter.used_by(6000, attempt(2), LONG), 5300);
        assert_eq!(meter.used_by(6000, attempt(3), LONG), 1000);
    }

    #[test]
    fn no_attempt_uses_more_than_all_processors_have_in_its_time() {
        let meter = CpuMeter::default();
        let used = meter.used_by(10_000_000, attempt(1), Duration::from_millis(1));
        assert!((1000..10_000_000).contains(&used), "{used}");
    }
}
