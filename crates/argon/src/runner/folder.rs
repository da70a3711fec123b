//! The folder in which every task starts: the one in which this runner did.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// An open folder, to which going back takes one cheap call, wherever a task has gone and whatever was renamed meanwhile.
#[derive(Debug)]
pub(super) struct Folder(Option<File>);

impl Folder {
    pub(super) fn present() -> Self {
        let path_only = libc::O_PATH | libc::O_DIRECTORY;
        Self(OpenOptions::new().read(true).custom_flags(path_only).open(".").ok())
    }

    /// Goes back.
    pub(super) fn enter(&self) {
        if let Some(folder) = &self.0 {
            // SAFETY: the descriptor is open. A folder that cannot be entered any more leaves the process where it is.
            let _ = unsafe { libc::fchdir(folder.as_raw_fd()) };
        }
    }
}
