//! Why tasks wait: what a client asks, too.

use serde::{Deserialize, Serialize};

/// Some tasks and the reason for which they wait.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WhyWaiting {
    /// The reason, of those that `spec/protocol.md` lists in section 7; another release may have more.
    pub code: String,
    /// Interpreter that is missing, such as `python3.12`; empty for other reasons.
    pub runtime: String,
    /// Number of tasks.
    pub tasks: u64,
    /// One sentence: what waits, for what, and what to do.
    pub message: String,
}

/// The answer to the question `waiting`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingReport {
    /// Tasks that workers have.
    pub running: u64,
    /// Why the others wait, the reason that an operator must remove first.
    pub waiting: Vec<WhyWaiting>,
}
