//! The shell: sockets, processes, files and clocks around the decisions of `argon-core`.
//!
//! Everything runs on one thread: a message is read, decided upon and answered without waking another core.
//! `cli/` parses and reports; `net/` moves frames; `manager/` and `worker/` drive the scheduler and the pool.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod carried_library;
pub mod cli;
pub mod command;
pub mod exit;
pub mod failpoint;
pub mod interrupt;
pub mod key_file;
pub mod local_managers;
pub mod manager;
pub mod map;
pub mod memory;
pub mod net;
pub mod newcomer;
pub mod output;
pub mod ready;
pub mod signals;
pub mod standalone;
pub mod state;
pub mod worker;
