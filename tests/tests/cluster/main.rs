//! Black-box tests of the real program, in one executable: each file one subject.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod bad_kinds;
mod broken_output;
mod broken_streams;
mod caller;
mod calls;
mod cancelling;
mod chaos;
mod command_line;
mod commands;
mod commit_steps;
mod detached;
mod door;
mod draining;
mod endings;
mod escapes;
mod exhaustion;
mod failover;
mod frozen;
mod golden;
mod keys;
mod loss;
mod manager_kills;
mod map_commands;
mod nested;
mod outputs;
mod partitions;
mod reconnect_storm;
mod run_commands;
mod runner_deaths;
mod runner_limits;
mod rust_programs;
mod rust_session;
mod scaling;
mod slow_peers;
mod staged;
mod starting;
mod store_faults;
mod submit_commands;
mod support;
mod task_clients;
mod task_control;
mod waiting;
mod wall_clock;
mod worker_restarts;
