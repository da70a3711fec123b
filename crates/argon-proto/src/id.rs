//! Identities: sessions, tasks, attempts, workers and blobs, each a type of its own.
//!
//! In JSON an id is its hexadecimal form, and the start of a task is the pair of its id and number.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A client's identity across reconnects, made of the client's [`Secret`](crate::Secret). The client of a task takes the
/// first half from the task's session: see [`SessionId::family`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

/// A task's identity and idempotency key: its session and the client's sequence number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The session of the client that made the task.
    pub session: SessionId,
    /// The client's own number for it.
    pub sequence: u64,
}

/// The sessions of one client and of all its tasks' clients: the first 8 bytes of each of these session ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Family(pub u64);

/// A worker's number for a runner process, unique for the life of the worker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct RunnerId(pub u64);

/// The number of one start of a task: 1, 2, …; 0 where none was started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Attempt(pub u32);

/// One start of one task: what STOP, SETTLED and RETURNED name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(from = "(TaskId, Attempt)", into = "(TaskId, Attempt)")]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// The number of the start.
    pub attempt: Attempt,
}

/// A worker process' identity, made of its [`Secret`](crate::Secret).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub [u8; 16]);

/// One start of a manager: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Incarnation(pub [u8; 16]);

/// The SHA-256 of a blob's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobHash(pub [u8; 32]);

/// Text that is not the hexadecimal form of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {what}: expected {digits} hexadecimal digits")]
pub struct ParseIdError {
    text: String,
    what: &'static str,
    digits: usize,
}

impl SessionId {
    /// Family of this session.
    #[must_use]
    pub fn family(self) -> Family {
        Family(self.words()[0])
    }

    /// The id as two numbers.
    #[must_use]
    pub fn words(self) -> [u64; 2] {
        let number = u128::from_be_bytes(self.0);
        [(number >> 64) as u64, number as u64]
    }
}

impl TaskId {
    /// Bytes of a task id on the wire.
    pub const BYTES: usize = 24;

    /// The id as it stands on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.session.0);
        bytes[16..].copy_from_slice(&self.sequence.to_be_bytes());
        bytes
    }

    /// Reads an id from its wire form.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut session = [0; 16];
        session.copy_from_slice(&bytes[..16]);
        let mut sequence = [0; 8];
        sequence.copy_from_slice(&bytes[16..]);
        Self { session: SessionId(session), sequence: u64::from_be_bytes(sequence) }
    }
}

impl Attempt {
    /// The attempt after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<(TaskId, Attempt)> for AttemptId {
    fn from((task, attempt): (TaskId, Attempt)) -> Self {
        Self { task, attempt }
    }
}

impl From<AttemptId> for (TaskId, Attempt) {
    fn from(id: AttemptId) -> Self {
        (id.task, id.attempt)
    }
}

impl BlobHash {
    /// Bytes of a hash.
    pub const BYTES: usize = 32;

    /// The hash of a whole blob.
    #[must_use]
    pub fn of(parts: &[bytes::Bytes]) -> Self {
        let mut hasher = BlobHasher::default();
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

/// The hash of a blob that is computed a part at a time.
#[derive(Clone, Debug, Default)]
pub struct BlobHasher(Sha256);

impl BlobHasher {
    /// Appends bytes of the blob.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all appended bytes.
    #[must_use]
    pub fn finish(self) -> BlobHash {
        BlobHash(self.0.finalize().into())
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads exactly `N` bytes of hexadecimal; `None` for anything else.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

macro_rules! hexadecimal_id {
    ($name:ident, $bytes:literal, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), to_hex(&self.0[..4]))
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                from_hex::<$bytes>(text).map(Self).ok_or_else(|| ParseIdError {
                    text: text.chars().take(80).collect(),
                    what: $what,
                    digits: $bytes * 2,
                })
            }
        }
    };
}

macro_rules! text_in_json {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

text_in_json!(SessionId);
text_in_json!(TaskId);
text_in_json!(WorkerId);
text_in_json!(Incarnation);
text_in_json!(BlobHash);

hexadecimal_id!(SessionId, 16, "a session id");
hexadecimal_id!(WorkerId, 16, "a worker id");
hexadecimal_id!(Incarnation, 16, "an incarnation of a manager");
hexadecimal_id!(BlobHash, 32, "a blob hash");

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.to_bytes()))
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…#{}", to_hex(&self.session.0[..4]), self.sequence)
    }
}

impl FromStr for TaskId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        from_hex::<24>(text).map(Self::from_bytes).ok_or_else(|| ParseIdError {
            text: text.chars().take(80).collect(),
            what: "a task id",
            digits: Self::BYTES * 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_id_survives_bytes_and_text() {
        let id = TaskId { session: SessionId([7; 16]), sequence: 0x0102_0304_0506_0708 };
        assert_eq!(TaskId::from_bytes(id.to_bytes()), id);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn text_that_is_no_id_is_named_in_the_error() {
        let error = "xyz".parse::<TaskId>().expect_err("not an id");
        assert_eq!(error.to_string(), "'xyz' is not a task id: expected 48 hexadecimal digits");
        assert!("é".repeat(16).parse::<SessionId>().is_err());
    }
}
