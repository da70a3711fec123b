//! Processes: how they start, what marks them, how what they leave behind is ended.

mod clone;
pub(crate) mod environment;
pub(crate) mod group;
pub mod guardian;
pub(crate) mod kernel;
pub(crate) mod lease_pipe;
pub(crate) mod leftovers;
pub(crate) mod mark;
mod quiet;
pub(crate) mod sandbox;
pub(crate) mod shield;
pub(crate) mod spawn;
pub(crate) mod spawners;
pub(crate) mod start;
pub(crate) mod sweep;
pub(crate) mod user;
