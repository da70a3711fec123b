//! `argon key rotate` and `retire`: replace the cluster key while everything goes on.

use argon_proto::conversation::admin::{KeyRotated, Question};
use clap::Args;

use super::asker::{AskOptions, Asker};
use crate::exit::Failure;
use crate::net::ask::unreadable;
use crate::output::{complain, print_line};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon key rotate              a new cluster key; the old one stays valid
  argon key list                who still uses the old one
  argon key retire              the old one is valid no longer

The manager writes the new key into its key file, and keeps the old one next to it (key.old). Then
copy the file to other machines that have the cluster key, stand-bys first, and make the keys of
roles and people anew ('argon key --role', 'argon key renew'). Workers and clients read their key
files anew whenever they connect; nothing needs to be started again, and no task is lost.")]
pub(super) struct RotateArguments {
    #[command(flatten)]
    asking: AskOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon key retire
  argon key retire --force      although connections were opened with the old key

Connections that were opened with the old key are closed. Workers and clients whose key file is new
come back at once and go on; others are refused, and workers keep trying. Tickets of detached tasks
that were given under the old key can still be collected.")]
pub(super) struct RetireArguments {
    /// Close connections that were opened with the old key
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    asking: AskOptions,
}

pub(super) fn rotate(arguments: &RotateArguments) -> Result<(), Failure> {
    let reply = Asker::new("rotate", &arguments.asking)?.ask(&Question::KeyRotate)?;
    let KeyRotated { keys, file } = reply.read().map_err(|error| unreadable(&error))?;
    if let Some(file) = file {
        complain(format_args!(
            "the new key is in {file} on the manager's machine, and the old one is valid until 'argon key retire'"
        ));
    }
    keys.first().map_or(Ok(()), |key| print_line(format_args!("pin {}", key.pin)))
}

pub(super) fn retire(arguments: &RetireArguments) -> Result<(), Failure> {
    let question = Question::KeyRetire { force: arguments.force };
    let reply = Asker::new("retire", &arguments.asking)?.ask(&question)?;
    let KeyRotated { keys, .. } = reply.read().map_err(|error| unreadable(&error))?;
    complain("the old key is valid no longer");
    keys.first().map_or(Ok(()), |key| print_line(format_args!("pin {}", key.pin)))
}
