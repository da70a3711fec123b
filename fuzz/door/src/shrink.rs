//! Looks for the fewest messages that break the promise again, each time in a pool of its own.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::liars::Round;
use crate::options::Options;
use crate::play::holds;
use crate::pool::Pool;

const TIME_MAX: Duration = Duration::from_secs(300);

/// The story of the smallest set of messages that was found.
pub(crate) fn smallest(options: &Options, rounds: Vec<Round>) -> String {
    let until = Instant::now() + TIME_MAX;
    let Some(mut why) = breaks(options, &rounds) else {
        return format!("(these rounds alone do not break it again)\n{}", told(&rounds));
    };
    let mut rounds = rounds;
    let mut part = count(&rounds).div_ceil(2);
    while part > 0 && Instant::now() < until {
        let mut at = 0;
        while at < count(&rounds) && Instant::now() < until {
            let fewer = without(&rounds, at, part);
            if let Some(again) = breaks(options, &fewer) {
                why = again;
                rounds = fewer;
            } else {
                at += part;
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    format!("the fewest messages that were found to break it: {why}\n{}", told(&rounds))
}

fn breaks(options: &Options, rounds: &[Round]) -> Option<String> {
    let mut pool = Pool::start(&options.argon).ok()?;
    holds(&mut pool, rounds).err()
}

fn count(rounds: &[Round]) -> usize {
    rounds.iter().map(|round| round.acts.len()).sum()
}

/// The rounds without `part` messages from the `from`th on.
fn without(rounds: &[Round], from: usize, part: usize) -> Vec<Round> {
    let mut number = 0;
    let mut left = Vec::new();
    for round in rounds {
        let mut round = round.clone();
        round.acts.retain(|_| {
            number += 1;
            !(from..from + part).contains(&(number - 1))
        });
        if !round.acts.is_empty() {
            left.push(round);
        }
    }
    left
}

fn told(rounds: &[Round]) -> String {
    let mut text = String::new();
    for round in rounds {
        let _ = writeln!(text, "  {:?}, reads: {}, stays: {}", round.liar, round.reads, round.stays);
        for act in &round.acts {
            let _ = writeln!(text, "    {}", act.about);
        }
    }
    text
}
