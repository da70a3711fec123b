//! `argon completions`: what a shell needs to complete command lines of this program, from the table of `--help`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::exit::Failure;
use crate::output::print;

/// Print the completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon completions bash > /etc/bash_completion.d/argon
  argon completions zsh > \"${fpath[1]}/_argon\"
  argon completions fish > ~/.config/fish/completions/argon.fish")]
pub(super) struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::ArgonArguments::command(), "argon", &mut script);
    print(&script)
}
