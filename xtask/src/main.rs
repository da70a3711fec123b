//! `cargo xtask CHORE`: checks and generators of this repository.
//!
//! Owns the command line and the exit status only. Each chore has a module of its own.

mod dependencies;
mod kinds;
mod manifest;
mod tidy;
mod tree;

use std::process::ExitCode;

use clap::Parser;

use tree::Tree;

/// Checks and generators of this repository that cargo does not have
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Exit status: 0 nothing to repair, 1 findings, 2 used wrongly, or the tree cannot be read."
)]
enum Chore {
    /// Checks rules that no compiler knows
    ///
    /// Dependencies between crates, circles of imports, names of types, names and lengths of files, opening lines,
    /// unfinished marks, paths of one machine, paths, anchors and words of pages, the changelog, subjects of commits.
    Tidy,
    /// Writes docs/right-or-loud.md from the comments above tests that name a kind
    Kinds {
        /// Changes nothing, and fails if the page is not current
        #[arg(long)]
        check: bool,
    },
    /// Checks the packages that we build against deny.toml, without a network: licences, sources, versions, number
    Dependencies,
}

fn main() -> ExitCode {
    match Chore::parse() {
        Chore::Tidy => with_tree("tidy", run_tidy),
        Chore::Kinds { check: false } => with_tree("kinds", write_kinds),
        Chore::Kinds { check: true } => with_tree("kinds", |tree| report("kinds", &kinds::findings(tree))),
        Chore::Dependencies => with_tree("dependencies", run_dependencies),
    }
}

fn with_tree(chore: &str, run: impl FnOnce(&Tree) -> ExitCode) -> ExitCode {
    match Tree::of_this_repository() {
        Ok(tree) => run(&tree),
        Err(error) => {
            eprintln!("{chore}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run_tidy(tree: &Tree) -> ExitCode {
    let ended = report("tidy", &tidy::findings(tree));
    println!("tidy: {} rules, {} files", tidy::RULES.len(), tree.files.len());
    ended
}

fn run_dependencies(tree: &Tree) -> ExitCode {
    match dependencies::findings(tree) {
        Ok(findings) => report("dependencies", &findings),
        Err(problem) => {
            eprintln!("dependencies: {problem}");
            ExitCode::from(2)
        }
    }
}

fn write_kinds(tree: &Tree) -> ExitCode {
    match kinds::page(tree) {
        Err(findings) => report("kinds", &findings),
        Ok(page) => match tree::write(kinds::PAGE, &page) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("kinds: {} cannot be written: {error}", kinds::PAGE);
                ExitCode::from(2)
            }
        },
    }
}

fn report(chore: &str, findings: &[tidy::Finding]) -> ExitCode {
    for finding in findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("{chore}: nothing to repair");
        ExitCode::SUCCESS
    } else {
        println!("{chore}: {} to repair", findings.len());
        ExitCode::FAILURE
    }
}
