//! Scratch folders of commands with files, on a worker whose tasks are not in a sandbox.

use std::io;
use std::sync::Arc;

use argon_core::pool::RunnerId;
use argon_proto::WorkerId;

use crate::worker::process::sandbox::{Scratch, Scratches};
use crate::worker::process::user::RunAs;

/// Made with the first command that needs one.
#[derive(Debug, Default)]
pub(super) struct CommandScratch {
    scratches: Option<Scratches>,
}

impl CommandScratch {
    /// The scratch folder of a command.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn of(
        &mut self,
        worker: WorkerId,
        user: Option<&Arc<RunAs>>,
        id: RunnerId,
    ) -> io::Result<Arc<Scratch>> {
        let scratches = match self.scratches.take() {
            Some(scratches) => scratches,
            None => Scratches::make(worker, user.cloned()).map_err(io::Error::other)?,
        };
        self.scratches.insert(scratches).scratch(id.0).map(Arc::new)
    }
}
