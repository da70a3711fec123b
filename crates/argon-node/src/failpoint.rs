//! Points at which a test kills this process, or lets a step fail. Builds without debug assertions have none.
//!
//! The variable `ARGON_FAILPOINT` holds `NAME=kill@N` or `NAME=fail@N`: what happens when the point NAME is passed for
//! the Nth time, counted from 1.

/// Passes a point. True if the step after it must fail; a process that must die does so here.
#[cfg(debug_assertions)]
#[must_use]
pub fn must_fail(name: &str) -> bool {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Name, whether to kill, at which passing, and how often it was passed.
    static POINT: OnceLock<Option<(String, bool, u64, AtomicU64)>> = OnceLock::new();

    let point = POINT.get_or_init(|| {
        let text = std::env::var("ARGON_FAILPOINT").ok()?;
        let (name, what) = text.split_once('=')?;
        let (what, at) = what.split_once('@')?;
        Some((name.to_owned(), what == "kill", at.parse().ok()?, AtomicU64::new(0)))
    });
    let Some((wanted, kills, at, passed)) = point else {
        return false;
    };
    if wanted != name || passed.fetch_add(1, Ordering::Relaxed) + 1 != *at {
        return false;
    }
    if *kills {
        // Without any clean-up, as by SIGKILL.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    }
    true
}

/// Passes a point: nothing happens.
#[cfg(not(debug_assertions))]
#[must_use]
pub fn must_fail(_name: &str) -> bool {
    false
}
