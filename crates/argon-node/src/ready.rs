//! The one line on standard output by which a script knows that a command is ready, and where.

use std::io::Write;

/// Prints `argon-ready key=value …`. Values must hold no spaces.
pub fn announce(facts: &[(&str, &str)]) {
    let facts: Vec<String> = facts.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut stdout = std::io::stdout().lock();
    // A reader that went away is no reason to stop serving.
    let _ = writeln!(stdout, "argon-ready {}", facts.join(" "));
    let _ = stdout.flush();
}
