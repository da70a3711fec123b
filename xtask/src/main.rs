//! `cargo xtask CHORE`: chores of this repository that cargo itself has no word for.
//!
//! Owns the command line and the exit codes only: 0 all is well, 1 there are findings, 2 the command
//! was used wrongly or the tree could not be read. Each chore has a module of its own.

mod manifest;
mod tidy;
mod tree;

use std::process::ExitCode;

use tree::Tree;

const USAGE: &str = "\
usage: cargo xtask tidy

  tidy   checks the rules of the house that no compiler knows: arrows between crates, names and
         lengths of files, opening lines, unfinished marks, paths of one machine, the changelog";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => run_tidy(),
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

fn run_tidy() -> ExitCode {
    let tree = match Tree::of_this_repository() {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("tidy: {error}");
            return ExitCode::from(2);
        }
    };
    let findings = tidy::findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    let looked_at = tree.files.len();
    if findings.is_empty() {
        println!("tidy: {} rules, {looked_at} files, nothing to mend", tidy::RULES.len());
        ExitCode::SUCCESS
    } else {
        println!("tidy: {looked_at} files, {} to mend", findings.len());
        ExitCode::FAILURE
    }
}
