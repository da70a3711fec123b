//! Options of a worker about the interpreters of its tasks.

use std::path::PathBuf;

use clap::Args;

/// Which interpreters and modules tasks have.
#[derive(Debug, Args)]
pub(super) struct InterpreterOptions {
    /// The Perl interpreter [default: perl in PATH]
    #[arg(long, value_name = "FILE")]
    pub(super) perl: Option<PathBuf>,
    /// A Python interpreter; may be repeated, the first is the default [default: those in PATH]
    #[arg(long, value_name = "FILE")]
    pub(super) python: Vec<PathBuf>,
    /// Run Python tasks in this worker's interpreters only, never in the environment (venv, conda) of their client
    #[arg(long)]
    pub(super) no_environments: bool,
    /// Never ask clients for modules that this machine lacks
    #[arg(long)]
    pub(super) no_remote_modules: bool,
}
