//! Why a client waits, for people: what the hook `on_waiting` of a client is called with.

/// Why tasks of this client have waited for more than two seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The reason, for programs: `no_worker`, `no_runtime`, `busy`, `draining`, `delayed`, `blob`, `credit`, `outcomes`,
    /// `queue_full`, `store_full`, `manager_away`, or one that a newer manager knows.
    pub code: String,
    /// The runtime that no worker has, such as `python3.12`; empty for other reasons.
    pub runtime: String,
    /// Number of tasks that wait for this reason; 0 if it is not known.
    pub tasks: u64,
    /// A sentence that says what is missing and what to do.
    pub message: String,
}

impl Waiting {
    /// False for what is part of a normal run: all slots are taken, or the wait before a further attempt.
    #[must_use]
    pub fn is_worth_a_line(&self) -> bool {
        !matches!(self.code.as_str(), "busy" | "delayed")
    }
}
