//! Why a client waits, for people: what [`Connect::on_waiting`](crate::Connect::on_waiting) is called with.

use std::fmt;
use std::sync::Arc;

/// Why tasks of this client have waited for more than two seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The reason, for programs: `no_worker`, `no_runtime`, `busy`, `draining`, `delayed`, `blob`, `credit`, `outcomes`,
    /// `queue_full`, `store_full`, `manager_away`, or one that a newer manager knows.
    pub code: String,
    /// The runtime that no worker has, such as `python3.12`; empty for other reasons.
    pub runtime: String,
    /// Number of tasks that wait for this reason; 0 if it is not known.
    pub tasks: u64,
    /// A sentence that says what is missing and what to do.
    pub message: String,
}

impl Waiting {
    /// False for what is part of a normal run: all slots are taken, or the wait before a further attempt.
    #[must_use]
    pub fn is_worth_a_line(&self) -> bool {
        !matches!(self.code.as_str(), "busy" | "delayed")
    }
}

/// Who receives it.
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
