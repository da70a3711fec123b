//! Waiting for a condition, bounded.

use std::time::{Duration, Instant};

/// Between two looks at the condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A limit ends a hang and judges no speed: on a machine that is busy with other things every wait may reach it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until `condition` gives a value; panics with `what` when that takes longer than `within`, and than [`PATIENCE`].
pub fn wait_for<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let within = within.max(PATIENCE);
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < within, "waited {within:?} in vain for: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}
