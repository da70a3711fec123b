//! The files of the repository as the rules see them: path, text and language.
//!
//! Owns the question "which files are ours": those that git tracks or would track. Rules read this and
//! never the disk, so a test of a rule is a `Tree` written by hand.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Command;

/// Every file of ours, in path order, and the commits that are new.
pub(crate) struct Tree {
    pub(crate) files: Vec<SourceFile>,
    /// Subjects of the commits that the rule for subjects looks at; none where history is missing.
    pub(crate) new_subjects: Vec<String>,
}

/// Commit after which every subject follows the rule.
const SUBJECTS_SINCE: &str = "0a98f565e9e9309c59d4dfdd5b40932af4adaa1d";

/// One file: its path from the root of the repository, with `/` on every system, and its text, which
/// is empty when the file is not UTF-8.
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The languages that code of ours is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Language {
    Rust,
    Perl,
    Python,
    JavaScript,
    Shell,
}

/// Reason why the tree could not be read.
#[derive(Debug)]
pub(crate) enum TreeError {
    /// git is missing, or this is not a work tree of it.
    Git(String),
    /// A tracked file exists but cannot be read.
    Unreadable(String, io::Error),
}

impl Tree {
    /// Reads the repository that this crate stands in.
    pub(crate) fn of_this_repository() -> Result<Self, TreeError> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        for path in tracked_paths(&root)? {
            let on_disk = root.join(&path);
            if !on_disk.symlink_metadata().is_ok_and(|entry| entry.is_file()) {
                continue; // deleted but not yet committed, a symlink, or a submodule
            }
            match std::fs::read(&on_disk) {
                Ok(bytes) => {
                    files.push(SourceFile { path, text: String::from_utf8(bytes).unwrap_or_default() })
                }
                Err(error) => return Err(TreeError::Unreadable(path, error)),
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { files, new_subjects: new_subjects(&root) })
    }

    /// The file at exactly this path.
    pub(crate) fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files that hold code, each with its language.
    pub(crate) fn code(&self) -> impl Iterator<Item = (&SourceFile, Language)> {
        self.files.iter().filter_map(|file| Some((file, file.language()?)))
    }

    /// A tree for a test: pairs of path and text.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| SourceFile { path: path.into(), text: text.into() };
        Self { files: files.iter().map(file).collect(), new_subjects: Vec::new() }
    }
}

impl SourceFile {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Lines with their numbers, the first being 1.
    pub(crate) fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The language of the file by its extension or, without one, by its `#!` line; `None` for what is
    /// not code: prose, data, settings.
    pub(crate) fn language(&self) -> Option<Language> {
        match self.name().rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => by_extension(extension),
            _ => by_interpreter(self.text.lines().next()?.strip_prefix("#!")?),
        }
    }
}

/// Replaces a file of this repository.
pub(crate) fn write(path: &str, text: &str) -> io::Result<()> {
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path), text)
}

fn by_extension(extension: &str) -> Option<Language> {
    match extension {
        "rs" => Some(Language::Rust),
        "pm" | "pl" | "t" => Some(Language::Perl),
        "py" => Some(Language::Python),
        "js" | "mjs" => Some(Language::JavaScript),
        "sh" | "bash" => Some(Language::Shell),
        _ => None,
    }
}

fn by_interpreter(line: &str) -> Option<Language> {
    let named = |name: &str| line.split(['/', ' ']).any(|word| word == name);
    if named("sh") || named("bash") {
        Some(Language::Shell)
    } else if named("perl") {
        Some(Language::Perl)
    } else if named("python3") {
        Some(Language::Python)
    } else {
        None
    }
}

fn tracked_paths(root: &Path) -> Result<Vec<String>, TreeError> {
    let listing = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .map_err(|error| TreeError::Git(format!("git could not be started: {error}")))?;
    if !listing.status.success() {
        return Err(TreeError::Git(String::from_utf8_lossy(&listing.stderr).trim().to_owned()));
    }
    let names = String::from_utf8_lossy(&listing.stdout);
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Subjects of the commits since [`SUBJECTS_SINCE`], or that `main` does not have where that commit is missing.
fn new_subjects(root: &Path) -> Vec<String> {
    let since = [format!("{SUBJECTS_SINCE}..HEAD"), "main..HEAD".to_owned()];
    since.iter().find_map(|range| subjects_of(root, range)).unwrap_or_default()
}

fn subjects_of(root: &Path, range: &str) -> Option<Vec<String>> {
    let arguments = ["log", "--no-merges", "--format=%s", range];
    let log = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let is_known = log.status.success();
    is_known.then(|| String::from_utf8_lossy(&log.stdout).lines().map(str::to_owned).collect())
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git(said) => write!(f, "the list of files comes from git, which says: {said}"),
            Self::Unreadable(path, error) => write!(f, "{path} cannot be read: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language_of(path: &str, text: &str) -> Option<Language> {
        SourceFile { path: path.into(), text: text.into() }.language()
    }

    #[test]
    fn language_comes_from_the_extension() {
        assert_eq!(language_of("crates/a/src/lib.rs", ""), Some(Language::Rust));
        assert_eq!(language_of("perl/t/01-basic.t", ""), Some(Language::Perl));
        assert_eq!(language_of("docs/guide.md", ""), None);
    }

    #[test]
    fn language_of_a_bare_name_comes_from_its_first_line() {
        assert_eq!(language_of("scripts/demo", "#!/bin/sh\n"), Some(Language::Shell));
        assert_eq!(language_of("scripts/demo", "#!/usr/bin/env perl\n"), Some(Language::Perl));
        assert_eq!(language_of("Makefile", "all:\n"), None);
        assert_eq!(language_of(".gitignore", "#!/not/a/language\n"), None);
    }
}
