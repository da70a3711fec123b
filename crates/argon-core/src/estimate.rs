//! What one run tells of the next, for scheduler and pool alike. They keep their own means.

/// A task is taken to show a length of so many times the one that was expected, at most: a short one that had to wait for a
/// processor tells nothing of the next.
const LEAP: u64 = 4;
/// What is expected counts as so much at least, microseconds.
const LEAP_FROM_US: u64 = 25;

/// How much of a run of `run_us` microseconds is believed where `expected_us` were expected.
pub(crate) fn believed(run_us: u64, expected_us: u64) -> u64 {
    run_us.min(LEAP * expected_us.max(LEAP_FROM_US))
}
