//! The kinds of ends that give no value, by the names that every language of Argon uses.

/// How a call ended that gave no value. The names are those of the other languages' clients.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The task ran and returned an error, or threw one.
    Failed,
    /// The task ran and panicked.
    Panicked,
    /// The runner's process ended or was killed.
    Died,
    /// The time limit was reached.
    Timeout,
    /// It was cancelled.
    Cancelled,
    /// It cannot be known whether it ran, or it may not be tried again.
    Lost,
    /// The cluster is at its capacity, and the caller did not want to wait.
    Rejected,
    /// No manager can be reached, or it refuses this client.
    Unreachable,
    /// The client was closed.
    Closed,
    /// An option or an argument cannot be what it is.
    Option,
    /// A value could not be turned into bytes, or bytes into a value.
    Data,
}

impl ErrorKind {
    /// The word that every language of Argon uses for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Died => "died",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
            Self::Closed => "closed",
            Self::Option => "option",
            Self::Data => "data",
        }
    }
}
