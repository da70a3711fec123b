//! The session of a client, without the world: what it sends, what it keeps, and what its callers get.
//!
//! [`SessionState`] is a state machine. Its shell tells it what happened (a connection, a frame, a loss, a time) and writes
//! what its outbox holds; callers add tasks and poll for their ends. There is no clock, socket, file, thread or
//! chance in this crate: `now` and the identity of the session are arguments, and a [`Waker`](std::task::Waker) is
//! only kept and handed back. The shell is the crate `argon`.

mod blob;
mod error_kind;
mod session;
mod waiting;

pub use blob::{Blob, Blobs, known_blob};
pub use error_kind::ErrorKind;
pub use session::{
    Addition, Completion, Disposition, Member, OutputAccount, OutputChunk, OutputMode, Printed, Question,
    SessionState,
};
pub use waiting::Waiting;
