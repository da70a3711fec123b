//! Configuration of a worker: its name, its manager and its runners; and the reasons why it cannot work.

use argon_net::key_file::KeySource;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use argon_net::Trust;
use argon_proto::{Secret, WorkerId};
use tokio::sync::watch;

use super::machine;
use super::machine_limits::MachineLimits;
use super::process::sandbox::{SandboxConfig, SandboxError};
use super::process::user::RunAs;
pub use super::runtime::environments::PackagesConfig;

/// Configuration of a worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Secret from which its id is derived; random for each process.
    pub secret: Secret,
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
    /// True if Python tasks run in the environment of their client where that is on this machine.
    pub environments: bool,
    /// How packages are installed that tasks list; none if they are not.
    pub packages: Option<PackagesConfig>,
    /// True if tasks may load modules from their client.
    pub remote_modules: bool,
    /// True if runners of interpreters are forked from templates, where that is possible.
    pub has_templates: bool,
    /// Number of idle runners that are kept.
    pub runners_max: usize,
    /// Memory of all idle runners, bytes.
    pub runner_memory: u64,
    /// Number of attempts that may wait for tasks of their own at once; one more ends as died.
    pub waiting_max: usize,
    /// Way to the manager for clients inside tasks; without it, tasks have no client.
    pub manager: Option<ManagerAccess>,
    /// Time that running tasks have to finish when the worker drains.
    pub drain_limit: Duration,
    /// User of its runners and commands, if that is not its own.
    pub run_as: Option<Arc<RunAs>>,
    /// Sandbox of its runners and commands.
    pub sandbox: Option<SandboxConfig>,
    /// What must be left of the machine for further tasks to start.
    pub limits: MachineLimits,
    /// Nice value that its runners and commands have more than it.
    pub nice: u8,
}

impl WorkerConfig {
    /// Its identity.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        WorkerId::of(&self.secret)
    }

    /// Memory of all idle runners by default, bytes: a quarter of what this process may use.
    #[must_use]
    pub fn default_runner_memory() -> u64 {
        machine::memory_bytes().map_or(1 << 30, |bytes| bytes / 4)
    }
}

/// Way to the manager for clients inside tasks.
#[derive(Clone, Debug)]
pub struct ManagerAccess {
    /// The worker's key, read anew for each connection.
    pub key: Rc<KeySource>,
    /// Demands on the connection to it.
    pub trust: Trust,
    /// The address of the manager, while there is one.
    pub address: watch::Receiver<Option<String>>,
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No interpreter.
    #[error("no {language} was found ({tried}: {why}); install it, or name it with {option}")]
    NoInterpreter {
        /// Name of the language.
        language: &'static str,
        /// The program that was tried.
        tried: String,
        /// The error of the system.
        why: String,
        /// The command line option that names another.
        option: &'static str,
    },
    /// An interpreter that is too old, or does not answer as it should.
    #[error("{program} cannot run tasks: {why}")]
    BadInterpreter {
        /// The program.
        program: String,
        /// The mistake, in words.
        why: String,
    },
    /// No sandbox is possible for its tasks.
    #[error("{0}")]
    Sandbox(#[from] SandboxError),
    /// The operating system refuses something that a worker needs.
    #[error("the worker cannot {what}: {source}")]
    System {
        /// The operation that failed.
        what: &'static str,
        /// The error of the system.
        source: std::io::Error,
    },
}

impl WorkerError {
    /// The system has refused to do `what`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
