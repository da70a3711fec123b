//! Why there is no runner: the words, and whose fault it is.

use argon_core::pool::{Blame, RunnerKind, STATIC_ADVICE};

use crate::worker::process::spawn::SpawnError;
use crate::worker::runtime::Launch;

/// Why there is no runner.
#[derive(Debug)]
pub(crate) struct NoRunner {
    pub(crate) why: String,
    pub(crate) blame: Blame,
}

impl NoRunner {
    /// The machine may have what it takes later.
    pub(crate) fn on_machine(why: String) -> Self {
        Self { why, blame: Blame::Machine }
    }
}

/// Why the program of a launch was not started.
pub(super) fn no_runner(kind: RunnerKind, launch: &Launch, error: &SpawnError) -> NoRunner {
    let on_machine = NoRunner::on_machine;
    let SpawnError::Program(error) = error else {
        return on_machine(error.to_string());
    };
    if !kind.is_tasks_own() {
        return on_machine(format!("{}: {error}", launch.program.display()));
    }
    let why = match error.raw_os_error() {
        Some(libc::ENOEXEC) => format!("it is not a program for this machine ({error}); {STATIC_ADVICE}"),
        // The file is there, so its loader is missing.
        Some(libc::ENOENT | libc::ELIBBAD | libc::ELIBACC) => {
            format!("the loader that it names is missing ({error}); {STATIC_ADVICE}")
        }
        Some(libc::EACCES | libc::EPERM) => format!(
            "the worker may not execute {} ({error}); is that folder mounted noexec? Set XDG_CACHE_HOME for the worker",
            launch.program.display()
        ),
        _ => return on_machine(error.to_string()),
    };
    NoRunner { why, blame: Blame::Program }
}
