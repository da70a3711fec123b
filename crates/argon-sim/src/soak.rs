//! Runs many seeds on several threads, reports how far it is, and collects the breaks.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon_sim::{Failure, run_seed};

/// Time between two lines of progress on a terminal, and elsewhere.
const PROGRESS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Work that the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soak {
    pub(crate) from: u64,
    pub(crate) until: Until,
    pub(crate) jobs: usize,
    /// Goes on after a break.
    pub(crate) keeps_going: bool,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Seed(u64),
    Time(Duration),
}

/// By the shape of the complaint: number of breaks, the first seed, and how it broke.
pub(crate) type Breaks = BTreeMap<String, (u64, u64, Box<Failure>)>;

/// Result of a soak.
#[derive(Debug)]
pub(crate) struct Soaked {
    pub(crate) ran: u64,
    pub(crate) events: u64,
    pub(crate) starts: u64,
    pub(crate) took: Duration,
    pub(crate) breaks: Breaks,
}

pub(crate) fn soak(soak: Soak) -> Soaked {
    let begun = Instant::now();
    let (next, events, starts) = (AtomicU64::new(soak.from), AtomicU64::new(0), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    let breaks: Mutex<Breaks> = Mutex::default();
    let (done, all_done) = channel::<()>();
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_last = match soak.until {
                Until::Seed(to) => seed >= to,
                Until::Time(time) => begun.elapsed() >= time,
            };
            if is_last {
                next.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            match run_seed(seed) {
                Ok(summary) => {
                    events.fetch_add(summary.events, Ordering::Relaxed);
                    starts.fetch_add(summary.starts, Ordering::Relaxed);
                }
                Err(failure) => {
                    is_over.store(!soak.keeps_going, Ordering::Relaxed);
                    let mut breaks = breaks.lock().unwrap_or_else(PoisonError::into_inner);
                    let of_this_shape = breaks.entry(shape_of(&failure.complaint));
                    of_this_shape.or_insert((0, seed, failure)).0 += 1;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..soak.jobs.max(1) {
            let done = done.clone();
            scope.spawn(move || {
                work();
                drop(done);
            });
        }
        drop(done);
        let every = if stderr().is_terminal() { PROGRESS.0 } else { PROGRESS.1 };
        while all_done.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            let breaks = breaks.lock().unwrap_or_else(PoisonError::into_inner);
            let count = breaks.values().map(|kind| kind.0).sum();
            show_progress(soak, next.load(Ordering::Relaxed), count, begun.elapsed());
        }
    });
    if stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    Soaked {
        ran: next.load(Ordering::Relaxed) - soak.from,
        events: events.into_inner(),
        starts: starts.into_inner(),
        took: begun.elapsed(),
        breaks: breaks.into_inner().unwrap_or_else(PoisonError::into_inner),
    }
}

fn show_progress(soak: Soak, next: u64, breaks: u64, elapsed: Duration) {
    let ran = next - soak.from;
    let rate = ran as f64 / elapsed.as_secs_f64();
    let of = match soak.until {
        Until::Seed(to) => format!(" of {}", to - soak.from),
        Until::Time(time) => format!(" in {} of {} s", elapsed.as_secs(), time.as_secs()),
    };
    let line = format!("{ran}{of} seeds, {rate:.0} a second, {breaks} breaks");
    let (before, behind) = if stderr().is_terminal() { ("\r\x1b[K", "") } else { ("", "\n") };
    let mut stderr = stderr().lock();
    // Progress that cannot be shown is no reason to stop.
    let _ = write!(stderr, "{before}{line}{behind}").and_then(|()| stderr.flush());
}

/// The complaint without what differs from run to run: numbers and ids.
fn shape_of(complaint: &str) -> String {
    let line = complaint.lines().next().unwrap_or_default();
    let words = line.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
    let shaped: String = words
        .map(|word| if word.contains(|letter: char| letter.is_ascii_digit()) { "N" } else { word })
        .collect();
    shaped.chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_that_differ_in_numbers_have_one_shape() {
        let first = shape_of("602b7c07…#3 is start 2 of its task");
        assert_eq!(first, shape_of("12ab7c07…#17 is start 3 of its task"));
        assert_ne!(first, shape_of("602b7c07…#3 is stored without its blobs"));
    }
}
