//! Rule: the subject of a commit is `area: imperative summary`, with one area, at most 60 characters.
//!
//! Looks at the commits since the rule exists, so older history stays as it is.

use super::Finding;
use crate::tree::Tree;

const LENGTH_MAX: usize = 60;
/// First words that describe an intention instead of the change.
const VAGUE: &[&str] = &["tell", "say", "let", "hold", "hear", "heed", "mend"];

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let found = tree.new_subjects.iter().filter_map(|subject| Some((subject, problem_of(subject)?)));
    found
        .map(|(subject, problem)| Finding {
            path: format!("commit \"{subject}\""),
            line: None,
            problem,
            remedy: "reword it: `git commit --amend`, or `git rebase -i main` for an older one; \
                     a commit of two areas is two commits, or names the area that causes the change"
                .into(),
        })
        .collect()
}

fn problem_of(subject: &str) -> Option<String> {
    let length = subject.chars().count();
    if length > LENGTH_MAX {
        return Some(format!("the subject has {length} characters, more than {LENGTH_MAX}"));
    }
    let is_area = |area: &str| {
        !area.is_empty()
            && area.chars().all(|letter| letter.is_ascii_lowercase() || "0123456789-_".contains(letter))
    };
    match subject.split_once(": ") {
        Some((area, summary)) if is_area(area) => {
            let first = summary.split(' ').next().unwrap_or_default();
            VAGUE.contains(&first).then(|| format!("\"{first}\" does not describe the change"))
        }
        _ => Some("the subject is not `area: imperative summary` with one area".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(subject: &str) -> usize {
        let mut tree = Tree::of(&[]);
        tree.new_subjects.push(subject.into());
        findings(&tree).len()
    }

    #[test]
    fn an_area_and_a_short_summary_pass() {
        for subject in ["scheduler: retract prefetched tasks", "argon-net: read keys alike"] {
            assert_eq!(problems(subject), 0, "{subject}");
        }
    }

    #[test]
    fn no_area_a_long_subject_and_a_vague_verb_are_findings() {
        let long = format!("docs: {}", "x".repeat(55));
        for subject in [
            "Tell what bounds empty tasks",
            "Docs: wrap",
            "docs: tell more",
            "rust, python: read keys alike",
            "perl and python: read keys alike",
            long.as_str(),
        ] {
            assert_eq!(problems(subject), 1, "{subject}");
        }
    }
}
