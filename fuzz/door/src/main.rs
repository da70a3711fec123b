//! `argon-fuzz-door`: holds a key and means harm. It starts a manager and a worker, speaks to them as client, worker,
//! observer and runner under one seed, and checks after each few rounds that an honest client is served as before.
//!
//! A round that breaks a promise is repeated with fewer and fewer messages, and reported with its seed.

mod liars;
mod options;
mod peer;
mod play;
mod pool;
mod shrink;

use std::process::ExitCode;
use std::time::Instant;

use argon_fuzz::mutate::Chance;
use clap::Parser;

use liars::Round;
use options::Options;
use pool::Pool;

/// Rounds between two looks at what an honest client gets.
const ROUNDS_A_CHECK: usize = 6;

fn main() -> ExitCode {
    if std::env::var_os("ARGON_RUNNER_FD").is_some() {
        // This program is its own native runner.
        liars::runner::lie();
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    match fuzz(&options) {
        Ok(rounds) => {
            println!("door: {rounds} rounds under seed {}, all promises held", options.seed);
            ExitCode::SUCCESS
        }
        Err(story) => {
            eprintln!("door: seed {}: {story}", options.seed);
            ExitCode::FAILURE
        }
    }
}

/// Plays rounds until the time is up; returns how many there were, or what broke.
fn fuzz(options: &Options) -> Result<usize, String> {
    let until = Instant::now() + options.time();
    let mut chance = Chance::new(options.seed);
    let mut pool = Pool::start(&options.argon)?;
    pool.check().map_err(|why| format!("before any lie was told: {why}"))?;
    let mut rounds = 0;
    while Instant::now() < until {
        let batch: Vec<Round> =
            (0..ROUNDS_A_CHECK).map(|_| Round::random(options.roles(), &pool, &mut chance)).collect();
        if let Err(why) = play::holds(&mut pool, &batch) {
            drop(pool);
            return Err(format!("{why}\n{}", shrink::smallest(options, batch)));
        }
        rounds += batch.len();
    }
    pool.stop()?;
    Ok(rounds)
}
