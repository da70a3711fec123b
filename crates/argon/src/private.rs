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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(main),
        Err(error) => panic!("no runtime for an async main can be made: {error}"),
    }
}
