//! Facts of tasks and clients: one model for the manager, the commands and everything that shows tasks. All fields are
//! optional when read, so that releases understand each other.

use serde::{Deserialize, Serialize};

use super::waiting::WhyWaiting;

/// Tasks of [`Question::Tasks`](super::Question::Tasks). A field that is empty selects all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskFilter {
    /// Ids, or beginnings of ids, in hexadecimal or in their short form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
    /// States of [`TaskFacts::state`], or `failed` or `ended` for several of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
    /// Owner.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Name; `*` stands for any text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Label; `*` stands for any text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Name of a worker.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub worker: String,
    /// Greatest age in milliseconds: the time since the last change of [`TaskFacts::state`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Least age in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_ms: Option<u64>,
    /// Number of tasks, the newest; 0 for as many as an answer has room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The answer to [`Question::Tasks`](super::Question::Tasks).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskList {
    /// The tasks, the one that changed last at the end.
    pub tasks: Vec<TaskFacts>,
    /// Number of further tasks that were selected, which changed earlier.
    pub more: usize,
    /// Number of tasks that were not looked at, because one question looks at a limited number.
    pub unseen: usize,
}

/// Facts of one task.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskFacts {
    /// Its id, 48 hexadecimal digits.
    pub task: String,
    /// The id in short form, such as `ee5b8a.12`: the beginning of its session that no other session has, and its number.
    pub short: String,
    /// Its label, or what it calls or starts.
    pub name: String,
    /// The label that its client gave it; may be empty.
    pub label: String,
    /// Runtime that executes it.
    pub runtime: String,
    /// `high`, `normal` or `low`.
    pub priority: String,
    /// True if it outlives its client.
    pub detached: bool,
    /// Owner.
    pub owner: String,
    /// Program that submitted it.
    pub client: ClientFacts,
    /// `waiting`, `running`, or how it ended: `ok`, `error`, `died`, `timeout`, `cancelled`, `lost`.
    pub state: String,
    /// Reason of the state in a word: `queue`, `delayed`, `store`, `recovery`, `blob` or `sent_ahead`; else empty.
    pub reason: String,
    /// Last line of the error of a task that failed; else empty.
    pub message: String,
    /// Time of its submission, milliseconds since 1970; none if the manager has been started since then.
    pub submitted_ms: Option<u64>,
    /// Time at which the present or last attempt was handed to its worker.
    pub started_ms: Option<u64>,
    /// Time of its end.
    pub ended_ms: Option<u64>,
    /// Milliseconds since its state last changed.
    pub age_ms: u64,
    /// Name of the worker of the present or last attempt; may be empty.
    pub worker: String,
    /// Number of the present or last attempt; 0 before the first.
    pub attempt: u32,
    /// Run time of an ended task as its worker has measured it, microseconds.
    pub run_us: Option<u64>,
    /// Processor time of an attempt that failed, milliseconds, if its worker has measured it.
    pub cpu_ms: Option<u64>,
    /// Peak memory of an attempt that failed, KiB, if its worker has measured it.
    pub peak_kib: Option<u64>,
    /// Bytes of its arguments.
    pub bytes_in: u64,
    /// Bytes of its result.
    pub bytes_out: u64,
    /// Attempts, the oldest first; only in the answer about one task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptFacts>,
    /// Events in the order of time, as sentences; only in the answer about one task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub story: Vec<StoryLine>,
    /// Last output of an attempt that failed; only in the answer about one task.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// One attempt of a task.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptFacts {
    /// Its number.
    pub attempt: u32,
    /// Name of its worker; may be empty.
    pub worker: String,
    /// Time at which it was handed to the worker, milliseconds since 1970.
    pub started_ms: Option<u64>,
    /// Time of its end; none while it runs.
    pub ended_ms: Option<u64>,
    /// How it ended: a state of a task, or empty while it runs.
    pub end: String,
    /// Last line of its error; may be empty.
    pub message: String,
}

/// An event in the life of a task.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StoryLine {
    /// Milliseconds since 1970; none if unknown.
    pub at_ms: Option<u64>,
    /// One sentence.
    pub text: String,
}

/// A client: the program, or library in a program, that submits tasks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientFacts {
    /// Its session, 32 hexadecimal digits.
    pub session: String,
    /// The session in short form.
    pub short: String,
    /// Name that the program gives itself; may be empty.
    pub program: String,
    /// Its machine; may be empty.
    pub host: String,
    /// Its process id; 0 if unknown.
    pub pid: u32,
    /// The task that it is inside, in short form; empty for the client of a person.
    pub inside: String,
}

/// One client and its tasks.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientView {
    /// The client.
    #[serde(flatten)]
    pub client: ClientFacts,
    /// Owner.
    pub owner: String,
    /// True if it is connected; if not, it may come back, or its detached tasks are kept.
    pub connected: bool,
    /// Seconds until its attached tasks are cancelled, if it does not come back.
    pub seconds_left: Option<u64>,
    /// Tasks that wait.
    pub waiting: u64,
    /// Tasks at workers.
    pub running: u64,
    /// Ended tasks whose outcome was not taken.
    pub untaken: u64,
}

/// The answer to [`Question::Clients`](super::Question::Clients).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientList {
    /// The clients.
    pub clients: Vec<ClientView>,
    /// Number of those that the list leaves out, because an answer has a limit.
    pub more: usize,
}

/// The answer to [`Question::Explain`](super::Question::Explain).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Explanation {
    /// The task.
    pub task: String,
    /// Its id in short form.
    pub short: String,
    /// Its state, in a word or two for people.
    pub state: String,
    /// Why it waits, as tasks of a client do.
    pub why: Vec<WhyWaiting>,
    /// Why it waits or what it does, the reason to look at first in front.
    pub reasons: Vec<TaskReason>,
    /// Number of tasks that start before it, about, if it is in the queue.
    pub before: Option<u64>,
    /// Of a task in the queue, what each worker is to it; those that would take it in front.
    pub workers: Vec<WorkerVerdict>,
    /// Number of workers that the list leaves out.
    pub more_workers: usize,
}

/// A reason for which a task is where it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskReason {
    /// The reason, as in [`WhyWaiting::code`], or `sent_ahead`, `worker_away`, `running` or `ended`.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// What a worker is to a waiting task.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerVerdict {
    /// Name of the worker.
    pub worker: String,
    /// True if it would take the task now.
    pub takes: bool,
    /// Why, in words that follow its name.
    pub why: String,
}
