//! Requests about machines without a key: who waits, who is let in, and join tokens.

use serde::{Deserialize, Serialize};

use crate::line::Line;
use crate::pairing::PairingCode;

/// The answer to the question who waits to be let in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewcomerList {
    /// The machines, the first to come first.
    pub waiting: Vec<Newcomer>,
    /// Attempts since the start that broke off before a code was shown: many of them are a search for a code.
    pub broken_off: u64,
}

/// A machine that waits to be let in, or was let in or sent away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Newcomer {
    /// The code that it shows if nobody is in between.
    pub code: PairingCode,
    /// Name of the role that it asks for.
    pub wants: Line,
    /// Its name for itself.
    pub host: Line,
    /// Its user, as it says.
    pub user: Line,
    /// The address that it comes from.
    pub from: Line,
    /// Time since it began to wait, seconds.
    pub age_s: u64,
}

/// Asks for a join token.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Invite {
    /// Name of the role whose key it is good for.
    pub role: String,
    /// Machines that it lets in: one unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Milliseconds for which it is good: ten minutes unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// The manager's address in it, `HOST:PORT`: what the manager takes itself to be unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// The answer to an [`Invite`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invited {
    /// The text that `argon join` takes.
    pub token: String,
    /// Time for which it is good, milliseconds.
    pub for_ms: u64,
    /// Machines that it lets in.
    pub uses: u32,
}
