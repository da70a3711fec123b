//! The command line of `argon-sim`.

use std::time::Duration;

use argon_sim::{Fleet, Mode};

/// Told on request and after a mistake.
pub(crate) const USAGE: &str = "\
usage: argon-sim [--seeds N] [--from SEED]          run N seeds (default: 1000 from 1)
       argon-sim --seed SEED [--trace]              run one seed; print everything that happens
       argon-sim --minutes N | --seconds N          run seeds that nobody has tried yet
       argon-sim --workers N [--slots N] [--tasks N] [--losses N] [--seed SEED] [--trace]
                                                    one large fleet that loses workers at random

A seed that breaks a promise is shown thinned out, with its last events and the command that repeats it.
Exit codes: 0 every promise held, 1 one was broken, 2 the command was used wrongly.";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Seeds { from: u64, count: u64 },
    Soak { time: Duration },
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
            "--seeds" => &mut numbers.seeds,
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
        *place = Some(value.parse().map_err(|_| format!("{flag} needs a number, not '{value}'"))?);
    }
    Ok(numbers.into_command(mode))
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
        let time = self.minutes.map(|minutes| minutes * 60).or(self.seconds);
        match time {
            Some(seconds) => Command::Soak { time: Duration::from_secs(seconds) },
            None => Command::Seeds { from: self.from.unwrap_or(1), count: self.seeds.unwrap_or(1_000) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_way_of_use_is_understood() {
        assert_eq!(parsed("--seeds 5 --from 9"), Ok(Command::Seeds { from: 9, count: 5 }));
        assert_eq!(parsed("--seed 42 --trace"), Ok(Command::One { seed: 42, mode: Mode::Print }));
        assert_eq!(parsed("--minutes 2"), Ok(Command::Soak { time: Duration::from_secs(120) }));
        let fleet = Fleet { workers: 2000, slots: 16, tasks: 7, losses: 100 };
        let expected = Command::Fleet { seed: 1, fleet, mode: Mode::Tail };
        assert_eq!(parsed("--workers 2000 --tasks 7"), Ok(expected));
    }

    #[test]
    fn what_is_no_number_is_named() {
        assert_eq!(parsed("--seeds many"), Err("--seeds needs a number, not 'many'".to_owned()));
        assert_eq!(parsed("--sead 1"), Err("there is no flag --sead".to_owned()));
    }
}
