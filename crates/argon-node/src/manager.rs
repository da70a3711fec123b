//! The manager's shell: connections of clients and workers around one scheduler.
//!
//! Connections add events to [`ingress::inbox`]. [`event_loop::ManagerLoop`] takes them in batches, steps the scheduler,
//! commits its records, and then carries out its effects. Everything runs on one thread, without locks.

pub mod event_loop;
mod feed;
pub mod ingress;
pub mod key_book;
pub mod key_files;
pub mod newcomers;
pub mod peers;
pub(crate) mod requests;
mod shell_counts;
pub mod store;
mod stranded;
pub mod web;

pub use event_loop::ManagerLoop;
pub use ingress::serve::{ManagerConfig, serve};
