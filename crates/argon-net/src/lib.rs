//! The network of Argon: how a connection is dialled, accepted, proven and carried, and where keys are kept.
//!
//! Everything here moves bytes and keeps time. What the messages mean is decided by the crates that use it: the client,
//! the manager, the worker and the commands. [`Stream`] is the only place that knows what carries the bytes: plain TCP on one
//! machine, TLS between machines.
//!
//! | task | module |
//! |---|---|
//! | reach a manager once | [`dial()`] |
//! | let peers in (feature `listen`) | `accept`, `listen` |
//! | carry the frames of a connection, both ways, until it ends | [`carrier`] |
//! | the same, for an owner on the same thread who sends messages | [`connection`] |
//! | find, make and write a key file | [`key_file`] |
//! | know a manager: its certificate and pin | [`identity`] |
//! | get a key: by a code that a person compares, or a join token | [`newcomer`] |
//! | decide what is encrypted and who is trusted | [`trust`] |
//! | encrypt a connection | `tls` |
//! | read an address as people write it | [`address`] |
//! | bound the memory of all connections | [`ledger`] |
//! | prepare the heap for big payloads | [`memory`] |
//! | compare the machines of two processes | [`pid_space`] |
//! | let connections take turns | [`turns`] |
//! | dial where large packets get lost | [`segments`] |

#[cfg(feature = "listen")]
pub mod accept;
pub mod address;
pub mod carrier;
pub mod connection;
pub mod dial;
mod handshake;
pub mod identity;
pub mod key_file;
pub mod ledger;
#[cfg(feature = "listen")]
pub mod listen;
pub mod memory;
#[cfg(feature = "listen")]
pub mod newcomer;
pub mod pid_space;
pub mod random;
pub mod segments;
mod stream;
mod tls;
pub mod trust;
pub mod turns;

pub use carrier::{ConnectionEnd, Receiver, Silence};
pub use connection::{Connection, Inbox};
pub use dial::{Connected, DialError, dial};
pub use stream::{ReadHalf, Stream, WriteHalf};
#[cfg(feature = "listen")]
pub use tls::accept::Certificates;
pub use tls::{TlsReader, TlsStream, TlsWriter};
pub use trust::{Encryption, Trust};
pub use turns::ReadTurns;
