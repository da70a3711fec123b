//! Answers to questions about keys.

use serde::{Deserialize, Serialize};

use crate::holder::{KeyId, OwnerName};

/// A key of a person, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PersonKey {
    /// Its number.
    pub id: KeyId,
    /// The person.
    pub name: OwnerName,
    /// Name of the role that it opens.
    pub role: String,
    /// When it was made, seconds since 1970.
    pub made: u64,
    /// When it was revoked; `None` while it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

/// The answer to [`super::Question::KeyAdd`]. The secret follows from the cluster key, which is not sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyAdded {
    /// The key.
    pub key: PersonKey,
    /// The manager's file of keys; `None` if it keeps them in memory only.
    #[serde(default)]
    pub file: Option<String>,
}

/// The answer to [`super::Question::KeyList`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyList {
    /// Keys in force and revoked ones, by name.
    pub keys: Vec<PersonKey>,
    /// The manager's file of keys; `None` if it keeps them in memory only.
    pub file: Option<String>,
    /// The cluster keys that are valid, the newest first.
    pub cluster: Vec<ClusterKey>,
}

/// A cluster key that opens a manager, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterKey {
    /// The pin of its identity.
    pub pin: String,
    /// Open connections that have proven it, or a key that follows from it.
    pub connections: usize,
}

/// The answer to [`super::Question::KeyRotate`] and [`super::Question::KeyRetire`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyRotated {
    /// The cluster keys that are valid now, the newest first.
    pub keys: Vec<ClusterKey>,
    /// File of the newest on the manager's machine.
    pub file: Option<String>,
}

/// The answer to [`super::Question::KeyRevoke`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeysRevoked {
    /// Keys that were in force.
    pub keys: Vec<PersonKey>,
    /// Number of connections that were closed.
    pub closed: usize,
}
