//! What tasks may reach: options of `argon worker` and `argon up`.

use std::sync::Arc;

use clap::Args;

use crate::exit::{Failure, FailureKind};
use crate::worker::{RunAs, RunAsError};

/// What the tasks of a worker may reach.
#[derive(Debug, Args)]
#[command(next_help_heading = "Isolation of tasks")]
pub(super) struct IsolationOptions {
    /// User of all tasks, for a worker that root starts: they have the user's groups (GROUP first, if given) and HOME, and
    /// none of root's rights
    #[arg(long, value_name = "USER[:GROUP]", verbatim_doc_comment)]
    run_as: Option<String>,
}

impl IsolationOptions {
    /// The user of tasks, if that is not the worker's.
    pub(super) fn user(&self) -> Result<Option<Arc<RunAs>>, Failure> {
        Ok(self.run_as.as_deref().map(RunAs::find).transpose()?.map(Arc::new))
    }
}

impl From<RunAsError> for Failure {
    fn from(error: RunAsError) -> Self {
        Self::new(FailureKind::Usage, error.to_string())
    }
}
