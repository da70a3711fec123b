//! Rule: a link to a heading finds it, so that a heading can be renamed without losing its readers.
//!
//! Looks at Markdown links with a `#`, to the same page or to another one of ours. Headings have the anchors that
//! GitHub gives them, and that the site of `make docs` gives them too. Whether the page itself is there is asked by
//! `doc_paths`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, doc_paths};
use crate::tree::{SourceFile, Tree};

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let pages: BTreeMap<&str, BTreeSet<String>> = tree
        .files
        .iter()
        .filter(|file| file.path.ends_with(".md"))
        .map(|file| (file.path.as_str(), anchors(file)))
        .collect();
    let mut findings = Vec::new();
    for page in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, text) in prose(page) {
            for (target, anchor) in links_to_anchors(text) {
                let path = match target {
                    "" => Some(page.path.clone()),
                    target => doc_paths::resolve(folder, target),
                };
                let Some((path, anchors)) = path.and_then(|path| pages.get_key_value(path.as_str())) else {
                    continue;
                };
                if !anchors.contains(anchor) {
                    findings.push(Finding {
                        path: page.path.clone(),
                        line: Some(line),
                        problem: format!("it links to `#{anchor}` of {path}, which has no such heading"),
                        remedy: "write the anchor of the heading as it is now: lower case, spaces as dashes"
                            .into(),
                    });
                }
            }
        }
    }
    findings
}

/// Lines outside of code blocks, with their numbers.
fn prose(page: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    page.numbered_lines().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The anchors of all headings; one that is there already gets a number.
fn anchors(page: &SourceFile) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(page) {
        let hashes = line.chars().take_while(|letter| *letter == '#').count();
        let Some(title) = line[hashes..].strip_prefix(' ').filter(|_| (1..=6).contains(&hashes)) else {
            continue;
        };
        let slug = slug(title);
        let numbered = (1..).map(|number| format!("{slug}-{number}"));
        let free = std::iter::once(slug.clone()).chain(numbered).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

/// A heading as GitHub makes an anchor of it.
fn slug(title: &str) -> String {
    let mut text = String::new();
    let mut rest = title.trim();
    // Of a link only its text counts.
    while let Some((before, link)) = rest.split_once("](") {
        text.push_str(before);
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// Page and anchor of each link in a line that has an anchor; those to the web are left out.
fn links_to_anchors(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    targets.filter(|target| !target.contains(':')).filter_map(|target| target.split_once('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(page: &str) -> Vec<String> {
        let other =
            "# Errors\n\n## `argon run`\n\n## Not there? Yet_so\n\n# Errors\n```sh\n# no heading\n```\n";
        let tree = Tree::of(&[("docs/guide/first.md", page), ("docs/guide/other.md", other)]);
        findings(&tree).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn headings_have_the_anchors_that_github_gives_them() {
        let page = "# A [link](b.md) here\n[x](other.md#errors) [x](other.md#errors-1) [x](other.md#argon-run) \
                    [x](other.md#not-there-yet_so) [x](#a-link-here)";
        assert_eq!(problems(page), [""; 0]);
    }

    #[test]
    fn a_heading_that_is_gone_is_found_and_so_is_one_that_is_a_comment_in_code() {
        let missing = |anchor: &str, path: &str| {
            format!("it links to `#{anchor}` of {path}, which has no such heading")
        };
        assert_eq!(problems("[x](other.md#old)"), [missing("old", "docs/guide/other.md")]);
        assert_eq!(problems("[x](other.md#no-heading)"), [missing("no-heading", "docs/guide/other.md")]);
        assert_eq!(problems("[x](#here)"), [missing("here", "docs/guide/first.md")]);
    }

    #[test]
    fn the_web_and_code_are_left_alone() {
        assert_eq!(problems("[x](https://example.org/y#z)\n```\n[x](#gone)\n```\n"), [""; 0]);
    }
}
