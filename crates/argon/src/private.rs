//! Functions for the code of the macros only.

pub use crate::call::Again;
pub use crate::octets::Octets;
pub use crate::own::{IsPlain, NotPlain, Probe};
pub use crate::runner::Registered;
pub use crate::runner::arguments::{
    Arguments, Failure, Own, Returned, TaskResult, TellChecked, TellPlain, TellText, TellValue, WriteChecked,
    WritePlain, WriteValue, Written,
};
pub use inventory;

use std::future::Future;

use serde::Serialize;

use crate::call::Call;

/// A call of the function that `meta` names. `again` reads the arguments back, unless they are plain.
pub fn call<T, A: Serialize>(meta: &'static str, arguments: A, again: Option<Again>) -> Call<T> {
    Call::native(meta, &arguments, again)
}

/// Runs the body of an `async` main.
pub fn block_on<T>(main: impl Future<Output = T>) -> T {
    runtime("main").block_on(main)
}

/// Runs the body of an `async` task. Its runtime ends with it, so that what it has spawned does not go on in the next task of
/// this process.
pub fn run_async<T>(body: impl Future<Output = T>) -> T {
    TaskRuntime(Some(runtime("task"))).block_on(body)
}

/// The runtime of one attempt.
struct TaskRuntime(Option<tokio::runtime::Runtime>);

impl TaskRuntime {
    fn block_on<T>(&self, body: impl Future<Output = T>) -> T {
        self.0
            .as_ref()
            .map(|runtime| runtime.block_on(body))
            .unwrap_or_else(|| unreachable!("it is there until dropped"))
    }
}

impl Drop for TaskRuntime {
    fn drop(&mut self) {
        // A blocking thread that the task has left must not hold up its outcome, or its panic.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime(of: &str) -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap_or_else(|error| panic!("no runtime for an async {of} can be made: {error}"))
}
