//! Rule: no file or folder is named after the fact that somebody did not know where to put things.

use super::Finding;
use crate::tree::Tree;

const BANNED: &[&str] = &["common", "util", "utils", "helper", "helpers", "misc", "internal", "internals"];

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _) in tree.code() {
        let stems = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        if let Some(name) = stems.map(str::to_lowercase).find(|stem| BANNED.contains(&stem.as_str())) {
            findings.push(Finding {
                path: file.path.clone(),
                line: None,
                problem: format!("`{name}` says where things ended up, not what they are"),
                remedy: "name the file after the one thing it owns; if it owns several, give each its own"
                    .into(),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_names_are_found_as_file_and_as_folder_in_every_language() {
        let paths = [
            "crates/a/src/utils.rs",
            "crates/a/src/common/mod.rs",
            "perl/lib/Argon/Util.pm",
            "web/helpers.js",
        ];
        for path in paths {
            assert_eq!(findings(&Tree::of(&[(path, "")])).len(), 1, "{path}");
        }
    }

    #[test]
    fn names_that_only_contain_a_banned_word_are_welcome() {
        let tree = Tree::of(&[("crates/a/src/common_name.rs", ""), ("docs/internal/notes.md", "")]);
        assert!(findings(&tree).is_empty());
    }
}
