//! What happens in the world, by what it happens to. Each file adds methods to [`World`](crate::world::World).

mod children;
mod clients;
mod closing;
mod dialling;
mod dispatch;
mod faults;
mod manager;
mod network;
mod peer_messages;
mod runners;
mod tasks;
mod templates;
mod worker;
mod worker_messages;
