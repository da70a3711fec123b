//! Secrets of processes, by which their tasks are known.

use std::io;

use argon_proto::conversation::child::TaskToken;

/// A secret for the tasks of a new process.
pub(super) fn new_token() -> io::Result<TaskToken> {
    let mut token = [0; 16];
    getrandom::fill(&mut token).map_err(|error| io::Error::other(format!("no random bytes: {error}")))?;
    Ok(TaskToken(token))
}
