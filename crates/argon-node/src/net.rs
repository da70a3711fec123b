//! Moving frames: who may listen where, the handshake on both sides, and a connection after it.

pub mod accept;
pub mod address;
pub mod ask;
pub mod connection;
pub mod dial;
pub mod socket;

pub use connection::{Connection, End};
