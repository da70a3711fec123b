//! What the code of the macros calls; nobody else should.

pub use crate::octets::Octets;
pub use crate::runner::Registered;
pub use crate::runner::arguments::{Arguments, Failure, Own, Returned, TaskResult, TellText, TellValue};
pub use inventory;

use std::future::Future;

use serde::Serialize;

use crate::call::Call;

/// A call of the function that `meta` names.
pub fn call<T, A: Serialize>(meta: &'static str, arguments: A) -> Call<T> {
    Call::native(meta, &arguments)
}

/// Runs the body of an `async` main.
pub fn block_on<T>(main: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(main),
        Err(error) => panic!("no runtime for an async main can be made: {error}"),
    }
}
