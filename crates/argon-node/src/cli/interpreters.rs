//! Options of a worker about the interpreters of its tasks.

use std::path::PathBuf;

use clap::Args;

use crate::worker::PackagesConfig;

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
    /// Where packages that tasks list come from: an index, or a folder of wheels [default: that of pip or uv]
    #[arg(long, value_name = "URL", conflicts_with = "no_packages")]
    pub(super) python_index: Option<String>,
    /// Never install packages that Python tasks list
    #[arg(long)]
    pub(super) no_packages: bool,
    /// Never ask clients for modules that this machine lacks
    #[arg(long)]
    pub(super) no_remote_modules: bool,
}

impl InterpreterOptions {
    /// How packages are installed that tasks list.
    pub(super) fn packages(&self) -> Option<PackagesConfig> {
        (!self.no_packages).then(|| PackagesConfig { index: self.python_index.clone() })
    }
}
