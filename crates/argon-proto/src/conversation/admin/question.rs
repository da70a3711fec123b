//! The messages of an admin, and the questions that a manager of this release answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{Goodbye, messages};
use super::{Cancel, Invite, Reply, Request, TaskFilter, fields_of};
use crate::id::TaskId;

messages! {
    /// Messages of an admin. An observer may only send requests, and of these only those that look.
    pub enum FromAdmin {
        /// A question or an order.
        Request(Request) = REQUEST,
        /// These tasks shall end.
        Cancel(Vec<TaskId>) = CANCEL,
        /// The command ends.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}

messages! {
    /// Messages of a manager to an admin or observer.
    pub enum ToAdmin {
        /// The answer to a request.
        Reply(Reply) = REPLY,
        /// The manager leaves.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}

/// The questions that a manager of this release answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Question {
    /// Asks for the status. Answered with a [`ManagerStatus`](super::ManagerStatus).
    Status,
    /// Why do my tasks wait? From an admin: why do all? Answered with a [`WaitingReport`](super::WaitingReport).
    Waiting,
    /// Asks why a task waits. Answered with an [`Explanation`](super::Explanation).
    Explain {
        /// The task, in hexadecimal.
        #[serde(default)]
        task: String,
    },
    /// Which tasks are there, and which have ended? Answered with a [`TaskList`](super::TaskList).
    Tasks(TaskFilter),
    /// Asks for all facts of a task. Answered with [`TaskFacts`](super::TaskFacts).
    Task {
        /// A name of it: its id, short form or ticket.
        #[serde(default)]
        task: String,
    },
    /// Which clients are there? Answered with a [`ClientList`](super::ClientList).
    Clients,
    /// Tasks shall end. Answered with [`TasksCancelled`](super::TasksCancelled), or [`AllCancelled`](super::AllCancelled).
    Cancel(Cancel),
    /// A worker shall take no more tasks and leave. Answered with a [`WorkerDrains`].
    Drain {
        /// Its name or id.
        #[serde(default)]
        worker: String,
        /// Milliseconds after which it ends what still runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
    },
    /// The manager shall stop.
    Shutdown,
    /// A new key of a person shall be in force. Answered with a [`KeyAdded`](super::KeyAdded).
    KeyAdd {
        /// Name of the person.
        #[serde(default)]
        name: String,
        /// Name of the role.
        #[serde(default)]
        role: String,
    },
    /// Lists the keys of people. Answered with a [`KeyList`](super::KeyList).
    KeyList,
    /// Keys shall be in force no longer. Answered with a [`KeysRevoked`](super::KeysRevoked).
    KeyRevoke {
        /// Id of a key, or name of a person.
        #[serde(default)]
        key: String,
    },
    /// Lists the machines without a key that wait. Answered with a [`NewcomerList`](super::NewcomerList).
    Newcomers,
    /// The machine that shows this code shall get the key that it asks for. Answered with a [`Newcomer`](super::Newcomer).
    Approve {
        /// The code.
        #[serde(default)]
        code: String,
    },
    /// Refuses a machine. Answered with a [`Newcomer`](super::Newcomer).
    Deny {
        /// The code.
        #[serde(default)]
        code: String,
    },
    /// Asks for a join token. Answered with an [`Invited`](super::Invited).
    Invite(Invite),
    /// A new cluster key shall be valid as well. Answered with a [`KeyRotated`](super::KeyRotated).
    KeyRotate,
    /// The older of two cluster keys shall be valid no longer. Answered with a [`KeyRotated`](super::KeyRotated).
    KeyRetire {
        /// Also if connections were opened with it.
        #[serde(default)]
        force: bool,
    },
}

/// The answer to [`Question::Drain`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerDrains {
    /// The worker's id.
    pub worker: String,
    /// Its name.
    pub name: String,
    /// Number of attempts that it holds.
    pub held: u64,
    /// True if it was draining before.
    pub was_draining: bool,
    /// True if it is in the manager's process, which continues.
    pub keeps_manager: bool,
}

impl Question {
    /// Names of all questions, as they stand in `what`.
    pub const NAMES: &[&str] = &[
        "status",
        "waiting",
        "explain",
        "tasks",
        "task",
        "clients",
        "cancel",
        "drain",
        "shutdown",
        "key_add",
        "key_list",
        "key_revoke",
        "newcomers",
        "approve",
        "deny",
        "invite",
        "key_rotate",
        "key_retire",
    ];

    /// The question of a request.
    ///
    /// # Errors
    /// A sentence for the asker, if there is no such question or its fields are not what it needs.
    pub fn of(request: &Request) -> Result<Self, String> {
        let what = &request.what;
        if !Self::NAMES.contains(&what.as_str()) {
            let (last, others) = Self::NAMES.split_last().unwrap_or((&"", &[]));
            let known = others.join(", ");
            return Err(format!(
                "this manager does not know the request '{what}'; it knows {known} and {last}"
            ));
        }
        let mut fields = request.fields.clone();
        fields.insert("what".to_owned(), what.as_str().into());
        serde_json::from_value(Value::Object(fields))
            .map_err(|error| format!("the request '{what}' cannot be read: {error}"))
    }

    /// This question as a request with the asker's number.
    #[must_use]
    pub fn numbered(&self, request: u64) -> Request {
        let mut fields = fields_of(self);
        let what = match fields.remove("what") {
            Some(Value::String(what)) => what,
            Some(_) | None => String::new(),
        };
        Request { request, what, fields }
    }
}
