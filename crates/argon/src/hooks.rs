//! The hooks of a user, set by [`Connect::on_waiting`](crate::Connect::on_waiting),
//! [`Connect::on_log`](crate::Connect::on_log) and [`Connect::on_interrupt`](crate::Connect::on_interrupt).

use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use argon_proto::conversation::LogRecord;
use argon_session::Waiting;

/// Effect of the end of this process, by a signal or otherwise, on its attached tasks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OnInterrupt {
    /// They are cancelled: the manager of the same machine sees that the process has ended.
    #[default]
    Cancel,
    /// They go on until the manager's `--session-grace` has passed.
    Leave,
}

/// The hooks; those that are called have a default that writes to standard error.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) on_waiting: Arc<dyn Fn(&Waiting) + Send + Sync>,
    /// Called on the thread that prints, in the order of the output.
    pub(crate) on_log: Arc<dyn Fn(&LogRecord) + Send + Sync>,
    pub(crate) on_interrupt: OnInterrupt,
}

impl Hooks {
    /// Gives a record to the hook. A panic there must not end the thread that prints: the panic hook has reported it.
    pub(crate) fn log(&self, record: &LogRecord) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.on_log)(record)));
    }
}

impl Default for Hooks {
    fn default() -> Self {
        // Standard error may be closed or full: no reason to end the program.
        let on_waiting = Arc::new(|waiting: &Waiting| {
            if waiting.is_worth_a_line() {
                let _ = writeln!(std::io::stderr(), "argon: waiting: {}", waiting.message);
            }
        });
        let on_log = Arc::new(|record: &LogRecord| {
            let _ = std::io::stderr().write_all(record.to_line().as_bytes());
        });
        Self { on_waiting, on_log, on_interrupt: OnInterrupt::Cancel }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}
