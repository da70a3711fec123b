//! Secrets of sessions and workers, and the ids derived from them.
//!
//! An id is public: status, logs and reports show it. Its secret proves that a peer owns the id. The id is a hash of
//! the secret, so every manager can verify the pair without stored state, also after a restart or a failover.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::id::{Family, SessionId, WorkerId, from_hex, to_hex};

const SESSION_LABEL: &[u8] = b"argon session\0";
const WORKER_LABEL: &[u8] = b"argon worker\0";

/// 32 random bytes of a session or a worker, on the wire 64 hexadecimal digits. `Debug` does not show them.
#[derive(Clone)]
pub struct Secret([u8; 32]);

/// Text that is not a secret. The message does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret has 64 hexadecimal digits")]
pub struct ParseSecretError;

impl Secret {
    /// A secret of these random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn hash(&self, label: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(label).chain_update(self.0).finalize().into()
    }
}

impl SessionId {
    /// Session of the client that holds this secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        Self(first(secret.hash(SESSION_LABEL)))
    }

    /// Session of a client inside a task: the family of the task's session, then 8 bytes of the secret's hash.
    #[must_use]
    pub fn of_child(family: Family, secret: &Secret) -> Self {
        let own: [u8; 8] = first(secret.hash(SESSION_LABEL));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&family.0.to_be_bytes());
        bytes[8..].copy_from_slice(&own);
        Self(bytes)
    }
}

impl WorkerId {
    /// Id of the worker that holds this secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        Self(first(secret.hash(WORKER_LABEL)))
    }
}

fn first<const N: usize>(hash: [u8; 32]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&hash[..N]);
    bytes
}

/// Compares in constant time.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl Eq for Secret {}

/// Compares two byte strings of one length without telling by its duration where they differ.
pub(crate) fn is_same<const N: usize>(one: &[u8; N], other: &[u8; N]) -> bool {
    let difference = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        from_hex(text).map(Self).ok_or(ParseSecretError)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_by_kind_and_secret_and_a_child_has_the_family_of_its_parent() {
        let (one, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let parent = SessionId::of(&one);
        assert_ne!(parent, SessionId::of(&other));
        assert_ne!(parent.0, WorkerId::of(&one).0);
        let child = SessionId::of_child(parent.family(), &other);
        assert_eq!(child.family(), parent.family());
        assert_eq!(child.0[8..], SessionId::of(&other).0[..8]);
    }

    #[test]
    fn a_secret_is_shown_by_no_text_but_its_json() {
        let secret = Secret::new([0xab; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let json = serde_json::to_string(&secret).expect("plain data");
        assert_eq!(json, format!("\"{}\"", "ab".repeat(32)));
        assert_eq!(serde_json::from_str::<Secret>(&json).expect("our own"), secret);
        let error = serde_json::from_str::<Secret>("\"abc\"").expect_err("too short");
        assert!(!error.to_string().contains("abc"), "{error}");
    }

    #[test]
    fn secrets_that_differ_in_one_bit_differ() {
        let mut bytes = [7; 32];
        bytes[31] ^= 1;
        assert_ne!(Secret::new(bytes), Secret::new([7; 32]));
    }
}
