//! Rule: no file names a folder that only one machine or one person has.

use super::Finding;
use crate::tree::Tree;

/// Top folders that are somebody's own: a container's mount, the superuser's home, anybody's home.
const OWN_FOLDERS: &[&str] = &["work", "root", "home"];

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (line, text) in file.numbered_lines() {
            if let Some(path) = own_path(text) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line: Some(line),
                    problem: format!("`{path}` exists on one machine only"),
                    remedy: "use a path inside the repository, $HOME, or a folder made by mktemp".into(),
                });
            }
        }
    }
    findings
}

/// The first absolute path in the line that leads into somebody's own folder.
fn own_path(line: &str) -> Option<&str> {
    for (start, _) in line.match_indices('/') {
        let begins_here = !line[..start]
            .ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_' || before == '.');
        if begins_here && let Some(length) = own_folder_length(&line[start + 1..]) {
            return Some(&line[start..=start + length]);
        }
    }
    None
}

/// Length of the own folder at the beginning of `rest`, with its closing slash.
fn own_folder_length(rest: &str) -> Option<usize> {
    let (first, behind) = rest.split_once('/')?;
    if !OWN_FOLDERS.contains(&first) {
        return None;
    }
    if first != "home" {
        return Some(first.len() + 1);
    }
    let (person, _) = behind.split_once('/')?;
    let is_person = !person.is_empty() && person.chars().all(|letter| letter.is_ascii_lowercase());
    is_person.then_some(first.len() + 1 + person.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebodys_own_folders_are_found() {
        for folder in ["work", "root", "home/ada"] {
            let line = format!("cd \"/{folder}/argon\"");
            let path = format!("/{folder}/");
            assert_eq!(own_path(&line), Some(path.as_str()));
        }
    }

    #[test]
    fn paths_that_every_machine_has_are_welcome() {
        for path in ["/usr/lib/perl5", "/tmp/work", "$HOME/argon", "https://example.org/root/", "../root/x"] {
            assert_eq!(own_path(path), None, "{path}");
        }
    }
}
