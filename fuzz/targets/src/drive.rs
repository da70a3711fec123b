//! The seeded driver: mutates the corpus of each target in turn until the time is over.
//!
//! A broken promise panics, or is found by the watchdog when an input takes longer than [`INPUT_TIME_MAX`]. Both name
//! target, seed and round, which give the input again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::Target;
use crate::mutate::{Chance, mutated};

/// Longest time of one input. It ends a hang, and judges no speed.
pub const INPUT_TIME_MAX: Duration = Duration::from_secs(60);

/// A broken promise.
#[derive(Debug)]
pub struct Found {
    /// Name of the target.
    pub target: &'static str,
    /// Seed of the input.
    pub seed: u64,
    /// The input.
    pub input: Vec<u8>,
    /// The message of the panic, or that it did not end.
    pub what: String,
}

/// Input number `round` of a target under `seed`; the first rounds are the corpus as it is.
#[must_use]
pub fn input(target: &Target, corpus: &[Vec<u8>], seed: u64, round: u64) -> Vec<u8> {
    if let Some(whole) = usize::try_from(round).ok().and_then(|round| corpus.get(round)) {
        return whole.clone();
    }
    let salt = target.name.bytes().fold(seed, |salt, byte| salt.wrapping_mul(131).wrapping_add(byte.into()));
    let mut chance = Chance::new(salt.rotate_left(17) ^ round.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    let first = corpus.get(chance.below(corpus.len())).map_or(&[][..], Vec::as_slice);
    mutated(first, corpus, &mut chance)
}

/// Runs inputs of the target for `time`, or `rounds` of them if that comes first; the number that ran.
///
/// # Errors
/// The first input that breaks a promise.
pub fn drive(target: &'static Target, seed: u64, time: Duration, rounds: u64) -> Result<u64, Found> {
    let corpus = (target.corpus)();
    let running = Mutex::new((0_u64, Vec::new()));
    let (done, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let watched = &running;
        scope.spawn(move || watch(target, seed, watched, &ended));
        let begun = Instant::now();
        let mut round = 0;
        while round < rounds && begun.elapsed() < time {
            let bytes = input(target, &corpus, seed, round);
            if let Ok(mut running) = running.lock() {
                *running = (round, bytes.clone());
            }
            catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes))).map_err(|thrown| {
                let text = thrown.downcast_ref::<String>().cloned();
                let what = text.or_else(|| thrown.downcast_ref::<&str>().map(|&text| text.to_owned()));
                Found { target: target.name, seed, input: bytes, what: what.unwrap_or_default() }
            })?;
            round += 1;
        }
        drop(done);
        Ok(round)
    })
}

/// Ends the process if one input runs longer than [`INPUT_TIME_MAX`]: nothing can end a loop in another thread.
fn watch(target: &Target, seed: u64, running: &Mutex<(u64, Vec<u8>)>, ended: &mpsc::Receiver<()>) {
    let mut last = None;
    while ended.recv_timeout(INPUT_TIME_MAX) == Err(RecvTimeoutError::Timeout) {
        let Ok((round, input)) = running.lock().map(|running| running.clone()) else { return };
        if last == Some(round) {
            eprintln!("{} hangs under seed {seed} with the input {}", target.name, input.escape_ascii());
            std::process::abort();
        }
        last = Some(round);
    }
}
