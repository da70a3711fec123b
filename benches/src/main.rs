//! `argon-bench`: measures what Argon costs, and the floor below it. One subcommand, one file.
//!
//! Every measurement prints a table for people and, after `--json`, one JSON object for the script that writes
//! `docs/benchmarks.md`. Nothing here is part of the program.

mod fleet;
mod floods;
mod manager;
mod process;
mod relay;
mod samples;
mod spread;
mod stored;
mod waiting;

use std::process::ExitCode;

use clap::Parser;

/// Measures what a task costs, and the floor that the kernel sets.
#[derive(Debug, Parser)]
#[command(
    name = "argon-bench",
    version,
    after_help = "Build with --release; every figure is of this machine, now.\n\nExit status: 0 measured, 2 not."
)]
enum Bench {
    /// The floor: four processes joined as Argon's are, that only pass bytes on
    Relay(relay::Options),
    /// The floor below a manager of many workers: one process that passes each message on to the next connection
    Spread(spread::Options),
    /// The real manager under virtual workers: processor time and memory by workers and queue length
    Fleet(fleet::Options),
    /// An honest client next to floods of holders of the key: its round trips, and the manager's memory
    Floods(floods::Options),
    /// Detached tasks of 1 MiB: what a manager of little memory keeps of each, in memory and on the disk
    Stored(stored::Options),
    #[command(name = relay::HOP, hide = true)]
    Hop { way: relay::Way },
    #[command(name = spread::HUB, hide = true)]
    Hub { peers: usize },
}

fn main() -> ExitCode {
    let measured = match Bench::parse() {
        Bench::Relay(options) => relay::run(&options),
        Bench::Spread(options) => spread::run(&options),
        Bench::Fleet(options) => fleet::run(&options),
        Bench::Floods(options) => floods::run(&options),
        Bench::Stored(options) => stored::run(&options),
        Bench::Hop { way } => relay::hop(way),
        Bench::Hub { peers } => spread::hub(peers),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("argon-bench: {why}");
            ExitCode::from(2)
        }
    }
}
