//! The rules of `--halt`, which stop a run early, and of the exit status.

use std::str::FromStr;

/// Largest number of failures that the exit status shows.
const COUNTED_FAILURES_MAX: u64 = 100;
/// Tasks that must have ended before a share of them means something; GNU parallel waits for three too.
const SHARE_OF_AT_LEAST: u64 = 3;

/// The value of `--halt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// Run everything, whatever fails.
    Never,
    /// Stop at this amount of this kind.
    When(HaltUrgency, HaltCount, Amount),
}

/// Way of stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltUrgency {
    /// Cancel what runs.
    Now,
    /// Start nothing more; let finish what has been handed out.
    Soon,
}

/// Kind of commands that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltCount {
    /// Commands that failed.
    Fail,
    /// Commands that succeeded.
    Success,
    /// Commands that ended.
    Done,
}

/// Amount of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Number of jobs.
    Count(u64),
    /// Percentage of the jobs that ended.
    Percent(u64),
}

/// Counts of a run, and what follows from them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commands that succeeded.
    pub succeeded: u64,
    /// Commands that failed.
    pub failed: u64,
    /// The status of the first that failed.
    pub first_status: Option<u8>,
}

impl Tally {
    /// Takes note of one that ended; `status` is 0 if it succeeded.
    pub fn add(&mut self, status: u8) {
        if status == 0 {
            self.succeeded += 1;
        } else {
            self.failed += 1;
            self.first_status.get_or_insert(status);
        }
    }

    /// Commands that ended.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// The exit status of the whole run.
    #[must_use]
    pub fn status(&self, halt: Halt) -> u8 {
        match (halt, self.first_status) {
            (Halt::When(_, HaltCount::Fail, Amount::Count(1)), Some(status)) => status,
            // Enough succeeded: what failed on the way was no failure of the run.
            (Halt::When(_, HaltCount::Success, Amount::Count(_)), _) if halt.reached(self).is_some() => 0,
            _ if self.failed > COUNTED_FAILURES_MAX => 101,
            _ => self.failed as u8,
        }
    }
}

impl Halt {
    /// The way to stop, if it is time.
    #[must_use]
    pub fn reached(self, tally: &Tally) -> Option<HaltUrgency> {
        let Self::When(urgency, what, amount) = self else { return None };
        let count = match what {
            HaltCount::Fail => tally.failed,
            HaltCount::Success => tally.succeeded,
            HaltCount::Done => tally.done(),
        };
        let is_reached = match amount {
            Amount::Count(wanted) => count >= wanted,
            Amount::Percent(wanted) => {
                tally.done() >= SHARE_OF_AT_LEAST && count > 0 && count * 100 >= wanted * tally.done()
            }
        };
        is_reached.then_some(urgency)
    }
}

impl FromStr for Halt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            "expected 'never', or 'now' or 'soon', a comma, and 'fail', 'success' or 'done' with a number or a share, \
             such as now,fail=1 or soon,fail=10%"
                .to_owned()
        })
    }
}

fn parse(text: &str) -> Option<Halt> {
    // The numbers are those of earlier releases of GNU parallel.
    let text = match text {
        "never" | "0" => return Some(Halt::Never),
        "1" => "soon,fail=1",
        "2" => "now,fail=1",
        "-1" => "soon,success=1",
        "-2" => "now,success=1",
        _ => text,
    };
    if let Some(percent) =
        text.strip_suffix('%').filter(|percent| percent.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return parse(&format!("soon,fail={percent}%"));
    }
    let (urgency, rest) = text.split_once(',')?;
    let urgency = match urgency {
        "now" => HaltUrgency::Now,
        "soon" => HaltUrgency::Soon,
        _ => return None,
    };
    let (what, amount) = rest.split_once('=')?;
    let what = match what {
        "fail" => HaltCount::Fail,
        "success" => HaltCount::Success,
        "done" => HaltCount::Done,
        _ => return None,
    };
    let amount = match amount.strip_suffix('%') {
        Some(percent) => Amount::Percent(percent.parse().ok().filter(|percent| (1..=100).contains(percent))?),
        None => Amount::Count(amount.parse().ok().filter(|count| *count > 0)?),
    };
    Some(Halt::When(urgency, what, amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(succeeded: u64, failed: u64) -> Tally {
        Tally { succeeded, failed, first_status: (failed > 0).then_some(7) }
    }

    fn halt(text: &str) -> Halt {
        text.parse().expect("it can be read")
    }

    #[test]
    fn the_status_is_the_number_of_failures_up_to_a_hundred() {
        for (failed, status) in [(0, 0), (1, 1), (100, 100), (101, 101), (1_000_000, 101)] {
            assert_eq!(tally(5, failed).status(Halt::Never), status);
        }
        assert_eq!(
            tally(0, 1).status(halt("now,fail=1")),
            7,
            "the one that stopped the run gives its status"
        );
        assert_eq!(tally(1, 2).status(halt("now,success=1")), 0);
        assert_eq!(tally(0, 2).status(halt("now,success=1")), 2);
    }

    #[test]
    fn a_run_stops_at_a_number_or_a_share() {
        assert_eq!(halt("now,fail=2").reached(&tally(9, 1)), None);
        assert_eq!(halt("now,fail=2").reached(&tally(9, 2)), Some(HaltUrgency::Now));
        assert_eq!(halt("soon,fail=50%").reached(&tally(0, 2)), None, "too few to tell");
        assert_eq!(halt("soon,fail=50%").reached(&tally(2, 2)), Some(HaltUrgency::Soon));
        assert_eq!(halt("soon,done=3").reached(&tally(2, 1)), Some(HaltUrgency::Soon));
        assert_eq!(halt("2"), halt("now,fail=1"));
        assert_eq!(halt("-1"), halt("soon,success=1"));
        assert_eq!(halt("20%"), halt("soon,fail=20%"));
        assert_eq!(halt("never").reached(&tally(0, 1000)), None);
    }

    #[test]
    fn nonsense_is_answered_with_the_form() {
        for text in
            ["", "now", "now,fail", "now,fail=0", "later,fail=1", "soon,fail=101%", "now,fails=1", "3"]
        {
            let error = text.parse::<Halt>().expect_err(text);
            assert!(error.contains("now,fail=1"), "{error}");
        }
    }
}
