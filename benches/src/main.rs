//! `argon-bench`: measures what Argon costs, and the floor below it. One subcommand, one file.
//!
//! Every measurement prints a table for people and, after `--json`, one JSON object for the script that writes
//! `docs/benchmarks.md`. Nothing here is part of the program.

mod arguments;
mod fleet;
mod floods;
mod manager;
mod process;
mod relay;
mod samples;
mod spread;

use arguments::Arguments;

const FLEET: &[&str] = &["workers", "queued", "slots", "tasks", "payload", "run-us", "clients", "churn"];

const USAGE: &str = "\
usage: argon-bench WHAT [--json] [OPTION VALUE]...

  relay    the floor: four processes joined as Argon's are, that only pass bytes on
           --trips N (20000)  --messages N (2000000)  --mebibytes N (2000)
  spread   the floor below a manager of many workers: one process that passes each message on to the next connection
           --peers N,N (10,1000,10000)  --messages N (300000)
  fleet    the real manager under virtual workers: processor time and memory by workers and queue length
           --workers N,N (10,100,1000,10000)  --queued N,N (0,100000,1000000)  --slots N (16)  --tasks N (300000)
           --payload BYTES (16)  --run-us N (1000000)  --clients N (as few as their credit allows)
           --churn WORKERS-A-SECOND (0)

  floods   an honest client next to floods of holders of the key: its round trips, and the manager's memory
           --trips N (3000)

Build with --release; every figure is of this machine, now.";

fn main() -> std::process::ExitCode {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_default();
    let done = match what.as_str() {
        relay::HOP => relay::hop(words),
        "relay" => Arguments::parse(words, &["trips", "messages", "mebibytes"]).and_then(|a| relay::run(&a)),
        spread::HUB => spread::hub(words),
        "spread" => Arguments::parse(words, &["peers", "messages"]).and_then(|a| spread::run(&a)),
        "fleet" => Arguments::parse(words, FLEET).and_then(|a| fleet::run(&a)),
        "floods" => Arguments::parse(words, &["trips"]).and_then(|a| floods::run(&a)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            std::process::ExitCode::from(2)
        }
    }
}
