//! The client of a task: made once for each attempt, and closed with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon_proto::AttemptId;

use crate::blocking;
use crate::client::Connect;
use crate::error::Error;
use crate::task_identity::worker_access;

type Current = Option<(AttemptId, blocking::Client)>;

static CURRENT: Mutex<Current> = Mutex::new(None);

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
/// [`ErrorKind::Option`](crate::ErrorKind::Option) outside of a task,
/// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) if the worker does not let the client in.
pub fn current_client() -> Result<blocking::Client, Error> {
    let access = worker_access()?;
    let attempt = AttemptId { task: access.child.task, attempt: access.child.attempt };
    let mut current = current();
    if let Some((of, client)) = &*current
        && *of == attempt
    {
        return Ok(client.clone());
    }
    let client = Connect::of_task(access).connect_blocking()?;
    *current = Some((attempt, client.clone()));
    Ok(client)
}

/// The attempt has ended; its client ends with it.
pub(crate) fn close() {
    let client = current().take();
    if let Some((_, client)) = client {
        client.close();
    }
}

fn current() -> MutexGuard<'static, Current> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
