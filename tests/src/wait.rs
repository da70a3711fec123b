//! Waiting for a condition, bounded.

use std::time::{Duration, Instant};

/// Between two looks at the condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Asks until `condition` gives a value; panics with `what` when that takes longer than `within`.
pub fn wait_for<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < within, "waited {within:?} in vain for: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}
