//! Argon's simulator: the real scheduler and the real pools under one virtual clock, with a virtual network, store and
//! runners, faults by a seed's schedule, and an oracle that judges what every process did and was told.
//!
//! [`Plan::of_seed`] makes a run of a number; [`run`] runs it; [`shrink`] looks for a smaller run that fails as well. A plan runs
//! the same way every time, to the last byte of its trace: [`Summary::trace_hash`] says so.

mod agenda;
mod chaos;
mod client;
mod clock;
mod closing;
mod described;
mod event;
mod fault;
mod fleet;
mod manager;
mod manager_door;
mod net;
mod oracle;
mod plan;
mod random;
mod run;
mod runner;
mod shrink;
mod store;
mod task;
mod trace;
mod wire;
mod worker;
mod worker_reads;
mod world;

pub use event::Dialler;
pub use fault::{Fault, What};
pub use fleet::{Fleet, fleet_plan};
pub use plan::{Deed, Plan, Shape, TaskPlan};
pub use random::Random;
pub use run::{Failure, Summary, run, run_seed};
pub use shrink::shrink;
pub use trace::Mode;
