//! Call functions on a pool of machines.
//!
//! This is the Rust client of Argon. [`Client`] is a cheap handle on a session with a manager; it keeps every task until
//! its outcome is in hand, and comes back by itself after any loss, to the same manager or another.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(test)]
extern crate self as argon;

mod address;
mod blob;
pub mod blocking;
mod call;
mod client;
mod deferred;
mod error;
mod foreign;
mod journal;
pub mod key;
mod map;
mod options;
mod program;
mod read;
mod request;
mod runner;
mod running;
mod session;
mod shared;

pub use address::Addresses;
pub use argon_macros::{main, task};
pub use argon_proto::{
    BlobHash, Codec, Outcome, OutcomeHead, Payload, Priority, Report, Runtime, Status, TaskId,
};
pub use blob::{Blob, Blobs};
pub use call::Call;
pub use client::{Client, Connect};
pub use deferred::Deferred;
pub use error::{Error, ErrorKind};
pub use foreign::{perl, perl_class, python};
pub use map::{Completed, Map};
pub use options::{RetryOn, TaskOptions};
pub use request::Request;
pub use runner::{current_task, serve_if_runner};
pub use running::{Asked, Event, Running};
pub use shared::Shared;
