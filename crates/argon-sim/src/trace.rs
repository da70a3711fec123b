//! Trace of a run: always a running hash, and lines on request.

use std::collections::VecDeque;

/// Lines that are kept for a failure.
const TAIL: usize = 400;

/// The record of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: VecDeque<String>,
    mode: Mode,
}

/// Destination of the trace lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Only the hash is kept.
    Silent,
    /// The last lines are kept.
    Tail,
    /// Every line is printed.
    Print,
}

impl Trace {
    pub(crate) fn new(mode: Mode) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: VecDeque::new(), mode }
    }

    /// Notes an event: numbers for the hash, words for people.
    pub(crate) fn note(&mut self, now: u64, numbers: [u64; 3], words: impl FnOnce() -> String) {
        for number in [now, numbers[0], numbers[1], numbers[2]] {
            self.hash = (self.hash.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        if self.mode == Mode::Silent {
            return;
        }
        let line = format!("{:>12.6} {}", now as f64 / 1e6, words());
        if self.mode == Mode::Print {
            println!("{line}");
        }
        if self.lines.len() == TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_tail(self) -> Vec<String> {
        self.lines.into()
    }
}
