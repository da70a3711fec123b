//! Times of many events, and the figures that people ask of them.

use std::time::Duration;

/// Durations in the order of their length.
#[derive(Debug)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// The duration below which this share of all lie, microseconds.
    pub(crate) fn micros_at(&self, share: f64) -> f64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = (share * self.0.len().saturating_sub(1) as f64) as usize;
        self.0.get(place).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e6)
    }
}

/// Rate of `count` things in a time, a second.
#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
pub(crate) fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
