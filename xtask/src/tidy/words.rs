//! Rule: Markdown pages are plain technical English, in lines of at most 100 columns. Comments of Rust code are free of
//! the worst phrases.
//!
//! Owns the lists of phrases that read badly, each with its replacement, and the pages that are exempt. In pages it looks
//! at prose only: not at code, comments, and (for the width) tables.

use super::Finding;
use crate::tree::{SourceFile, Tree};

const COLUMNS_MAX: usize = 100;

/// Words and phrases in lower case, and what to write instead.
const PHRASES: &[(&str, &str)] = &[
    ("tell", "report, show, document"),
    ("tells", "reports, shows, documents"),
    ("told", "reported, sent"),
    ("says", "reports, describes"),
    ("said", "reported, sent"),
    ("hear", "receive"),
    ("hears", "receives"),
    ("heard", "received"),
    ("heed", "read, use"),
    ("heeds", "reads, uses"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("in vain", "needlessly"),
    ("whoever", "anyone who"),
    ("sought", "wanted"),
    ("beside", "next to"),
    ("nobody", "no one"),
    ("for so long", "for a time with a name, such as `timeout`"),
    ("so many", "a number with a name, such as `limit`"),
    ("at most so much", "a number with a name, such as `limit`"),
    ("is no text", "is not UTF-8"),
    ("is no program", "is not a program"),
    ("is no key", "is not a key"),
];

/// Phrases that comments may not contain either: names of limits and amounts are clearer.
const PHRASES_OF_COMMENTS: &[&str] =
    &["so many", "for so long", "at most so much", "heed", "heeds", "in vain", "whoever", "sought"];

/// Pages that are generated, and the changelog.
const EXEMPT: &[&str] = &[
    "benches/peers/README.md",
    "docs/benchmarks.md",
    "docs/guide/perl-code-table.md",
    "docs/guide/python-code-table.md",
    "docs/peers.md",
    "docs/right-or-loud.md",
];

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let is_checked = |file: &&SourceFile| file.path.ends_with(".md") && !EXEMPT.contains(&file.path.as_str());
    let in_pages = tree.files.iter().filter(is_checked).flat_map(findings_in);
    let code = tree.files.iter().filter(|file| file.path.ends_with(".rs"));
    in_pages.chain(code.flat_map(findings_in_comments)).collect()
}

fn finding(file: &SourceFile, line: usize, problem: String, remedy: String) -> Finding {
    Finding { path: file.path.clone(), line: Some(line), problem, remedy }
}

/// The phrases that stand in a text, with their replacements.
fn phrases_in(text: &str) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let words = words_of(text);
    PHRASES.iter().filter(move |(phrase, _)| words.contains(&format!(" {phrase} ")))
}

fn findings_in_comments(file: &SourceFile) -> Vec<Finding> {
    let comments =
        file.numbered_lines().filter_map(|(line, text)| Some((line, text.trim_start().strip_prefix("//")?)));
    comments
        .flat_map(|(line, text)| phrases_in(text).map(move |found| (line, found)))
        .filter(|(_, (phrase, _))| PHRASES_OF_COMMENTS.contains(phrase))
        .map(|(line, (phrase, instead))| bad_phrase(file, line, phrase, instead))
        .collect()
}

fn bad_phrase(file: &SourceFile, line: usize, phrase: &str, instead: &str) -> Finding {
    let problem = format!("\"{phrase}\" is not plain technical English");
    finding(file, line, problem, format!("write: {instead}"))
}

fn findings_in(page: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in prose_lines(page) {
        if !text.starts_with('|') && text.chars().count() > COLUMNS_MAX {
            findings.push(finding(
                page,
                line,
                format!("the line has more than {COLUMNS_MAX} columns"),
                "wrap the paragraph".into(),
            ));
        }
        findings.extend(phrases_in(text).map(|(phrase, instead)| bad_phrase(page, line, phrase, instead)));
    }
    findings
}

/// Lines outside of fenced code and comments, with their numbers.
fn prose_lines(page: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    let (mut is_code, mut is_comment) = (false, false);
    page.numbered_lines().filter(move |(_, text)| {
        let is_fence = !is_comment && text.trim_start().starts_with("```");
        is_code ^= is_fence;
        is_comment |= !is_code && text.starts_with("<!--");
        let is_prose = !is_code && !is_fence && !is_comment;
        is_comment &= !text.contains("-->");
        is_prose
    })
}

/// The words of a line in lower case, each between single spaces, without code spans and the targets of links.
fn words_of(line: &str) -> String {
    let prose: Vec<&str> = line.split('`').step_by(2).collect();
    let prose = prose.join(" x ").to_lowercase();
    let mut parts = prose.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push(' ');
        text.push_str(part.split_once(')').map_or("", |(_, rest)| rest));
    }
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    format!(" {} ", words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(page: &str) -> Vec<String> {
        findings(&Tree::of(&[("docs/page.md", page)])).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn a_listed_phrase_is_found_with_its_line_and_its_replacement() {
        let found = findings(&Tree::of(&[("docs/page.md", "# Page\n\nIt looks in vain.\n")]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, Some(3));
        assert_eq!(found[0].remedy, "write: needlessly");
    }

    #[test]
    fn case_and_punctuation_do_not_hide_a_phrase() {
        assert_eq!(problems("Nobody, (whoever) **told** it: a text that is no key.").len(), 4);
    }

    #[test]
    fn longer_words_code_comments_and_targets_of_links_are_not_prose() {
        let page = "besides, `nobody`, [a](nobody.md)\n```text\nnobody\n```\n<!-- nobody\nnobody -->\n";
        assert_eq!(problems(page), [""; 0]);
    }

    #[test]
    fn prose_after_code_and_comments_is_checked_again() {
        assert_eq!(problems("```text\nx\n```\nnobody\n<!-- note -->\nnobody\n").len(), 2);
    }

    #[test]
    fn a_line_of_more_than_100_columns_is_found_but_not_a_row_or_code() {
        let long = "x ".repeat(51);
        assert_eq!(problems(&"ä".repeat(100)), [""; 0]);
        assert_eq!(problems(&long), ["the line has more than 100 columns"]);
        assert_eq!(problems(&format!("| {long} |\n```text\n{long}\n```\n")), [""; 0]);
    }

    #[test]
    fn comments_are_free_of_the_worst_phrases() {
        let code = "/// Waits for so many tasks.\nlet so_many = \"so many\";\n    // nobody\n";
        let found = findings(&Tree::of(&[("src/a.rs", code)]));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [Some(1)]);
    }

    #[test]
    fn generated_pages_and_other_files_are_exempt() {
        assert!(findings(&Tree::of(&[("docs/peers.md", "nobody"), ("src/a.rs", "nobody")])).is_empty());
    }
}
