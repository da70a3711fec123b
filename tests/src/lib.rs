//! The harness of the black-box tests: real processes of the real program, on loopback, with a key of their own.
//!
//! Nothing here sleeps for a fixed time: [`wait_for`] asks for a condition until a deadline. Every process that is started
//! belongs to a [`Cluster`] and ends with it.

mod client;
mod cluster;
mod process;
mod proxy;
mod wait;

pub use client::{WireClient, WirePeer};
pub use cluster::Cluster;
pub use process::{Finished, Process, argon, perl};
pub use proxy::{Proxy, Way};
pub use wait::{PATIENCE, wait_for};
