//! Identity of the task that this program executes: its id, and the way to the pool through the task's worker.
//!
//! A native runner sets the attempt before it calls a function. Any other program that a task starts finds it in its
//! environment (`spec/runner.md`, section 3).

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon_proto::conversation::child::Child;
use argon_proto::{Attempt, AttemptId, TaskId};
use argon_session::ErrorKind;

use crate::error::Error;

/// Path of the worker's socket for its tasks.
const SOCKET: &str = "ARGON_WORKER_SOCKET";
/// Secret of this process.
const TOKEN: &str = "ARGON_TASK_TOKEN";
const TASK_ID: &str = "ARGON_TASK_ID";
const ATTEMPT: &str = "ARGON_ATTEMPT";

thread_local! {
    static CURRENT: Cell<Option<AttemptId>> = const { Cell::new(None) };
}

/// The attempt that the native runner executes, for all threads.
static OF_PROCESS: Mutex<Option<AttemptId>> = Mutex::new(None);

/// Way to the pool for a client inside a task.
#[derive(Clone, Debug)]
pub(crate) struct WorkerAccess {
    pub(crate) socket: PathBuf,
    pub(crate) child: Child,
}

/// Returns the id of the task that this thread of a native runner executes.
///
/// ```
/// # extern crate argon;
/// #[argon::task]
/// fn own_id() -> String {
///     argon::current_task().map_or_else(String::new, |id| id.to_string())
/// }
/// # assert_eq!(argon::current_task(), None);
/// ```
#[must_use]
pub fn current_task() -> Option<TaskId> {
    CURRENT.get().map(|attempt| attempt.task)
}

/// A native runner begins an attempt, or ends it.
pub(crate) fn set(attempt: Option<AttemptId>) {
    CURRENT.set(attempt);
    *of_process() = attempt;
}

/// Returns the way to the pool through the worker of this task.
pub(crate) fn worker_access() -> Result<WorkerAccess, Error> {
    let attempt = CURRENT.get().or_else(|| *of_process()).or_else(from_environment);
    let Some(AttemptId { task, attempt }) = attempt else {
        return Err(option_error(
            "this program is not inside a task, and only a task reaches the pool without an address; connect with \
             argon::Client::connect(\"HOST:PORT\")",
        ));
    };
    let socket = variable(SOCKET).ok_or_else(|| {
        option_error(
            "the worker of this task does not let tasks submit tasks: ARGON_WORKER_SOCKET is not set; the worker's log has \
             the reason",
        )
    })?;
    let token = variable(TOKEN).unwrap_or_default();
    let token = token.parse().map_err(|error| option_error(format!("ARGON_TASK_TOKEN: {error}")))?;
    Ok(WorkerAccess { socket: socket.into(), child: Child { token, task, attempt } })
}

/// The attempt of a task that started this program.
fn from_environment() -> Option<AttemptId> {
    let task = variable(TASK_ID)?.parse().ok()?;
    let attempt = Attempt(variable(ATTEMPT)?.parse().ok()?);
    Some(AttemptId { task, attempt })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn option_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Option, message)
}

fn of_process() -> MutexGuard<'static, Option<AttemptId>> {
    OF_PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}
