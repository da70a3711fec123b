//! Argon's words: ids, tasks, outcomes, the messages of each conversation, frames and the proof of the key.
//!
//! Everything here is a value, or a pure function from bytes to values and back. The crate opens no socket, reads no
//! clock and makes no decision. `spec/protocol.md` is its contract; the vectors in `spec/vectors/` are its tests, which
//! the other languages share.

pub mod backoff;
pub mod byte_lru;
pub mod capability;
pub mod conversation;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod holder;
pub mod id;
#[cfg(feature = "servers")]
pub mod join;
pub mod key;
pub mod kind;
pub mod limit;
pub mod line;
pub mod machine;
pub mod metrics_token;
pub mod outcome;
#[cfg(feature = "servers")]
pub mod pairing;
pub mod payload;
pub mod secret;
pub mod task;
pub mod task_name;
pub mod time;

pub use byte_lru::ByteLru;
pub use capability::{AttemptKey, AttemptToken, Capabilities, Ticket, TicketToken};
pub use conversation::Message;
pub use error::DecodeError;
pub use id::{Attempt, AttemptId, BlobHash, Family, Incarnation, RunnerId, SessionId, TaskId, WorkerId};
pub use line::Line;
pub use machine::Machine;
pub use outcome::{Outcome, OutcomeHead, Report, Status};
pub use payload::Payload;
pub use secret::Secret;
pub use task::{Codec, Flags, Priority, Runtime, Task, TaskHead};
pub use task_name::TaskName;
pub use time::Time;

/// The protocol version that this release speaks, lowest and highest.
pub const PROTOCOL_VERSIONS: (u16, u16) = (2, 2);
