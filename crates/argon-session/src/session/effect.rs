//! Effects of a session: commands to the shell, in the imperative.

use std::task::Waker;

use argon_proto::frame::Outbox;
use bytes::Bytes;

use super::output_state::OutputAccount;
use crate::waiting::Waiting;

/// Collects what steps want done. The shell keeps one for the life of the session and carries it out when it likes; order
/// matters within each of the two.
#[derive(Debug, Default)]
pub struct Out {
    /// Frames for the present connection, already encoded: the session keeps each task until its outcome is here, so a
    /// message that owned the task would cost a copy. Empty after a new connection begins.
    pub frames: Outbox,
    /// All other commands.
    pub effects: Vec<Effect>,
}

/// A command to the shell.
#[derive(Debug)]
pub enum Effect {
    /// Dial a manager, and report `Connected` or `DialFailed`.
    Dial {
        /// Place of its address in the user's list.
        address: usize,
    },
    /// Close the connection, after `frames` as far as the system takes them at once. Nothing is to be reported of it.
    Disconnect,
    /// Wake a caller. The shell must hold no lock then.
    Wake(Waker),
    /// Write what a task printed to this process's own output, and report `OutputPrinted`.
    Print(Printed),
    /// Tell the user's hook why tasks wait.
    ReportWaiting(Waiting),
}

/// Output for this process's own descriptors.
#[derive(Debug)]
pub struct Printed {
    /// The number of the task.
    pub number: u64,
    /// Returned with [`Input::OutputPrinted`](super::Input::OutputPrinted).
    pub account: OutputAccount,
    /// The descriptor: 1 or 2.
    pub fd: u8,
    /// The bytes to write.
    pub bytes: Bytes,
}
