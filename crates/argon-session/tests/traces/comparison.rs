//! Compares what a session did with the effects that a trace expects, with the freedom that `spec/traces.md` leaves.

use std::collections::BTreeSet;

/// Effects that follow in the order of the trace.
const IN_ORDER: [&str; 7] = ["OPEN", "BLOB", "SUBMIT", "OFFERED", "CANCEL", "GOODBYE", "hangs"];

/// Comparison of effects, with the outcomes acknowledged on this connection.
#[derive(Default)]
pub(crate) struct Comparison {
    /// And has no line yet.
    acknowledged: BTreeSet<String>,
    /// Whose line is optional.
    may: BTreeSet<String>,
}

impl Comparison {
    /// Mistakes in the effects of one input.
    pub(crate) fn mistakes(&mut self, expected: &[String], mut done: Vec<String>) -> Vec<String> {
        let mut mistakes = Vec::new();
        for effect in expected {
            let pattern = effect.trim_end_matches('?');
            let is_optional = pattern != effect;
            if !self.take(pattern, is_optional, &mut done) && !is_optional {
                mistakes.push(format!("the session did not: {effect}"));
            }
        }
        let all = done.len();
        self.acknowledge(&mut done, all);
        mistakes.extend(
            done.iter().map(|effect| format!("the session did, and the trace does not have it: {effect}")),
        );
        mistakes
    }

    /// The connection, or the trace, is over: what was acknowledged that has no line.
    pub(crate) fn unnamed(&mut self) -> Vec<String> {
        let unnamed = self.acknowledged.difference(&self.may);
        let mistakes =
            unnamed.map(|name| format!("it acknowledged {name}, and no line has ACK {name}")).collect();
        *self = Self::default();
        mistakes
    }

    fn take(&mut self, pattern: &str, is_optional: bool, done: &mut Vec<String>) -> bool {
        let next = done.iter().position(|effect| is_in_order(effect));
        if let Some(name) = pattern.strip_prefix("ACK ") {
            self.acknowledge(done, next.unwrap_or(done.len()));
            if is_optional {
                self.may.insert(name.to_owned());
            }
            return self.acknowledged.remove(name);
        }
        let found = if is_in_order(pattern) {
            next.filter(|at| fits(pattern, &done[*at]))
        } else {
            done.iter().position(|effect| fits(pattern, effect))
        };
        let Some(at) = found else {
            return false;
        };
        done.remove(at);
        if is_in_order(pattern) {
            self.acknowledge(done, at);
        }
        true
    }

    /// Takes the acknowledgements out of the first effects.
    fn acknowledge(&mut self, done: &mut Vec<String>, count: usize) {
        let rest = done.split_off(count);
        let (acknowledged, others): (Vec<_>, Vec<_>) =
            std::mem::take(done).into_iter().partition(|effect| effect.starts_with("ACK "));
        self.acknowledged.extend(acknowledged.iter().filter_map(|effect| effect.get(4..).map(str::to_owned)));
        *done = others.into_iter().chain(rest).collect();
    }
}

fn is_in_order(effect: &str) -> bool {
    effect.split(' ').next().is_some_and(|word| IN_ORDER.contains(&word))
}

/// True if the effect is one of those that `gives a cancelled|closed` allows.
fn fits(pattern: &str, effect: &str) -> bool {
    let (before, last) = pattern.rsplit_once(' ').unwrap_or(("", pattern));
    let (effect_before, effect_last) = effect.rsplit_once(' ').unwrap_or(("", effect));
    before == effect_before && last.split('|').any(|word| word == effect_last)
}
