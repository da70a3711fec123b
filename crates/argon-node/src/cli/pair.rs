//! `argon pair`: a key for this machine, given by a person at the manager.

use argon_net::newcomer::pair;
use argon_proto::key::Role;
use argon_proto::pairing::Introduction;
use clap::Args;

use super::options::{AuthorityOption, KeyOption, parse_address};
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::newcomer;
use crate::output::print_line;

/// Ask a manager for a key for this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon pair mgrhost:8000                    a client's key: for programs and argon run, map, submit
  argon pair mgrhost:8000 --role observer    a key that can only look
  argon pair mgrhost:8000 --key mgr.key      into a file of that name

It shows a code of six digits and waits for ten minutes. On the manager's machine run
  argon approve CODE
with the code that is shown here. Then the key is written with mode 0600 to argon/key in the user's
config folder, or to ROLE.key next to it if that file exists, and the path is printed.
'argon worker' does the same by itself where it finds no key.

The connection is encrypted. The code comes from both ends of it: if somebody is in between, the
manager has another code, and 'argon approve' refuses the one that is shown here.")]
pub(super) struct PairArguments {
    /// The manager's address
    #[arg(value_name = "HOST:PORT", value_parser = parse_address)]
    manager: String,
    /// What the key opens: client, worker or observer
    #[arg(long, value_name = "ROLE", default_value = "client", value_parser = parse_role)]
    role: Role,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    authority: AuthorityOption,
}

/// Reads a role whose key is given away.
pub(super) fn parse_role(name: &str) -> Result<Role, String> {
    let role = Role::from_name(name).filter(|role| Introduction::ROLES.contains(role));
    role.ok_or_else(|| "the roles are worker, client and observer".to_owned())
}

pub(super) fn run(arguments: &PairArguments) -> Result<(), Failure> {
    let PairArguments { manager, role, key, authority } = arguments;
    let trust = authority.trust(false)?;
    // Before a person is asked for something that cannot be kept.
    let named = key.key.as_deref();
    if named.is_none()
        && let Some(found) = key_file::find_if_there(None, *role)?
    {
        let (source, role) = (found.source, role.name());
        let why = format!(
            "{source} is a key for the role '{role}' already; name another file with --key, or move that one away if it is for \
             another manager"
        );
        return Err(Failure::new(FailureKind::Key, why));
    }
    let path = key_file::place_for(named, *role)?;
    super::block_on(async {
        let pairing = pair(manager, newcomer::introduction(*role), &trust).await?;
        newcomer::show_code(&pairing, manager, *role);
        newcomer::keep(&path, &pairing.key().await?, *role)?;
        print_line(path.display())
    })
}
