//! The command line of `argon-sim`.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;

use argon_sim::{Fleet, Mode};

/// Runs seeds of the simulator until one breaks a promise.
#[derive(Debug, Parser)]
#[command(
    name = "argon-sim",
    version,
    after_help = "\
Without options, the seeds 1 to 1000 are run. A seed that breaks a promise is shown with the fewest tasks and faults
that still break it, its last events, and the command that repeats it.

Examples:
  argon-sim --seeds 1000000..2000000 --jobs 2   run a range of seeds on two threads
  argon-sim --minutes 10 --all                  run new seeds for ten minutes, count the breaks by kind
  argon-sim --seed 105504 --trace               run one seed and print every event
  argon-sim --workers 2000 --tasks 100000       run one large fleet that loses workers at random

Exit status: 0 every promise held, 1 one was broken, 2 the command was used wrongly."
)]
pub(crate) struct Options {
    /// Number of seeds, or a range of which the end is not run
    #[arg(long, value_name = "N|FROM..TO", value_parser = read_seeds, conflicts_with_all = ["seed", "time"])]
    seeds: Option<Seeds>,
    /// First seed [default: 1]
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seed", "time", "workers"])]
    from: Option<u64>,
    /// Runs seeds that were not tried before, for N minutes
    #[arg(long, value_name = "N", group = "time", conflicts_with = "seed")]
    minutes: Option<u64>,
    /// Runs seeds that were not tried before, for N seconds
    #[arg(long, value_name = "N", group = "time", conflicts_with = "seed")]
    seconds: Option<u64>,
    /// Runs this seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// Prints every event of `--seed` or of the fleet
    #[arg(long)]
    trace: bool,
    /// Threads that run seeds [default: one for each processor]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Continues after a broken promise, and counts the breaks by kind
    #[arg(long)]
    all: bool,
    /// Runs one fleet of N workers
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "time"])]
    workers: Option<NonZeroUsize>,
    /// Slots of each worker of the fleet
    #[arg(long, value_name = "N", default_value = "16", requires = "workers")]
    slots: NonZeroUsize,
    /// Tasks of the fleet
    #[arg(long, value_name = "N", default_value = "200000", requires = "workers")]
    tasks: usize,
    /// Workers that the fleet loses [default: every twentieth]
    #[arg(long, value_name = "N", requires = "workers")]
    losses: Option<usize>,
}

/// Work that the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Seeds { seeds: Range<u64>, jobs: usize, keeps_going: bool },
    Soak { time: Duration, jobs: usize, keeps_going: bool },
    One { seed: u64, mode: Mode },
    Fleet { seed: u64, fleet: Fleet, mode: Mode },
}

/// Value of `--seeds`.
#[derive(Clone, Debug)]
enum Seeds {
    Count(u64),
    Range(Range<u64>),
}

impl Options {
    pub(crate) fn into_command(self) -> Command {
        let mode = if self.trace { Mode::Print } else { Mode::Tail };
        if let Some(workers) = self.workers.map(NonZeroUsize::get) {
            let losses = self.losses.unwrap_or(workers / 20);
            let fleet = Fleet { workers, slots: self.slots.get(), tasks: self.tasks, losses };
            return Command::Fleet { seed: self.seed.unwrap_or(1), fleet, mode };
        }
        if let Some(seed) = self.seed {
            return Command::One { seed, mode };
        }
        let jobs = self.jobs.map_or_else(processors, NonZeroUsize::get);
        let keeps_going = self.all;
        if let Some(seconds) = self.minutes.map(|minutes| minutes.saturating_mul(60)).or(self.seconds) {
            return Command::Soak { time: Duration::from_secs(seconds), jobs, keeps_going };
        }
        let from = self.from.unwrap_or(1);
        let seeds = match self.seeds.unwrap_or(Seeds::Count(1_000)) {
            Seeds::Range(range) => range.start.max(from)..range.end,
            Seeds::Count(count) => from..from.saturating_add(count),
        };
        Command::Seeds { seeds, jobs, keeps_going }
    }
}

fn read_seeds(text: &str) -> Result<Seeds, String> {
    let complaint = || "give a number of seeds, or a range such as 1000..2000".to_owned();
    let number = |text: &str| text.parse().map_err(|_| complaint());
    match text.split_once("..") {
        None => number(text).map(Seeds::Count),
        Some((from, to)) => {
            let range = number(from)?..number(to)?;
            if range.is_empty() { Err(complaint()) } else { Ok(Seeds::Range(range)) }
        }
    }
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let words = std::iter::once("argon-sim").chain(line.split_whitespace());
        Options::try_parse_from(words).map(Options::into_command).map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_of_use_is_understood() {
        let seeds = |seeds, jobs| Ok(Command::Seeds { seeds, jobs, keeps_going: false });
        assert_eq!(parsed(""), seeds(1..1_001, processors()));
        assert_eq!(parsed("--seeds 5 --from 9"), seeds(9..14, processors()));
        assert_eq!(parsed("--from 9"), seeds(9..1_009, processors()));
        assert_eq!(parsed("--seeds 5..20 --from 9"), seeds(9..20, processors()));
        assert_eq!(parsed("--seeds 1000000..2000000 --jobs 2"), seeds(1_000_000..2_000_000, 2));
        let soak = Command::Soak { time: Duration::from_secs(9), jobs: 1, keeps_going: true };
        assert_eq!(parsed("--seconds 9 --jobs 1 --all"), Ok(soak));
        assert_eq!(parsed("--seed 42 --trace"), Ok(Command::One { seed: 42, mode: Mode::Print }));
        let time = Duration::from_secs(120);
        let soak = Command::Soak { time, jobs: processors(), keeps_going: false };
        assert_eq!(parsed("--minutes 2"), Ok(soak));
        let fleet = Fleet { workers: 2000, slots: 16, tasks: 7, losses: 100 };
        let expected = Command::Fleet { seed: 1, fleet, mode: Mode::Tail };
        assert_eq!(parsed("--workers 2000 --tasks 7"), Ok(expected));
        let fleet = Fleet { workers: 40, slots: 2, tasks: 200_000, losses: 0 };
        let expected = Command::Fleet { seed: 7, fleet, mode: Mode::Print };
        assert_eq!(parsed("--workers 40 --slots 2 --losses 0 --seed 7 --trace"), Ok(expected));
    }

    #[test]
    fn wrong_values_and_options_that_exclude_each_other_are_refused() {
        for (line, part) in [
            ("--seeds many", "'many'"),
            ("--seeds 1..x", "such as 1000..2000"),
            ("--seeds 9..9", "such as 1000..2000"),
            ("--sead 1", "'--sead'"),
            ("--jobs 0", "'0'"),
            ("--minutes 1 --seconds 1", "--seconds"),
            ("--seed 1 --minutes 1", "--seed"),
            ("--tasks 9", "--workers"),
        ] {
            let complaint = parsed(line).expect_err(line);
            assert!(complaint.contains(part), "{line}: {complaint}");
        }
    }
}
