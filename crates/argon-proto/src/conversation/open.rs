//! The opening message of a client, and of the client of a task.

use serde::{Deserialize, Serialize};

use super::json::json_body;
use crate::id::SessionId;

/// Who a client is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Open {
    /// Its name for people; may be empty.
    #[serde(default)]
    pub client: String,
    /// Its host; may be empty.
    #[serde(default)]
    pub host: String,
    /// Its process id; 0 if unknown.
    #[serde(default)]
    pub pid: u32,
    /// Its session.
    pub session: SessionId,
}

impl Open {
    /// A client of which nothing but its session is known.
    #[must_use]
    pub fn of(session: SessionId) -> Self {
        Self { client: String::new(), host: String::new(), pid: 0, session }
    }
}

json_body!(Open, "OPEN");
