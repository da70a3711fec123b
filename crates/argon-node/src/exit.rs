//! Failures of commands: a sentence and an exit status. The statuses are documented in `argon --help`, and in
//! `docs/guide/commands.md`.
//!
//! `argon run`, `map` and `collect` end with the status of what they ran. Their own failures are [`UNDONE`] then, as with
//! ssh and GNU parallel, whatever their kind.

use std::process::ExitCode;

/// The command reached its time limit: the status of `timeout`.
pub const TIMED_OUT: u8 = 124;
/// Status of a cancelled command: that of an interrupt in shells.
pub const INTERRUPTED: u8 = 130;
/// No tunnel to the manager: the status of a service that is not there (sysexits.h).
pub const UNAVAILABLE: u8 = 69;
/// Signal 0 as a status: that of a signal is this and its number.
pub const BY_SIGNAL: u8 = 128;
/// Output of a command cannot be written here. `env` and `timeout` reserve this status for their own failures.
pub const UNWRITTEN: u8 = 125;
/// The reader of standard output has ended: the status of a broken pipe in shells.
pub const UNREAD: u8 = 141;
/// Argon could not run the command, or does not know how it ended.
pub const UNDONE: u8 = 255;

/// A failure that ends a command.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: FailureKind,
    message: String,
}

/// Kind of a failure, which determines the exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// 1: something else.
    Other,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the address cannot be listened on.
    Listen,
    /// 4: no key, a bad one, or a wrong one.
    Key,
    /// 5: the manager cannot be reached.
    Reach,
    /// 6: the machine lacks what a worker needs.
    Machine,
    /// 7: the store failed.
    Store,
    /// 69: there is no tunnel to the manager, as `EX_UNAVAILABLE` of sysexits.h.
    Unavailable,
    /// 8: standard output or error cannot be written.
    Output,
    /// 141: the reader of standard output has ended. No message is printed.
    Unread,
    /// 128 and the number of the signal that ended it. No message is printed.
    Signal(u8),
}

impl Failure {
    /// A failure of this kind with a sentence for people.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }
}

impl FailureKind {
    /// The exit status.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::Listen => 3,
            Self::Key => 4,
            Self::Reach => 5,
            Self::Machine => 6,
            Self::Store => 7,
            Self::Output => 8,
            Self::Unavailable => UNAVAILABLE,
            Self::Unread => UNREAD,
            Self::Signal(number) => BY_SIGNAL + number,
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.kind.status())
    }
}
