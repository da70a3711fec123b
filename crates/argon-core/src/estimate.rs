//! Run-time estimator shared by scheduler and pool. It limits outliers; each caller keeps a moving average of its
//! own.

/// A run counts as at most this multiple of the expected time: a short task that had to wait for a processor says nothing
/// about the next one.
const OUTLIER_FACTOR: u64 = 4;
/// Least value of the expected time, microseconds.
const EXPECTED_US_MIN: u64 = 25;

/// Part of a run of `run_us` microseconds that counts where `expected_us` were expected.
pub(crate) fn without_outlier(run_us: u64, expected_us: u64) -> u64 {
    run_us.min(OUTLIER_FACTOR * expected_us.max(EXPECTED_US_MIN))
}

/// Expected run time of the next task of a runner. Follows longer runs at once and shorter ones by half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RunTimeEstimate(u64);

impl RunTimeEstimate {
    /// Nothing is known: the next task may be long, microseconds.
    pub(crate) const UNKNOWN: Self = Self(40_000);

    pub(crate) fn us(self) -> u64 {
        self.0
    }

    /// Takes the time of a finished run into account.
    pub(crate) fn observe(&mut self, run_us: u64) {
        let counted = without_outlier(run_us, self.0);
        self.0 = if counted > self.0 { counted } else { self.0.midpoint(counted) };
    }
}
