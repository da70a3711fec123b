//! `argon key`: where the key is, new keys, the keys of roles, and the keys of people.

mod asker;
mod join;
mod people;
mod rotation;

use std::fmt::Display;
use std::fs::{File, Permissions};
use std::io::Stdout;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use argon_net::identity;
use argon_proto::key::{Key, Role};
use argon_proto::metrics_token::MetricsToken;
use clap::Args;

use super::options::KeyOption;
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::output::{complain, print_line};

/// Show where the cluster key is, make one, or give the key of a role or a person.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  argon key                                    the path of the key file
  argon key --show                             the key itself
  argon key --role client --out client.key     a key that lets its holder submit tasks, and nothing else
  argon key --new                              a new cluster key, where there is none
  argon key --pin                              what the certificate of this key's managers hashes to
  argon key --metrics-token > argon.token      what Prometheus reads /metrics with
  argon key add ann --role client              a key with a name, which can be revoked
  argon key list                               the keys of people
  argon key revoke ann                         at once, also for open connections
  argon key --join worker                      a line that lets another machine in, once

A role's key carries the pin, so that its holder recognises a manager and cannot play one.

Managers make the cluster key at their first start. Other machines get a role's key: 'argon join',
'argon worker' and 'argon pair' bring them one. A key file must be a regular file that only its
owner can read (mode 0600). Without a key 'argon key' ends with status 4 and makes none: a key made
on a worker's machine would open nothing.

Who holds the cluster key may run any code on any worker. Keep it as you keep an SSH key.")]
pub(super) struct KeyArguments {
    #[command(subcommand)]
    people: Option<people::PeopleCommand>,
    /// Print the key itself
    #[arg(long)]
    show: bool,
    /// Print the key of this role: client, worker, observer or admin
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    role: Option<Role>,
    /// Make a new cluster key; managers that are started with it are opened by it, and no others
    #[arg(long, conflicts_with_all = ["role", "show", "out"])]
    new: bool,
    /// Print the pin: the SHA-256 of the certificate that managers with this key show. It is not secret
    #[arg(long, conflicts_with_all = ["role", "show", "new", "out"])]
    pin: bool,
    /// Print the token with which a collector, such as Prometheus, reads the metrics of this key's managers
    #[arg(long, conflicts_with_all = ["role", "show", "new", "pin", "out"])]
    metrics_token: bool,
    /// Write the key into this file, of mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite what --out names; with --new replace the key, which locks out everybody who has the old one
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    joining: join::JoinOptions,
}

fn parse_role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| "the roles are client, worker, observer and admin".to_owned())
}

pub(super) fn run(arguments: &KeyArguments) -> Result<(), Failure> {
    if let Some(command) = &arguments.people {
        return people::run(command);
    }
    if let Some(role) = arguments.joining.join {
        return join::run(role, &arguments.joining, &arguments.key);
    }
    let named = arguments.key.key.as_deref();
    if arguments.force && !arguments.new && arguments.out.is_none() {
        return Err(Failure::new(FailureKind::Usage, "--force means something with --out or --new only"));
    }
    if arguments.new {
        let made = key_file::make_new(named, arguments.force)?;
        complain("a new key was made; it opens the managers that are started with it from now on");
        return print_line(made.source);
    }
    let found = key_file::find(named)?;
    if arguments.pin {
        let pin = identity::expected_pin(&found.key).ok_or_else(|| Failure::new(FailureKind::Key, NO_PIN))?;
        return print_line(pin);
    }
    if arguments.metrics_token {
        let token = MetricsToken::of(&found.key);
        return print_key(&token.ok_or_else(|| Failure::new(FailureKind::Key, NO_TOKEN))?);
    }
    let key = match arguments.role {
        None => found.key.clone(),
        Some(role) => identity::role_key(&found.key, role).ok_or_else(|| {
            Failure::new(
                FailureKind::Key,
                "this is the key of another role; only the cluster key gives role keys",
            )
        })?,
    };
    match &arguments.out {
        Some(out) => write_key(out, &key, arguments.force, Path::new(&found.source)),
        None if arguments.show || arguments.role.is_some() => print_key(&key),
        None => print_line(found.source),
    }
}

const NO_PIN: &str = "this key does not say which manager to trust: it was made by an older release; make it anew with \
                      'argon key --role ROLE' on the manager's machine";

const NO_TOKEN: &str = "a metrics token is made of the cluster key or of an observer's, and this is the key of another role; \
                        'argon key add NAME --role observer' on the manager's machine makes one";

/// Writes a key that was made of the one in `source`.
fn write_key(out: &Path, key: &Key, force: bool, source: &Path) -> Result<(), Failure> {
    must_not_be_source(out, source)?;
    key_file::write(out, key, force)?;
    complain(format_args!("{} holds the key, mode 0600", out.display()));
    Ok(())
}

/// `out` is the name of a file, and not that of the key that a new one is made of.
fn must_not_be_source(out: &Path, source: &Path) -> Result<(), Failure> {
    if out.as_os_str() == "-" {
        return Err(Failure::new(
            FailureKind::Usage,
            "--out names a file; leave it out, and the key is printed",
        ));
    }
    if is_same_file(out, source) {
        let why = format!("{} is the key that this one is made of; name another file", out.display());
        return Err(Failure::new(FailureKind::Usage, why));
    }
    Ok(())
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|facts| (facts.dev(), facts.ino())).ok();
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// Prints a key. A file that the shell made for it is closed to others first: such a key file is refused everywhere.
fn print_key(key: &impl Display) -> Result<(), Failure> {
    match close_to_others(&std::io::stdout()) {
        Ok(false) => {}
        Ok(true) => complain("others could read the file that the key goes to; its mode is 0600 now"),
        Err(error) => {
            complain(format_args!(
                "others can read the file that the key goes to ({error}); run: chmod 600 on it"
            ));
        }
    }
    print_line(key)
}

/// Closes a regular file on standard output to other users. True if they could read it before.
fn close_to_others(stdout: &Stdout) -> std::io::Result<bool> {
    let file = File::from(stdout.as_fd().try_clone_to_owned()?);
    let facts = file.metadata()?;
    if !facts.is_file() || facts.permissions().mode() & 0o077 == 0 {
        return Ok(false);
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(true)
}
