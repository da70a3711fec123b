//! The manager's shell: doors for clients and workers around one scheduler.
//!
//! Events come from connections into one [`inbox::Inbox`]; the [`driver::Driver`] drains it in batches, lets the scheduler
//! decide, commits its records, and releases its effects to the peers. All on one thread, without locks.

pub(crate) mod cancel;
mod door;
pub mod driver;
pub mod inbox;
pub mod peer;
mod rates;
mod request;
pub mod serve;
pub mod store;

pub use driver::Driver;
pub use serve::{ManagerConfig, serve};
