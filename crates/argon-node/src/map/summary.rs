//! The last line of a run: how many commands ended, how long it took, how to run the failed ones again.

use std::path::Path;
use std::time::Duration;

use super::halt::Tally;
use super::quote;

/// The line for a terminal.
#[must_use]
pub fn line(tally: &Tally, elapsed: Duration, joblog: Option<&Path>) -> String {
    let mut line = format!("{} done in {}", grouped(tally.done()), span(elapsed));
    if tally.failed > 0 {
        line.push_str(&format!(", {} failed: {}", grouped(tally.failed), again(joblog)));
    }
    line
}

/// The way to run the failed commands of a run again.
#[must_use]
pub fn again(joblog: Option<&Path>) -> String {
    match joblog {
        Some(path) => {
            format!(
                "argon map --joblog {} --retry-failed runs them again",
                quote::word(&path.to_string_lossy())
            )
        }
        None => "with --joblog FILE, they could be run again".to_owned(),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn span(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", elapsed.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_and_names_the_command_for_failures() {
        let tally = Tally { succeeded: 998, failed: 2, first_status: Some(1) };
        assert_eq!(
            line(&tally, Duration::from_millis(4_310), Some(Path::new("f"))),
            "1,000 done in 4.3 s, 2 failed: argon map --joblog f --retry-failed runs them again"
        );
        let fine = Tally { succeeded: 1_234_567, ..Tally::default() };
        assert_eq!(line(&fine, Duration::from_secs(7_260), None), "1,234,567 done in 2 h 1 min");
        assert_eq!(line(&Tally::default(), Duration::from_secs(61), None), "0 done in 1 min 1 s");
    }
}
