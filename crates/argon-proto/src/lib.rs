//! Argon's words: ids, tasks, outcomes, messages, frames and the proof of the key.
//!
//! Everything here is a value or a pure function from bytes to values and back. The crate opens no
//! socket, knows no clock and takes no decision; `spec/protocol.md` is its contract and
//! `spec/vectors/*.json` its tests, shared with the other languages.

pub mod error;
pub mod frame;
pub mod handshake;
pub mod id;
pub mod key;
pub mod limit;
pub mod message;
pub mod outcome;
pub mod payload;
pub mod task;

pub use error::DecodeError;
pub use id::{Attempt, BlobHash, SessionId, TaskId, WorkerId};
pub use message::Message;
pub use outcome::{Outcome, OutcomeHead, Report, Status};
pub use payload::Payload;
pub use task::{Codec, Flags, Priority, Runtime, Task, TaskHead};

/// The protocol version that this release speaks, lowest and highest.
pub const PROTOCOL_VERSIONS: (u16, u16) = (1, 1);
