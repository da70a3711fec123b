//! Rule: the changelog exists and has a section that a user-visible change can be written into.

use super::Finding;
use crate::tree::Tree;

const PATH: &str = "CHANGELOG.md";

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let has_section = |text: &str| text.lines().filter_map(|line| line.strip_prefix("## ")).any(is_release);
    match tree.file(PATH) {
        Some(file) if has_section(&file.text) => Vec::new(),
        found => vec![Finding {
            path: PATH.into(),
            line: None,
            problem: if found.is_some() { "no section for a release" } else { "the file is missing" }.into(),
            remedy: "open it with `## Unreleased`, one line for each change that a user can see".into(),
        }],
    }
}

/// True if a heading is `Unreleased` or a version, with or without brackets and a date behind it.
fn is_release(heading: &str) -> bool {
    let word = heading.trim().trim_start_matches('[');
    word.to_lowercase().starts_with("unreleased") || word.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_has_an_open_section_or_a_version() {
        for heading in ["## Unreleased", "## [Unreleased]", "## 0.1.0", "## [0.1.0] - 2030-01-01"] {
            assert!(findings(&Tree::of(&[(PATH, heading)])).is_empty(), "{heading}");
        }
    }

    #[test]
    fn a_changelog_without_one_and_no_changelog_are_findings() {
        assert_eq!(findings(&Tree::of(&[(PATH, "# Changelog\n## About\n")])).len(), 1);
        assert_eq!(findings(&Tree::of(&[])).len(), 1);
    }
}
