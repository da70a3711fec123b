//! Session of a client, without the world: what it sends, what it keeps, and what its callers get.
//!
//! [`SessionState`] is a state machine like the scheduler and the pool of `argon-core`: `step(now, input, &mut out)` takes
//! one fact. In addition callers have methods, because each of them needs an answer at once; `docs/design/session.md` says
//! why. There is no clock, socket, file, thread or chance in this crate: time and the identity of the session are
//! arguments, and a [`Waker`](std::task::Waker) is only kept and handed back. The crate `argon` is its shell, and the
//! simulator drives it as well.

mod blob;
mod error_kind;
mod session;
mod waiting;

pub use blob::{Blob, Blobs, known_blob};
pub use error_kind::ErrorKind;
pub use session::{
    Addition, Completion, Effect, Input, Member, Out, OutputAccount, OutputChunk, OutputMode, Printed,
    Question, SessionState,
};
pub use waiting::Waiting;
