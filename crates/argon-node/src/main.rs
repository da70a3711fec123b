//! The `argon` program: parses the command line, runs one command, maps its failure to an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    argon_node::cli::run()
}
