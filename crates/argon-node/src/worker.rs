//! The worker's shell: moves bytes between a manager, the pool and the runner processes.
//!
//! Every decision (which attempt starts where, when one is killed, what the manager is told) is taken by
//! [`argon_core::pool::Pool`]. Here live what it cannot touch: processes and their leftovers, sockets, pipes, the clock
//! and the cache of blobs. [`run`] is called once per worker; [`keep_link`] brings it a manager over TCP, and whoever
//! joins a manager and a worker in one process builds a [`Link`] of two channels instead.
//!
//! Folders: `process` starts processes and ends what they leave, `runners` has the runner processes and their tasks, `cache`
//! blobs, executables and answers, `command` single commands, `runtime` the interpreters, `uplink` the way to the manager.

mod cache;
mod command;
mod drain;
mod driver;
mod effects;
mod leftovers;
mod link;
mod on_link;
mod on_python;
mod on_runner;
mod process;
mod runners;
mod runtime;
mod telling;
#[cfg(test)]
mod tests;
mod uplink;

use std::path::PathBuf;
use std::time::Duration;

use argon_proto::WorkerId;
use argon_proto::conversation::worker::{FromWorker, Register, ToWorker};
use tokio::sync::{mpsc, oneshot};

use crate::signals::StopSignal;

pub use link::keep_link;
pub use process::guardian;

/// Who a worker is and how it treats its runners.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Its identity, random per process.
    pub id: WorkerId,
    /// Its name for people.
    pub name: String,
    /// The machine it runs on.
    pub host: String,
    /// Tasks that it runs at once.
    pub slots: usize,
    /// Tasks after which a runner is replaced; 0 for never.
    pub max_requests: u64,
    /// Time limit for tasks that bring none, milliseconds; 0 for none.
    pub default_timeout_ms: u32,
    /// Names of further environment variables that runners get.
    pub pass_env: Vec<String>,
    /// The Perl interpreter; `perl` of the PATH if not given.
    pub perl: Option<PathBuf>,
    /// The Python interpreters; those of the PATH if none is given.
    pub pythons: Vec<PathBuf>,
    /// Whether tasks may load modules from their client.
    pub remote_modules: bool,
    /// How long running tasks may take to finish when the worker drains.
    pub drain_limit: Duration,
}

/// What the connection to a manager reports.
#[derive(Debug)]
pub enum LinkEvent {
    /// A connection is open: answer with who the worker is and what it holds.
    WantRegister(oneshot::Sender<Register>),
    /// The manager sent something.
    Message(ToWorker),
    /// It gave a sign of life that was no message.
    Heard,
    /// The connection ended.
    Lost,
}

/// A worker's way to its manager: a TCP connection that is kept up, or two channels to a manager in this process.
#[derive(Debug)]
pub struct Link {
    /// What comes from the manager.
    pub events: mpsc::UnboundedReceiver<LinkEvent>,
    /// What goes to it. When the worker has ended it drops this end; what was sent before is then still to be written.
    pub outbox: mpsc::UnboundedSender<FromWorker>,
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No interpreter.
    #[error("no {language} was found ({tried}: {why}); install it, or name it with {option}")]
    NoInterpreter {
        /// Which language.
        language: &'static str,
        /// The program that was tried.
        tried: String,
        /// What the system said.
        why: String,
        /// The command line option that names another.
        option: &'static str,
    },
    /// An interpreter that is too old, or answers strangely.
    #[error("{program} cannot run tasks: {why}")]
    BadInterpreter {
        /// The program.
        program: String,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refuses something that a worker needs.
    #[error("the worker cannot {what}: {source}")]
    System {
        /// What it wanted to do.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs a worker until it is told to stop, or drained by its manager.
///
/// Must be called on a current-thread runtime, from the thread that lives as long as the process: the kernel kills
/// runners when the thread that started them ends.
///
/// # Errors
/// If an interpreter that was named does not work, or the system refuses what a worker needs at its start.
pub async fn run(config: WorkerConfig, link: Link, stop: StopSignal) -> Result<(), WorkerError> {
    run_guarded(config, link, stop, guardian::command()).await
}

async fn run_guarded(
    config: WorkerConfig,
    link: Link,
    stop: StopSignal,
    guardian: Option<std::process::Command>,
) -> Result<(), WorkerError> {
    driver::Driver::new(config, link, stop, guardian)?.run().await;
    Ok(())
}
