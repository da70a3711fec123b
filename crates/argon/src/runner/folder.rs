//! The folder in which every task starts: that of its caller if it is here, else the one in which this runner started.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// An open folder, to which going back takes one cheap call, wherever a task has gone and whatever was renamed meanwhile.
#[derive(Debug)]
pub(super) struct Folder {
    own: Option<File>,
    /// That of the caller.
    callers: Option<File>,
    /// Its name, whether it is here or not.
    name: Option<String>,
}

impl Folder {
    pub(super) fn present() -> Self {
        let path_only = libc::O_PATH | libc::O_DIRECTORY;
        let own = OpenOptions::new().read(true).custom_flags(path_only).open(".").ok();
        Self { own, callers: None, name: None }
    }

    /// Goes to the folder of the caller for this task and those after it, or to the own one where that is not here.
    pub(super) fn start_in(&mut self, name: Option<&str>) {
        if self.name.as_deref() == name {
            return;
        }
        self.name = name.map(str::to_owned);
        // To be read, for a sandbox lets a process enter what it hides.
        let mut options = OpenOptions::new();
        let open = |name| options.read(true).custom_flags(libc::O_DIRECTORY).open(name).ok();
        self.callers = name.filter(|name| name.starts_with('/')).and_then(open).filter(enter);
        self.enter();
    }

    /// Goes back.
    pub(super) fn enter(&self) {
        self.callers.as_ref().or(self.own.as_ref()).map(enter);
    }
}

/// False for a folder that cannot be entered, which leaves the process where it is.
fn enter(folder: &File) -> bool {
    // SAFETY: the descriptor is open.
    unsafe { libc::fchdir(folder.as_raw_fd()) == 0 }
}
