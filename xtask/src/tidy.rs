//! `cargo xtask tidy`: the rules of the house that no compiler knows.
//!
//! Owns the list of rules and the shape of a finding. A rule is a function from the tree to its
//! findings, one file each; to add one, write the file and one line in `RULES`.

mod anchors;
mod arrows;
mod changelog;
mod circles;
mod doc_paths;
mod lengths;
mod machine_paths;
mod marks;
mod names;
mod openings;
mod subjects;
mod type_names;
mod words;

use std::fmt;

use crate::tree::Tree;

type Rule = fn(&Tree) -> Vec<Finding>;

/// All rules, in the order in which their findings are shown.
pub(crate) const RULES: &[Rule] = &[
    arrows::findings,
    circles::findings,
    names::findings,
    type_names::findings,
    openings::findings,
    lengths::findings,
    marks::findings,
    machine_paths::findings,
    doc_paths::findings,
    anchors::findings,
    changelog::findings,
    words::findings,
    subjects::findings,
];

/// A violation of a rule: place, problem and remedy.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1; `None` when the finding is about the file as a whole.
    pub(crate) line: Option<usize>,
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

/// Findings of all rules.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule(tree)).collect()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}\n    {}", self.problem, self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_message_with_advice() {
        let finding = Finding {
            path: "crates/argon-core/src/pool.rs".into(),
            line: Some(7),
            problem: "the file is too warm".into(),
            remedy: "open a window".into(),
        };
        assert_eq!(
            finding.to_string(),
            "crates/argon-core/src/pool.rs:7: the file is too warm\n    open a window"
        );
    }
}
