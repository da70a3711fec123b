//! Counts of the peers that a listener turned away, by reason.

use std::cell::RefCell;
use std::collections::BTreeMap;

use argon_proto::handshake::Refusal;

use crate::handshake::OpeningError;

/// Connections that were turned away, by reason. The reasons are those of REFUSED, and a few for peers that get no answer.
#[derive(Debug)]
pub struct DoorCounts(RefCell<BTreeMap<&'static str, u64>>);

/// Reasons that have a count from the beginning, so that the first event of each is seen as one.
const REASONS: [&str; 13] = [
    "broken",
    "busy",
    "frame",
    "http",
    "key",
    "pairing",
    "plaintext",
    "role",
    "silent",
    "stranger",
    "tls",
    "token",
    "version",
];

impl Default for DoorCounts {
    fn default() -> Self {
        Self(RefCell::new(REASONS.into_iter().map(|reason| (reason, 0)).collect()))
    }
}

/// Why a peer was turned away.
pub(super) struct TurnedAway {
    /// The reason as a word, of which there are few.
    pub(super) reason: &'static str,
    /// The same as a sentence.
    pub(super) why: String,
}

impl DoorCounts {
    /// The counts by reason.
    #[must_use]
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        self.0.borrow().iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    pub(super) fn count(&self, reason: &'static str) {
        *self.0.borrow_mut().entry(reason).or_default() += 1;
    }
}

impl TurnedAway {
    /// The connection ended, or broke.
    pub(super) fn broken(error: OpeningError) -> Self {
        match error {
            OpeningError::Broken(error) => Self { reason: "broken", why: error.to_string() },
            OpeningError::Refused(refusal) => refusal.into(),
        }
    }

    /// The peer does not speak the protocol.
    pub(super) fn stranger(why: &str) -> Self {
        Self { reason: "stranger", why: why.to_owned() }
    }
}

impl From<Refusal> for TurnedAway {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.code.name(), why: refusal.message }
    }
}
