//! Rule: a file or folder that a page names is there, so that a rename cannot leave the docs behind.
//!
//! Looks at Markdown: links to files, and code spans that are a path from the root of the repository.
//! A path with a placeholder (`crates/argon-node/src/cli/NAME.rs`) is an invitation, not a claim.

use super::Finding;
use crate::tree::Tree;

/// Folders at the root; a code span that begins with one of them is a path.
const ROOMS: &[&str] =
    &["crates/", "examples/", "perl/", "python/", "scripts/", "spec/", "tests/", "web/", "xtask/"];

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, text) in page.numbered_lines() {
            let spans = code_spans(text).filter(|span| is_claim(span)).map(str::to_owned);
            let links = link_targets(text).filter_map(|target| resolve(folder, target));
            for path in spans.chain(links).filter(|path| !exists(tree, path)) {
                findings.push(Finding {
                    path: page.path.clone(),
                    line: Some(line),
                    problem: format!("it names `{path}`, which is not here"),
                    remedy: "name the path that it has now; for one that is yet to be made, write NAME in it"
                        .into(),
                });
            }
        }
    }
    findings
}

fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_claim(span: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    ROOMS.iter().any(|room| span.starts_with(room)) && span.chars().all(is_plain) && !span.contains("NAME")
}

/// Targets of `](target)`, without the web and without places in the same page.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

/// The path from the root for a link in a page of `folder`; `None` when it leaves the repository.
pub(super) fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn exists(tree: &Tree, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let is_or_holds =
        |file: &str| file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path.is_empty() || tree.files.iter().any(|file| is_or_holds(&file.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(page: &str) -> Vec<String> {
        let tree = Tree::of(&[("docs/guide/first.md", page), ("spec/protocol.md", ""), ("README.md", "")]);
        findings(&tree).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn what_is_there_may_be_named() {
        assert_eq!(problems("See `spec/protocol.md`, `spec/`, [home](../../README.md#top)."), [""; 0]);
    }

    #[test]
    fn what_is_gone_is_found_in_a_span_and_in_a_link() {
        assert_eq!(problems("See `spec/old.md`."), ["it names `spec/old.md`, which is not here"]);
        assert_eq!(problems("See [old](old.md)."), ["it names `docs/guide/old.md`, which is not here"]);
    }

    #[test]
    fn placeholders_commands_and_the_web_are_no_claims() {
        let page =
            "`crates/a/src/cli/NAME.rs` `scripts/check clippy` `spec/*.json` [web](https://example.org/x)";
        assert_eq!(problems(page), [""; 0]);
    }
}
