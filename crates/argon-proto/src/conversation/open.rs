//! The opening message of a client, and of the client of a task.

use serde::{Deserialize, Serialize};

use super::json::json_body;
use crate::id::{Family, Incarnation, SessionId};
use crate::limit::INTRODUCTION_BYTES;
use crate::line::Line;
use crate::secret::Secret;

/// Opening of a client's session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Open {
    /// Its name for people; may be empty.
    #[serde(default)]
    pub client: Line,
    /// Its host; may be empty.
    #[serde(default)]
    pub host: Line,
    /// Its process id; 0 if unknown.
    #[serde(default)]
    pub pid: u32,
    /// The space of process ids that `pid` is of. Empty if it is unknown, or if the client's tasks are to go on for a while
    /// when its process has ended.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub pid_space: Line,
    /// The manager that the session was connected to last; none on its first connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Incarnation>,
    /// Proof that the session is its own.
    pub secret: Secret,
    /// Its session, which is made of the secret.
    pub session: SessionId,
}

fn is_empty(line: &Line) -> bool {
    line.is_empty()
}

impl Open {
    /// A client of which nothing but its secret is known.
    #[must_use]
    pub fn of(secret: Secret) -> Self {
        let session = SessionId::of(&secret);
        let (client, host, pid_space) = (Line::default(), Line::default(), Line::default());
        Self { client, host, pid: 0, pid_space, previous: None, secret, session }
    }

    /// Opens a session inside a task of this family.
    #[must_use]
    pub fn of_child(family: Family, secret: Secret) -> Self {
        Self { session: SessionId::of_child(family, &secret), ..Self::of(secret) }
    }
}

json_body!(Open, "OPEN", up to INTRODUCTION_BYTES);
