//! Argon's simulator: the production machines of manager, worker and client under one virtual clock, with a virtual network,
//! store and runners, faults by the schedule of a seed, and an oracle that judges what every process did and received.
//!
//! [`RunPlan::of_seed`] makes a run of a number; [`run`] runs it; [`shrink`] looks for a smaller run that fails as well. A plan runs
//! the same way every time, to the last byte of its trace: [`Summary::trace_hash`] shows it.

mod blobs;
mod client;
mod clock;
mod described;
mod dial_state;
mod event;
mod event_queue;
mod fault;
mod fleet;
mod handlers;
mod lateness;
mod manager;
mod net;
mod oracle;
mod plan;
mod random;
mod rogue;
mod run;
mod shape;
mod shrink;
mod store;
mod trace;
mod worker;
mod world;

pub use event::Dialler;
pub use fault::{Fault, FaultKind};
pub use fleet::{Fleet, fleet_plan};
pub use plan::{RunPlan, TaskBehaviour, TaskPlan};
pub use random::Random;
pub use rogue::{RoguePlan, RogueRole};
pub use run::{Failure, Summary, run, run_seed};
pub use shape::Shape;
pub use shrink::shrink;
pub use trace::Mode;
