//! The process that a worker starts for a command: the command itself, or the one that carries its files.

use std::ffi::OsString;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::line::CommandLine;
use crate::command::files::carry;
use crate::worker::process::kernel;
use crate::worker::process::user::RunAs;

/// See the module.
pub(super) struct Carried {
    pub(super) program: PathBuf,
    pub(super) words: Vec<OsString>,
    pub(super) kept: Vec<OwnedFd>,
    /// Our end of the pipe for returned files.
    pub(super) returned: Option<PipeReader>,
}

impl Carried {
    /// The process for this command, whose own program is `program`.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub(super) fn of(line: &CommandLine, program: &Path, user: Option<&RunAs>) -> io::Result<Self> {
        let words = line.words.clone();
        let Some(files) = &line.files else {
            return Ok(Self { program: program.to_owned(), words, kept: Vec::new(), returned: None });
        };
        let (ours, its) = io::pipe()?;
        kernel::unblock(ours.as_fd())?;
        if let Some(user) = user {
            user.own_pipe(its.as_fd())?;
        }
        let words = carry::words(its.as_raw_fd(), &files.returned, program.into(), words);
        Ok(Self { program: "/proc/self/exe".into(), words, kept: vec![its.into()], returned: Some(ours) })
    }
}
