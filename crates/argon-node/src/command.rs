//! One command as a task: how it is asked for, what it reads, and what its end means to a shell.
//!
//! Shared by `argon run`, `map`, `submit` and `collect`. It opens no connection and prints nothing.

pub mod end;
pub mod files;
pub mod invocation;
pub mod meta;
pub mod output;
pub mod stdin;
pub mod trace;
