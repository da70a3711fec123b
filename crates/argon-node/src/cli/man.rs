//! `argon man`: manual pages, from the table of `--help`.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use crate::exit::{Failure, FailureKind};
use crate::output::print;

/// Print the manual page, or write that of every command to a folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon man | man -l -                          reads it
  argon man --folder /usr/local/share/man/man1  argon.1, argon-run.1, argon-map.1, …")]
pub(super) struct ManArguments {
    /// Write all pages to this folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(super) fn run(arguments: &ManArguments) -> Result<(), Failure> {
    let mut command = super::ArgonArguments::command();
    command.build();
    match &arguments.folder {
        Some(folder) => write_all(&command, folder),
        None => print(page(&command)?),
    }
}

fn write_all(command: &clap::Command, folder: &Path) -> Result<(), Failure> {
    let pages =
        std::iter::once(command).chain(command.get_subcommands().filter(|command| !command.is_hide_set()));
    for command in pages {
        let path = folder.join(Man::new(command.clone()).get_filename());
        let bytes = page(command)?;
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes)).map_err(|error| {
            Failure::new(
                FailureKind::Other,
                format!("the page {} cannot be written: {error}", path.display()),
            )
        })?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    Man::new(command.clone())
        .render(&mut bytes)
        .map_err(|error| Failure::new(FailureKind::Other, format!("the page cannot be made: {error}")))?;
    Ok(bytes)
}
