//! Rule: no marks of unfinished work in code. What is not done is an issue, or it is done.

use super::Finding;
use crate::tree::Tree;

/// Put together here so that this file does not find itself.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _) in tree.code() {
        for (line, text) in file.numbered_lines() {
            if let Some(mark) = MARKS.iter().find(|mark| has_word(text, mark)) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line: Some(line),
                    problem: format!("`{mark}` marks unfinished work"),
                    remedy: "finish it, or file an issue and say in a sentence what the code does today"
                        .into(),
                });
            }
        }
    }
    findings
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(start, _)| {
        !text[..start].ends_with(is_part) && !text[start + word.len()..].starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_with_its_line() {
        let text = format!("//! Opening.\n// {}: later\n", MARKS[0]);
        let found = findings(&Tree::of(&[("a.rs", text.as_str())]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, Some(2));
    }

    #[test]
    fn a_longer_word_and_prose_are_no_marks() {
        let template = format!("tmp=$(mktemp -d argon.{}{})\n", MARKS[2], MARKS[2]);
        let prose = format!("{} is a word of the guide\n", MARKS[0]);
        assert!(findings(&Tree::of(&[("a.sh", template.as_str()), ("a.md", prose.as_str())])).is_empty());
    }
}
