//! Call functions on a pool of machines.
//!
//! This is the Rust client of Argon. [`Client`] is a cheap handle on a session with a manager; it keeps every task until
//! its outcome is in hand, and comes back by itself after any loss, to the same manager or another.

mod address;
mod blob;
mod client;
mod error;
mod journal;
pub mod key;
mod options;
mod request;
mod running;
mod session;

pub use address::Addresses;
pub use argon_proto::{
    BlobHash, Codec, Outcome, OutcomeHead, Payload, Priority, Report, Runtime, Status, TaskId,
};
pub use blob::{Blob, Blobs};
pub use client::{Client, Connect};
pub use error::{Error, ErrorKind};
pub use options::{RetryOn, TaskOptions};
pub use request::Request;
pub use running::{Asked, Event, Running};
