//! Times of attempts in each phase, as distributions with fixed buckets. A note is a few additions and no loop.

/// Buckets with an upper bound; the bound of the first is 62.5 µs, and each is twice the one before: the last is 2.3 hours.
const BUCKETS: usize = 28;

/// Distributions of the times of tasks and their attempts.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    /// Time in the queue.
    pub queued: Distribution,
    /// Time that an attempt ran, as its worker has measured it.
    pub running: Distribution,
    /// Time from a task's submission to its outcome; not of tasks cancelled while they waited, or from before a restart.
    pub total: Distribution,
}

/// A distribution of times.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    /// Number of times in each bucket; the last has those above all bounds.
    counts: [u64; BUCKETS + 1],
    sum_us: u64,
}

impl Distribution {
    /// Notes a time, microseconds.
    #[inline]
    pub(in crate::scheduler) fn note(&mut self, us: u64) {
        let above = (us.min(u64::MAX / 2) * 2).saturating_sub(1) / 125;
        let bucket = (u64::BITS - above.leading_zeros()) as usize;
        self.counts[bucket.min(BUCKETS)] += 1;
        self.sum_us = self.sum_us.wrapping_add(us);
    }

    /// The upper bound of each bucket, microseconds; a time at the bound is inside.
    pub fn bounds_us() -> impl Iterator<Item = f64> {
        (0..BUCKETS as i32).map(|bucket| 62.5 * 2_f64.powi(bucket))
    }

    /// Number of times in each bucket that has a bound.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.counts[..BUCKETS].iter().copied()
    }

    /// Number of times above all bounds.
    #[must_use]
    pub fn above(&self) -> u64 {
        self.counts[BUCKETS]
    }

    /// Sum of all times, microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket_of(us: u64) -> usize {
        let mut times = Distribution::default();
        times.note(us);
        times.counts.iter().position(|count| *count == 1).expect("noted once")
    }

    #[test]
    fn a_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let bounds: Vec<f64> = Distribution::bounds_us().collect();
        for us in (0..10_000).chain((0..60).map(|bit| 1 << bit)).chain([u64::MAX]) {
            let expected = bounds.iter().position(|bound| us as f64 <= *bound).unwrap_or(BUCKETS);
            assert_eq!(bucket_of(us), expected, "{us} µs");
        }
    }

    #[test]
    fn times_add_up() {
        let mut times = Distribution::default();
        [1, 2, 1_000_000, u64::from(u32::MAX) * 10].into_iter().for_each(|us| times.note(us));
        assert_eq!(times.counts().sum::<u64>() + times.above(), 4);
        assert_eq!((times.above(), times.sum_us()), (1, 1_000_003 + u64::from(u32::MAX) * 10));
    }
}
