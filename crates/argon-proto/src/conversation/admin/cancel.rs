//! Requests that end tasks.

use serde::{Deserialize, Serialize};

/// Tasks that shall end.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cancel {
    /// Ids, or beginnings of ids, in hexadecimal.
    pub tasks: Vec<String>,
    /// All of all clients, or of one owner: of `owner` if an admin asks, of itself if a person does.
    pub all: bool,
    /// Whose tasks an admin means with `all`; empty for those of all owners.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Name of the sender, shown to the owners of the tasks.
    pub by: String,
}

/// The answer to [`Cancel`] of some tasks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TasksCancelled {
    /// One for each that was named, in that order.
    pub tasks: Vec<CancelledTask>,
}

/// Result of the cancellation of one task.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CancelledTask {
    /// The result as a sentence.
    pub message: String,
    /// `cancelled`, `ended`, `unknown`, `ambiguous` or `refused`.
    pub result: String,
    /// Status of a task that had ended before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its id, as far as it is known.
    pub task: String,
    /// The worker whose runner is ended for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// The answer to [`Cancel`] of all tasks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AllCancelled {
    /// Number of tasks.
    pub cancelled: usize,
}
