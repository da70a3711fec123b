//! Rule: every file of code opens with the lines that say what it owns.
//!
//! A Rust file begins with `//!`; a Perl module that users meet (`perl/lib/Argon/NAME.pm`) has POD, or a
//! `NAME.pod` beside it; one in a folder below says it in a comment under `package`; a shell script has a comment right below `#!`.

use super::Finding;
use crate::tree::{Language, SourceFile, Tree};

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    tree.code()
        .filter_map(|(file, language)| {
            let remedy = missing_opening(tree, file, language)?;
            Some(Finding {
                path: file.path.clone(),
                line: None,
                problem: "the file does not say what it owns".into(),
                remedy: remedy.into(),
            })
        })
        .collect()
}

/// Opening to write into the file if it is missing.
fn missing_opening(tree: &Tree, file: &SourceFile, language: Language) -> Option<&'static str> {
    match language {
        Language::Rust if !file.text.starts_with("//!") => {
            Some("begin it with a few `//!` lines: what it owns, what it must not do, who calls it")
        }
        Language::Perl if is_public_module(file) && !has_pod(file) && !has_manual(tree, file) => {
            Some("give the module POD: at least `=head1 NAME` and what it is for")
        }
        Language::Perl if is_module(file) && !has_pod(file) && !opens_with_comment(file) => {
            Some("follow `package` with a comment: what the module owns, what it must not do, who calls it")
        }
        Language::Shell if !file.text.lines().nth(1).is_some_and(|line| line.starts_with("# ")) => {
            Some("follow the `#!` line with a comment: what the script does and who runs it")
        }
        Language::Rust | Language::Perl | Language::Shell | Language::Python | Language::JavaScript => None,
    }
}

fn is_module(file: &SourceFile) -> bool {
    file.path.starts_with("perl/lib/") && file.path.ends_with(".pm")
}

/// A module at the top of `perl/lib` or right below `Argon`; deeper ones are parts of those.
fn is_public_module(file: &SourceFile) -> bool {
    is_module(file) && file.path.split('/').count() <= 4
}

/// True if a comment stands within the first lines, where `package` does.
fn opens_with_comment(file: &SourceFile) -> bool {
    file.text.lines().take(4).any(|line| line.starts_with("# "))
}

/// True if the module's POD is a file of its own.
fn has_manual(tree: &Tree, file: &SourceFile) -> bool {
    let manual = file.path.replace(".pm", ".pod");
    tree.file(&manual).is_some() && opens_with_comment(file)
}

fn has_pod(file: &SourceFile) -> bool {
    file.text.lines().any(|line| line.starts_with("=head1 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        findings(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn a_rust_file_opens_with_its_doc() {
        assert_eq!(count("crates/a/src/lib.rs", "//! Words.\n"), 0);
        assert_eq!(count("crates/a/src/lib.rs", "use std::fmt;\n"), 1);
        assert_eq!(count("crates/a/src/lib.rs", ""), 1);
    }

    #[test]
    fn a_public_perl_module_has_pod() {
        assert_eq!(count("perl/lib/Argon/Client.pm", "package Argon::Client;\n1;\n\n=head1 NAME\n"), 0);
        assert_eq!(count("perl/lib/Argon/Client.pm", "package Argon::Client;\n\n# The client.\n1;\n"), 1);
        assert_eq!(count("perl/t/client.t", "use Test::More;\n"), 0);
        let manual = ("perl/lib/Argon/Client.pod", "=head1 NAME\n");
        let module = ("perl/lib/Argon/Client.pm", "package Argon::Client;\n\n# The client.\n1;\n");
        assert_eq!(findings(&Tree::of(&[module, manual])).len(), 0);
    }

    #[test]
    fn a_part_of_a_perl_module_opens_with_a_comment() {
        assert_eq!(
            count("perl/lib/Argon/Client/Wait.pm", "package Argon::Client::Wait;\n\n# Waits.\n1;\n"),
            0
        );
        assert_eq!(count("perl/lib/Argon/Client/Wait.pm", "package Argon::Client::Wait;\n1;\n"), 1);
    }

    #[test]
    fn a_script_says_what_it_does() {
        assert_eq!(count("scripts/demo", "#!/bin/sh\n# Shows Argon at work.\n"), 0);
        assert_eq!(count("scripts/demo", "#!/bin/sh\nset -eu\n"), 1);
    }
}
