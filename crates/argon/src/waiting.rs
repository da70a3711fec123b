//! The hook that learns why a client waits, set by [`Connect::on_waiting`](crate::Connect::on_waiting).

use std::fmt;
use std::sync::Arc;

use argon_session::Waiting;

/// The hook of the user.
#[derive(Clone)]
pub(crate) struct OnWaiting(pub(crate) Arc<dyn Fn(&Waiting) + Send + Sync>);

impl Default for OnWaiting {
    fn default() -> Self {
        Self(Arc::new(|waiting| {
            use std::io::Write;

            if waiting.is_worth_a_line() {
                // Standard error may be closed or full: no reason to end the program.
                let _ = writeln!(std::io::stderr(), "argon: waiting: {}", waiting.message);
            }
        }))
    }
}

impl fmt::Debug for OnWaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnWaiting")
    }
}
