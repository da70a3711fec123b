//! The one line on standard output by which a script knows that a command is ready, and where.

use crate::output;

/// Prints `argon-ready key=value …`. Values must hold no spaces.
pub fn announce(facts: &[(&str, &str)]) {
    let facts: Vec<String> = facts.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if let Err(failure) = output::print_line(format_args!("argon-ready {}", facts.join(" "))) {
        // A reader that has ended does not stop the server.
        tracing::warn!("the ready line was not written: {failure}");
    }
}
