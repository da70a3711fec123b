//! Options of `argon worker` and `argon up` that restrict what tasks reach.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::exit::{Failure, FailureKind};
use crate::worker::{RunAs, RunAsError, SandboxConfig, SandboxError};

/// Options that restrict the tasks of a worker.
#[derive(Debug, Args)]
#[command(next_help_heading = "Isolation of tasks")]
pub(super) struct IsolationOptions {
    /// User of all tasks, for a worker that root starts: they have the user's groups (GROUP first, if given) and HOME, and
    /// none of root's rights
    #[arg(long, value_name = "USER[:GROUP]", verbatim_doc_comment)]
    run_as: Option<String>,
    /// Lock tasks in: they read the system, write a scratch folder of their own ($TMPDIR), and reach neither the network
    /// nor other processes. Needs Linux 6.12 with Landlock and seccomp; without them the worker does not start
    #[arg(long, verbatim_doc_comment)]
    sandbox: bool,
    /// Let tasks in the sandbox read and execute this file, or all below this folder; may be repeated
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    sandbox_read: Vec<PathBuf>,
    /// Let tasks in the sandbox read, execute and write this file, or all below this folder; may be repeated
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    sandbox_write: Vec<PathBuf>,
    /// Let tasks in the sandbox use the network, and the sockets of programs on this machine
    #[arg(long, requires = "sandbox")]
    sandbox_network: bool,
}

/// Restrictions that were asked for and are possible here.
pub(super) struct Isolation {
    pub(super) user: Option<Arc<RunAs>>,
    pub(super) sandbox: Option<SandboxConfig>,
}

impl IsolationOptions {
    /// Looks whether that is possible here, before anything else is done.
    pub(super) fn find(&self) -> Result<Isolation, Failure> {
        let user = self.run_as.as_deref().map(RunAs::find).transpose()?.map(Arc::new);
        let Self { sandbox_read, sandbox_write, sandbox_network, .. } = self;
        let sandbox = self.sandbox.then(|| SandboxConfig::new(sandbox_read, sandbox_write, *sandbox_network));
        Ok(Isolation { user, sandbox: sandbox.transpose()? })
    }
}

impl Isolation {
    /// Checks that tasks cannot read the key, which comes from `key`.
    pub(super) fn with_key(self, key: &str) -> Result<Self, Failure> {
        if let Some(sandbox) = &self.sandbox {
            sandbox.check_key(Path::new(key), self.user.as_deref())?;
        }
        Ok(self)
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let kind = match error {
            SandboxError::Path { .. } => FailureKind::Usage,
            SandboxError::Key(_) => FailureKind::Key,
            SandboxError::Kernel(_) | SandboxError::System(_) => FailureKind::Machine,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<RunAsError> for Failure {
    fn from(error: RunAsError) -> Self {
        Self::new(FailureKind::Usage, error.to_string())
    }
}
