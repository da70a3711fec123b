//! The worker's shell: moves bytes between a manager, the pool and the runner processes.
//!
//! [`argon_core::pool::Pool`] makes every decision: which attempt starts where, when one is killed, what the manager is
//! sent. This module has what the pool cannot touch: processes and what they leave, sockets, pipes, the clock and the
//! caches. [`run`] is called once per worker; [`keep_link`] brings it a manager over TCP, and a program that joins a manager
//! and a worker builds a [`ManagerChannel`] of two channels instead.
//!
//! `event_loop` is the loop. Its parts: `pool_queue`, `runners` (the processes that execute tasks), `processes` (how they
//! start and end, with `process`, `command` and `runtime`), `cache` (blobs, executables, answers), `uplink` (what the
//! manager is sent), `timers` and `stop`.

mod cache;
mod command;
mod config;
mod event_loop;
pub(crate) mod machine;
mod machine_limits;
mod pool_queue;
mod private_folder;
mod process;
mod processes;
mod runners;
mod runtime;
mod status_report;
mod stop;
mod task_clients;
mod templates;
#[cfg(test)]
mod tests;
mod timers;
mod uplink;

use crate::signals::StopSignal;
use event_loop::WorkerLoop;

pub use config::{ManagerAccess, PackagesConfig, WorkerConfig, WorkerError};
pub use machine_limits::MachineLimits;
pub use process::guardian;
pub use process::sandbox::{SandboxConfig, SandboxError};
pub use process::user::{RunAs, RunAsError};
pub use uplink::reconnect::keep_link;
pub use uplink::{Introduction, LinkEnd, LinkEvent, ManagerChannel};

/// Runs a worker until it is told to stop, or drained by its manager.
///
/// Must be called on a current-thread runtime, from the thread that lives as long as the process: the kernel kills
/// runners when the thread that started them ends.
///
/// # Errors
/// If an interpreter that was named does not work, or the system refuses what a worker needs at its start.
pub async fn run(config: WorkerConfig, link: ManagerChannel, stop: StopSignal) -> Result<(), WorkerError> {
    run_guarded(config, link, stop, guardian::command()).await
}

async fn run_guarded(
    config: WorkerConfig,
    link: ManagerChannel,
    stop: StopSignal,
    guardian: Option<std::process::Command>,
) -> Result<(), WorkerError> {
    WorkerLoop::new(config, link, stop, guardian)?.run().await;
    Ok(())
}
