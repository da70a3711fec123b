//! `argon key`: where the key is, and the keys of roles.

use argon_proto::key::Role;
use clap::Args;

use super::options::KeyOption;
use crate::exit::{Failure, Kind};
use crate::key_file;

/// Show where the cluster key is, making it if there is none.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon key                              the path of the key file
  argon key --show                       the key itself, to be pasted into a file of mode 0600
  argon key --role client > client.key   a key that lets its holder submit tasks, and nothing else

Who holds the cluster key may run any code on any worker. Keep it as you keep an SSH key.")]
pub(super) struct Arguments {
    /// Print the key itself
    #[arg(long)]
    show: bool,
    /// Print the key of this role: client, worker, observer or admin
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    role: Option<Role>,
    #[command(flatten)]
    key: KeyOption,
}

fn parse_role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| "the roles are client, worker, observer and admin".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let found = key_file::find_or_make(arguments.key.key.as_deref())?;
    if found.is_new {
        eprintln!(
            "argon: there was no key at {}; a new one was made, which opens the managers that are started with it",
            found.source
        );
    }
    match arguments.role {
        Some(role) => {
            let key = found.key.for_role(role).ok_or_else(|| {
                Failure::new(
                    Kind::Key,
                    "this is the key of another role; only the cluster key gives role keys",
                )
            })?;
            println!("{key}");
        }
        None if arguments.show => println!("{}", found.key),
        None => println!("{}", found.source),
    }
    Ok(())
}
