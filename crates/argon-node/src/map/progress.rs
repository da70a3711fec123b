//! The progress line: number of commands done and failed, speed, remaining time.
//!
//! Owns its text; a library draws it. Without a terminal there is no line: the run
//! is silent.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::halt::Tally;
use crate::output::{complain, pass_on};

/// Most drawings of the line in a second.
const DRAWS_PER_SECOND: u8 = 8;

/// A line on the terminal, or nothing.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: Option<ProgressBar>,
    /// True if output goes to the same terminal, so that the line must make way for it.
    shares_terminal: bool,
    /// True if the line showed a reason to wait.
    waited: Cell<bool>,
}

/// Progress of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressSnapshot {
    /// Commands that ended.
    pub tally: Tally,
    /// Commands that are under way.
    pub under_way: usize,
    /// Number of all commands, once it is known.
    pub total: Option<u64>,
    /// Since the first was handed out.
    pub elapsed: Duration,
    /// Reason why nothing goes on.
    pub waits: Option<String>,
}

impl Progress {
    /// A line on standard error if that is a terminal and the line is wanted.
    #[must_use]
    pub fn new(is_wanted: bool) -> Self {
        let is_seen = is_wanted && std::io::stderr().is_terminal();
        let bar = is_seen.then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            ProgressBar::with_draw_target(None, target).with_style(style("{msg}"))
        });
        Self { bar, shares_terminal: std::io::stdout().is_terminal(), waited: Cell::new(false) }
    }

    /// True if it is drawn.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.bar.is_some()
    }

    /// Draws the line anew.
    pub fn show(&self, standing: &ProgressSnapshot) {
        let Some(bar) = &self.bar else { return };
        let is_new = standing.total.is_some() && bar.length() != standing.total;
        if let Some(total) = standing.total.filter(|_| is_new) {
            bar.set_length(total);
        }
        if is_new || self.waited.replace(standing.waits.is_some()) != standing.waits.is_some() {
            bar.set_style(style(match (&standing.waits, standing.total) {
                (Some(_), _) => "{wide_msg}",
                (None, Some(_)) => "{wide_bar} {msg}",
                (None, None) => "{msg}",
            }));
        }
        bar.set_position(standing.tally.done());
        bar.set_message(standing.to_string());
    }

    /// Lets something be printed in place of the line, which comes back below it.
    pub fn make_way<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) if self.shares_terminal => bar.suspend(print),
            Some(_) | None => print(),
        }
    }

    /// Lets something be printed on standard error, where the line is.
    pub fn tell(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| complain(text)),
            None => complain(text),
        }
    }

    /// Prints a line on standard error as it is.
    pub fn print(&self, line: &str) {
        // Where standard error cannot be written there is no place for the reason.
        let write = || drop(pass_on(2, format!("{line}\n").as_bytes()));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours; a plain bar is a good answer to a mistake in them.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl std::fmt::Display for ProgressSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let done = self.tally.done();
        write!(f, "{done}")?;
        if let Some(total) = self.total {
            write!(f, "/{total}")?;
        }
        write!(f, " done, {} under way", self.under_way)?;
        let seconds = self.elapsed.as_secs_f64();
        if done > 0 && seconds > 0.0 {
            let rate = done as f64 / seconds;
            write!(f, ", {}", per_time(rate))?;
            if let Some(left) = self.total.map(|total| total.saturating_sub(done)) {
                write!(f, ", {} left", span(left as f64 / rate))?;
            }
        }
        if self.tally.failed > 0 {
            write!(f, ", {} failed", self.tally.failed)?;
        }
        if let Some(reason) = &self.waits {
            write!(f, ", {reason}")?;
        }
        Ok(())
    }
}

fn per_time(rate: f64) -> String {
    match rate {
        100.0.. => format!("{rate:.0}/s"),
        1.0.. => format!("{rate:.1}/s"),
        _ => format!("{:.1}/min", rate * 60.0),
    }
}

fn span(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{:02}", seconds % 60)
    } else {
        format!("{minutes}:{:02}", seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(succeeded: u64, failed: u64, total: Option<u64>, seconds: u64) -> String {
        let tally = Tally { succeeded, failed, first_status: None };
        ProgressSnapshot { tally, under_way: 4, total, elapsed: Duration::from_secs(seconds), waits: None }
            .to_string()
    }

    #[test]
    fn the_line_tells_rate_time_left_and_failures() {
        assert_eq!(line(0, 0, None, 0), "0 done, 4 under way");
        assert_eq!(line(30, 0, None, 10), "30 done, 4 under way, 3.0/s");
        assert_eq!(line(28, 2, Some(90), 10), "30/90 done, 4 under way, 3.0/s, 0:20 left, 2 failed");
        assert_eq!(line(10, 0, Some(1000), 1200), "10/1000 done, 4 under way, 0.5/min, 33:00:00 left");
        assert_eq!(line(5000, 0, Some(5000), 10), "5000/5000 done, 4 under way, 500/s, 0:00 left");
    }
}
