//! The command line of `argon-sim`.

use std::ops::Range;
use std::thread::available_parallelism;
use std::time::Duration;

use argon_sim::{Fleet, Mode};

/// Told on request and after a mistake.
pub(crate) const USAGE: &str = "\
usage: argon-sim [--seeds FROM..TO] [--jobs N] [--all]
                                                    run these seeds, TO not included (default: 1..1001)
       argon-sim --seeds N [--from SEED]            run N seeds (default: from 1)
       argon-sim --minutes N | --seconds N          run seeds that nobody has tried yet
       argon-sim --seed SEED [--trace]              run one seed; print everything that happens
       argon-sim --workers N [--slots N] [--tasks N] [--losses N] [--seed SEED] [--trace]
                                                    one large fleet that loses workers at random

--jobs N runs on N threads (default: one for each processor). --all goes on after a seed that breaks a promise, and
counts the breaks by kind.

A seed that breaks a promise is shown thinned out, with its last events and the command that repeats it.
Exit codes: 0 every promise held, 1 one was broken, 2 the command was used wrongly.";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Seeds { seeds: Range<u64>, jobs: usize, keeps_going: bool },
    Soak { time: Duration, jobs: usize, keeps_going: bool },
    One { seed: u64, mode: Mode },
    Fleet { seed: u64, fleet: Fleet, mode: Mode },
}

#[derive(Default)]
struct Numbers {
    seeds: Option<u64>,
    from: Option<u64>,
    seed: Option<u64>,
    minutes: Option<u64>,
    seconds: Option<u64>,
    workers: Option<u64>,
    slots: Option<u64>,
    tasks: Option<u64>,
    losses: Option<u64>,
    jobs: Option<u64>,
    range: Option<Range<u64>>,
    keeps_going: bool,
}

pub(crate) fn parse(arguments: &[String]) -> Result<Command, String> {
    let mut numbers = Numbers::default();
    let mut mode = Mode::Tail;
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let place = match flag.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--trace" => {
                mode = Mode::Print;
                continue;
            }
            "--all" => {
                numbers.keeps_going = true;
                continue;
            }
            "--seeds" => &mut numbers.seeds,
            "--jobs" => &mut numbers.jobs,
            "--from" => &mut numbers.from,
            "--seed" => &mut numbers.seed,
            "--minutes" => &mut numbers.minutes,
            "--seconds" => &mut numbers.seconds,
            "--workers" => &mut numbers.workers,
            "--slots" => &mut numbers.slots,
            "--tasks" => &mut numbers.tasks,
            "--losses" => &mut numbers.losses,
            other => return Err(format!("there is no flag {other}")),
        };
        let value = rest.next().ok_or_else(|| format!("{flag} needs a number"))?;
        if let Some(range) = range_of(value).filter(|_| flag == "--seeds") {
            numbers.range = Some(range);
            continue;
        }
        *place = Some(value.parse().map_err(|_| format!("{flag} needs a number, not '{value}'"))?);
    }
    Ok(numbers.into_command(mode))
}

/// Seeds in the form `FROM..TO`.
fn range_of(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

impl Numbers {
    fn into_command(self, mode: Mode) -> Command {
        if let Some(workers) = self.workers {
            let fleet = Fleet {
                workers: workers.max(1) as usize,
                slots: self.slots.unwrap_or(16).max(1) as usize,
                tasks: self.tasks.unwrap_or(200_000) as usize,
                losses: self.losses.unwrap_or(workers / 20) as usize,
            };
            return Command::Fleet { seed: self.seed.unwrap_or(1), fleet, mode };
        }
        if let Some(seed) = self.seed {
            return Command::One { seed, mode };
        }
        let jobs = self.jobs.map_or_else(processors, |jobs| jobs as usize);
        let keeps_going = self.keeps_going;
        let time = self.minutes.map(|minutes| minutes * 60).or(self.seconds);
        if let Some(seconds) = time {
            return Command::Soak { time: Duration::from_secs(seconds), jobs, keeps_going };
        }
        let from = self.from.unwrap_or(1);
        let seeds = self.range.unwrap_or(from..from + self.seeds.unwrap_or(1_000));
        Command::Seeds { seeds, jobs, keeps_going }
    }
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_way_of_use_is_understood() {
        let seeds = |seeds, jobs| Ok(Command::Seeds { seeds, jobs, keeps_going: false });
        assert_eq!(parsed("--seeds 5 --from 9"), seeds(9..14, processors()));
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
    }

    #[test]
    fn what_is_no_number_is_named() {
        assert_eq!(parsed("--seeds many"), Err("--seeds needs a number, not 'many'".to_owned()));
        assert_eq!(parsed("--seeds 1..x"), Err("--seeds needs a number, not '1..x'".to_owned()));
        assert_eq!(parsed("--sead 1"), Err("there is no flag --sead".to_owned()));
    }
}
