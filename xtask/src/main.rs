//! `cargo xtask CHORE`: chores of this repository that cargo itself has no word for.
//!
//! Owns the command line and the exit codes only: 0 all is well, 1 there are findings, 2 the command
//! was used wrongly or the tree could not be read. Each chore has a module of its own.

mod dependencies;
mod kinds;
mod manifest;
mod tidy;
mod tree;

use std::process::ExitCode;

use tree::Tree;

const USAGE: &str = "\
usage: cargo xtask tidy
       cargo xtask kinds [--check]
       cargo xtask dependencies

  tidy   checks rules that no compiler knows: dependencies between crates, circles of imports,
         names of types, names and lengths of files, opening lines, unfinished marks, paths of one
         machine, paths, anchors and words of pages, the changelog, subjects of commits
  kinds  writes docs/right-or-loud.md from the comments beside tests that name a kind;
         with --check it changes nothing, and fails if the page is not current
  dependencies
         checks licences, sources, versions and number of the packages that we build, against
         deny.toml and without a network";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => with_tree("tidy", run_tidy),
        ["kinds"] => with_tree("kinds", write_kinds),
        ["kinds", "--check"] => with_tree("kinds", |tree| report("kinds", &kinds::findings(tree))),
        ["dependencies"] => with_tree("dependencies", run_dependencies),
        ["-h" | "--help" | "help"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
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
