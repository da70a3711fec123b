//! The session does what the traces of `spec/traces/session` contain, which Perl and Python run too. `spec/traces.md`
//! has their grammar.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test reads the traces from their folder"
)]

mod comparison;
mod player;
mod trace;

use std::path::Path;

use comparison::Comparison;
use player::Player;
use trace::Trace;

#[test]
fn the_session_follows_every_trace() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/traces/session");
    let traces = Trace::read_folder(&folder);
    assert!(traces.len() >= 50, "only {} traces in {}", traces.len(), folder.display());
    let wrong: Vec<String> = traces.iter().filter_map(first_mistake).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn first_mistake(trace: &Trace) -> Option<String> {
    let (mut player, mut comparison) = (Player::new(), Comparison::default());
    for step in &trace.steps {
        let mut wrong = if step.input.starts_with("network ") { comparison.unnamed() } else { Vec::new() };
        wrong.extend(comparison.mistakes(&step.effects, player.play(&step.input)));
        if !wrong.is_empty() {
            return Some(format!("{} line {}, {}: {}", trace.name, step.line, step.input, wrong.join("; ")));
        }
    }
    let unnamed = comparison.unnamed();
    (!unnamed.is_empty()).then(|| format!("{}: {}", trace.name, unnamed.join("; ")))
}
