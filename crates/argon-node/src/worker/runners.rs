//! Runner processes as the worker sees them.

pub(crate) mod output;
pub(crate) mod run_queue;
pub(crate) mod runner;
