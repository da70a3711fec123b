//! Between a task's own client and its worker (`spec/protocol.md`, section 9).
//!
//! A client inside a task reaches the manager through its worker: it speaks [`super::client`] over the worker's socket.
//! The worker relays the frames and reads those of [`FromChild`] itself. It opens the relayed connection to the manager
//! with a [`ChildOpen`], which it makes of [`Child`] and [`Open`].

use std::fmt;
use std::str::FromStr;

use bytes::BufMut;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::body::{plain_body, take_bool};
use super::json::json_body;
use super::{Open, messages};
use crate::capability::AttemptToken;
use crate::id::{Attempt, Incarnation, SessionId, TaskId, WorkerId, from_hex, to_hex};
use crate::limit::INTRODUCTION_BYTES;
use crate::line::Line;
use crate::secret::Secret;

messages! {
    /// Messages of a task's client that its worker reads itself; it relays all others.
    pub enum FromChild {
        /// First message of the connection: the attempt whose client this is.
        Child(Child) = CHILD,
        /// Second message: the client's session.
        Open(Open) = OPEN,
        /// The client begins to wait for outcomes, or goes on.
        Waits(Waits) = WAITS,
    }
    without a body {}
}

/// Proof of a process of a task, and the attempt that it executes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Child {
    /// Secret of the process, from its environment.
    pub token: TaskToken,
    /// The task that the process executes.
    pub task: TaskId,
    /// The attempt.
    pub attempt: Attempt,
}

/// Opens the session of a task's client at the manager. The worker sends it in place of the client's [`Open`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChildOpen {
    /// The worker that executes the parent task.
    pub worker: WorkerId,
    /// The parent task.
    pub task: TaskId,
    /// The attempt of the parent that owns the session.
    pub attempt: Attempt,
    /// Token of this attempt, which the manager gave to the worker.
    pub token: AttemptToken,
    /// The session of the task's client.
    pub session: SessionId,
    /// Proof that the session is the client's own.
    pub secret: Secret,
    /// The manager that the session was connected to last, as far as the client knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Incarnation>,
    /// Name of the client for people; may be empty.
    #[serde(default)]
    pub client: Line,
    /// Host of the client; may be empty.
    #[serde(default)]
    pub host: Line,
    /// Process id of the client; 0 if unknown.
    #[serde(default)]
    pub pid: u32,
}

/// True if the task waits for outcomes of its own tasks, so that its slot is free meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Waits(pub bool);

/// 16 random bytes by which a worker recognizes a process that it has started. `Debug` does not show them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskToken(pub [u8; 16]);

impl ChildOpen {
    /// The opening for a task's client that has sent these two messages to its worker.
    #[must_use]
    pub fn new(worker: WorkerId, child: &Child, token: AttemptToken, open: Open) -> Self {
        let Open { client, host, pid, previous, secret, session, .. } = open;
        let (task, attempt) = (child.task, child.attempt);
        Self { worker, task, attempt, token, session, secret, previous, client, host, pid }
    }
}

impl fmt::Display for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskToken(…)")
    }
}

/// Text that is not the token of a process. The message does not repeat it, because it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a task's token has 32 hexadecimal digits")]
pub struct ParseTokenError;

impl FromStr for TaskToken {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        from_hex(text).map(Self).ok_or(ParseTokenError)
    }
}

impl Serialize for TaskToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

json_body!(Child, "CHILD");
json_body!(ChildOpen, "CHILD_OPEN", up to INTRODUCTION_BYTES);

plain_body!(Waits, |waits, out| out.put_u8(u8::from(waits.0)), |mut body| Ok(Self(take_bool(
    &mut body, "waits"
)?)));
