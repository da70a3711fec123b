//! Why a command failed, as a sentence and an exit status. The statuses are documented in `argon --help`.

use std::process::ExitCode;

/// A failure that ends a command.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: Kind,
    message: String,
}

/// What kind of failure it is: its exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
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
}

impl Failure {
    /// A failure of this kind with a sentence for people.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Kind {
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
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.kind.status())
    }
}
