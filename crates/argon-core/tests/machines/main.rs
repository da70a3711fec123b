//! The scheduler and the pool through their public interface: facts go in, effects and records come out. One program for
//! all files, so that the crate is linked once.

mod capabilities;
mod children;
mod environments;
mod explaining;
mod facts;
mod failing_kinds;
mod family_rights;
mod hand;
mod kinds;
mod lies;
mod losses;
mod manager;
mod memory;
mod nested_memory;
mod order;
mod outcomes;
mod owners;
mod pausing;
mod pool;
mod prefetch;
mod questions;
mod rests;
mod runners;
mod settlements;
mod standby;
mod steps;
mod stored;
mod templates;
mod waiting;
