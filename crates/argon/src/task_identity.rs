//! What a program knows of the task that it executes: the task's id, and a way to the pool through the task's worker.
//!
//! A native runner sets the attempt before it calls a function. Any other program that a task starts finds it in its
//! environment (`spec/runner.md`, section 3). The client of a task is made once, and closed with the attempt.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon_proto::conversation::child::Child;
use argon_proto::{Attempt, AttemptId, TaskId};
use argon_session::ErrorKind;

use crate::blocking;
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

/// What all threads of this process share.
static PROCESS: Mutex<Process> = Mutex::new(Process { attempt: None, client: None });

struct Process {
    /// The attempt that the native runner executes.
    attempt: Option<AttemptId>,
    client: Option<(AttemptId, blocking::Client)>,
}

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

/// Returns the client of the task that this process executes. It needs no address and no key: it reaches the pool through
/// the worker of the task. While the task waits for its own tasks, its slot is free for others, so a task may wait for
/// tasks of any depth. When the task ends, the client is closed and what it has not finished is cancelled; tasks that were
/// submitted remain.
///
/// All threads of a task get the same client. It works in native tasks, and in programs that tasks of other languages start.
///
/// ```
/// # extern crate argon;
/// #[argon::task]
/// fn fib(n: u64) -> Result<u64, String> {
///     if n < 2 {
///         return Ok(n);
///     }
///     let client = argon::current_client().map_err(|error| error.to_string())?;
///     let smaller = client.defer(fib(n - 2));
///     let larger = client.call(fib(n - 1)).map_err(|error| error.to_string())?;
///     Ok(larger + smaller.wait().map_err(|error| error.to_string())?)
/// }
/// # let outside = argon::current_client().unwrap_err();
/// # assert!(outside.to_string().contains("not inside a task"), "{outside}");
/// ```
///
/// # Errors
/// [`ErrorKind::Option`] outside of a task, [`ErrorKind::Unreachable`] if the worker does not let the client in.
pub fn current_client() -> Result<blocking::Client, Error> {
    let access = worker_access()?;
    let attempt = AttemptId { task: access.child.task, attempt: access.child.attempt };
    let mut process = process();
    if let Some((of, client)) = &process.client
        && *of == attempt
    {
        return Ok(client.clone());
    }
    let client = crate::Connect::of_task(access).connect_blocking()?;
    process.client = Some((attempt, client.clone()));
    Ok(client)
}

/// A native runner begins an attempt.
pub(crate) fn begin(attempt: AttemptId) {
    CURRENT.set(Some(attempt));
    process().attempt = Some(attempt);
}

/// The attempt has ended; its client ends with it.
pub(crate) fn end() {
    CURRENT.set(None);
    let client = {
        let mut process = process();
        process.attempt = None;
        process.client.take()
    };
    if let Some((_, client)) = client {
        client.close();
    }
}

/// Returns the way to the pool through the worker of this task.
pub(crate) fn worker_access() -> Result<WorkerAccess, Error> {
    let attempt = CURRENT.get().or_else(|| process().attempt).or_else(from_environment);
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

fn process() -> MutexGuard<'static, Process> {
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
