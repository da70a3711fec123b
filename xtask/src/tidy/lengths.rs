//! Rule: a file of code has at most 400 lines, and the few longer ones never grow.
//!
//! Owns the ratchet. The longer files stand in `xtask/long-files.txt`, each with the most lines it may
//! have and the reason; a row may only be lowered, and goes when its file is short again.

use std::collections::BTreeMap;

use super::Finding;
use crate::tree::{SourceFile, Tree};

const LINES_MAX: usize = 400;
const TABLE: &str = "xtask/long-files.txt";

/// One row of the table: how many lines the file may have, and where the row stands.
struct Row {
    lines_max: usize,
    line: usize,
}

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let (rows, mut findings) = tree.file(TABLE).map_or_else(Default::default, read_table);
    for (file, _) in tree.code() {
        let lines = file.text.lines().count();
        findings.extend(match rows.get(file.path.as_str()) {
            Some(row) if lines > row.lines_max => Some(grown(file, lines, row.lines_max)),
            Some(row) if lines <= LINES_MAX => Some(spare_row(row.line, &file.path, "is short enough now")),
            None if lines > LINES_MAX => Some(too_long(file, lines)),
            _ => None,
        });
    }
    let gone = rows.iter().filter(|(path, _)| !tree.code().any(|(file, _)| file.path == **path));
    findings.extend(gone.map(|(path, row)| spare_row(row.line, path, "is not here any more")));
    findings
}

/// Reads rows of `path lines-at-most reason`; a row that cannot be read is a finding.
fn read_table(table: &SourceFile) -> (BTreeMap<&str, Row>, Vec<Finding>) {
    let mut rows = BTreeMap::new();
    let mut findings = Vec::new();
    for (line, text) in table.numbered_lines() {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let mut words = text.split_whitespace();
        let (path, lines_max, reason) =
            (words.next(), words.next().and_then(|word| word.parse().ok()), words.next());
        if let (Some(path), Some(lines_max), Some(_)) = (path, lines_max, reason) {
            rows.insert(path, Row { lines_max, line });
        } else {
            findings.push(Finding {
                path: TABLE.into(),
                line: Some(line),
                problem: "the row cannot be read".into(),
                remedy: "write: path, a space, the most lines it may have, a space, the reason".into(),
            });
        }
    }
    (rows, findings)
}

fn too_long(file: &SourceFile, lines: usize) -> Finding {
    Finding {
        path: file.path.clone(),
        line: None,
        problem: format!("{lines} lines; a file has at most {LINES_MAX}"),
        remedy: format!(
            "split it by an idea, not by a line number; if it truly is one idea, give it a row with the \
             reason in {TABLE}"
        ),
    }
}

fn grown(file: &SourceFile, lines: usize, lines_max: usize) -> Finding {
    Finding {
        path: file.path.clone(),
        line: None,
        problem: format!("{lines} lines; {TABLE} grants it {lines_max} and no more"),
        remedy: "give what you added a file of its own, or move as much out as you put in".into(),
    }
}

fn spare_row(line: usize, path: &str, why: &str) -> Finding {
    Finding {
        path: TABLE.into(),
        line: Some(line),
        problem: format!("{path} {why}"),
        remedy: "remove its row: thank you".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(table: &str, path: &str, lines: usize) -> Vec<String> {
        let text = "x\n".repeat(lines);
        let tree = Tree::of(&[(path, text.as_str()), (TABLE, table)]);
        findings(&tree).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn four_hundred_lines_are_welcome_and_one_more_is_not() {
        assert_eq!(problems("", "a.rs", 400), [""; 0]);
        assert_eq!(problems("", "a.rs", 401), ["401 lines; a file has at most 400"]);
        assert_eq!(problems("", "a.md", 401), [""; 0]);
    }

    #[test]
    fn a_granted_file_may_keep_its_length_but_not_grow() {
        let table = "# comment\n\na.rs 450 the table of messages is one list\n";
        assert_eq!(problems(table, "a.rs", 450), [""; 0]);
        assert_eq!(problems(table, "a.rs", 451).len(), 1);
    }

    #[test]
    fn a_row_that_is_not_needed_goes() {
        assert_eq!(problems("a.rs 450 reason\n", "a.rs", 300), ["a.rs is short enough now"]);
        assert_eq!(problems("b.rs 450 reason\n", "a.rs", 300), ["b.rs is not here any more"]);
    }

    #[test]
    fn a_row_needs_a_number_and_a_reason() {
        assert_eq!(problems("a.rs 450\n", "a.rs", 10), ["the row cannot be read"]);
        assert_eq!(problems("a.rs many reason\n", "a.rs", 10), ["the row cannot be read"]);
    }
}
