//! Argon's decisions, without the world.
//!
//! [`scheduler::Scheduler`] is the state machine of the manager, [`pool::Pool`] that of the worker. Both are driven the same way:
//! `step(now, input, &mut out)` takes one fact and appends what is to be done about it. There is no clock,
//! file, socket, thread or chance in this crate; time and identity are arguments, so a run can be repeated
//! to the byte. The shell (`argon-node`) and the simulator (`argon-sim`) are the two callers.
//!
//! Before each of the two stands a [`gate`]: a task passes when the blobs that it names are here. [`outcome_batch`] decides
//! when a worker writes to its manager. [`newcomers`] has the machines that a manager lets in without a key.

mod arena;
mod estimate;
pub mod gate;
pub mod newcomers;
pub mod outcome_batch;
pub mod pool;
pub mod scheduler;

pub use argon_proto::Machine;
pub use argon_proto::time::{self, Time};
