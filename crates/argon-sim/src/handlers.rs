//! Handlers of events, by the part of the world that they concern. Each file adds methods to
//! [`World`](crate::world::World).

mod children;
mod clients;
mod closing;
mod dialling;
mod dispatch;
mod effects;
pub(crate) mod failover;
mod faults;
mod lying_clients;
mod lying_workers;
mod manager;
mod memory;
mod network;
mod peer_messages;
mod receivers;
mod reruns;
mod rogue_rules;
pub(crate) mod rogues;
mod runners;
mod steps;
mod tasks;
mod templates;
pub(crate) mod watch;
mod worker;
mod worker_messages;
