//! The kinds of ends that give no value, by the names that every language of Argon uses.

/// Kind of an end without a value. All clients use the same names.
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
    /// The task was cancelled.
    Cancelled,
    /// The task may or may not have run, and may not be tried again.
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
