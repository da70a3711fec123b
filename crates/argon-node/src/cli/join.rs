//! `argon join`: a pasted token makes this machine a worker.

mod service;

use argon_net::identity::expected_pin;
use argon_net::{DialError, Trust, newcomer};
use argon_proto::handshake::RefusalCode;
use argon_proto::join::{JoinToken, ParseJoinTokenError};
use argon_proto::key::{Key, Role, Scope};
use clap::Args;

use super::options::{AuthorityOption, KeyOption, LogOption, PoolOptions, start_log};
use super::worker::{Served, serve};
use crate::exit::{Failure, FailureKind};
use crate::key_file::{self, Found};
use crate::memory;
use crate::newcomer::keep;
use crate::output::{complain, print_line};

/// Join the pool of a manager with a token that it has printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon join argon1-join-mgrhost:8000-…              gets a worker's key, and starts the worker
  argon join argon1-join-mgrhost:8000-… --slots 4    the same, with four slots
  argon join argon1-join-mgrhost:8000-… --service    installs the worker as a systemd service

'argon manager' and 'argon up --host HOST' print such a line; 'argon key --join worker' prints
another, for several machines with --uses. A token has the manager's address, the pin of its
certificate and a secret that is good once and for ten minutes. The key that the machine gets is
kept with mode 0600 in argon/key of the user's config folder, or in ROLE.key next to it if that file
exists. The same line again starts the worker with the key that is there.

With the token of a client ('argon key --join client') or observer it writes the key and ends.

--service writes the unit argon-worker.service: for root to /etc/systemd/system, for other users to
systemd/user in the config folder. It enables and starts it where systemctl is found. The options
behind the token become those of the service. ARGON_UNIT_FOLDER names another folder, in which
nothing is started.")]
pub(super) struct JoinArguments {
    /// The token, whole and on one line
    #[arg(value_parser = parse_token)]
    token: JoinToken,
    /// Install the worker as a systemd service that starts with the machine, or with the user's session
    #[arg(long)]
    service: bool,
    #[command(flatten)]
    pool: PoolOptions,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    authority: AuthorityOption,
    #[command(flatten)]
    log: LogOption,
}

fn parse_token(text: &str) -> Result<JoinToken, ParseJoinTokenError> {
    text.parse()
}

pub(super) fn run(arguments: JoinArguments) -> Result<(), Failure> {
    memory::close_to_others();
    start_log(&arguments.log);
    memory::keep_some();
    // A token is not spent on a worker that cannot start.
    arguments.pool.isolation.find()?;
    super::block_on(async move {
        let trust = arguments.authority.trust(false)?;
        let found = key_of(&arguments, &trust).await?;
        let address = arguments.token.address.clone();
        match found.key.scope() {
            Scope::Cluster | Scope::Role(Role::Worker) => {}
            Scope::Role(role) => return next_steps(role, &address, &found),
        }
        if arguments.service {
            return service::install(&address, &found);
        }
        let served = Served { managers: vec![address], host: None, port: 0, trust, key: found };
        serve(served, &arguments.pool).await
    })
}

/// The key that the token is good for. A worker's key of the same manager that is here already is kept, and is enough where
/// the token is used up or the manager is away.
async fn key_of(arguments: &JoinArguments, trust: &Trust) -> Result<Found, Failure> {
    let (token, named) = (&arguments.token, arguments.key.key.as_deref());
    let may_be_there = named.is_none_or(std::path::Path::exists);
    let own = if may_be_there { key_file::find_if_there(named, Role::Worker)? } else { None };
    let own = own.filter(|found| expected_pin(&found.key) == Some(token.pin));
    if own.is_none() {
        // Before the token is used up for a key that cannot be kept.
        key_file::place_for(named, Role::Worker)?;
    }
    let key = match (newcomer::join(token, trust).await, own) {
        (Ok(key), Some(own)) if own.key.for_role(role_of(&key)).is_some() => return Ok(own),
        (Ok(key), _) => key,
        (Err(error), Some(own)) if is_used(&error) => {
            complain(format_args!(
                "{error}; this machine has a worker's key for that manager in {}",
                own.source
            ));
            return Ok(own);
        }
        (Err(error), _) => return Err(error.into()),
    };
    let role = role_of(&key);
    let path = key_file::place_for(named, role)?;
    keep(&path, &key, role)?;
    Ok(Found { key, source: path.display().to_string(), is_new: true })
}

/// True if the token gives nothing now, and a key that is here may.
fn is_used(error: &DialError) -> bool {
    match error {
        DialError::Unreachable { .. } => true,
        DialError::Refused { refusal, .. } => refusal.code == RefusalCode::Token,
        DialError::Role(_) => false,
    }
}

fn role_of(key: &Key) -> Role {
    match key.scope() {
        Scope::Role(role) => role,
        Scope::Cluster => Role::Admin,
    }
}

/// Prints the next steps with a key that is not a worker's.
fn next_steps(role: Role, manager: &str, found: &Found) -> Result<(), Failure> {
    let role = role.name();
    let does = if role == "observer" { "argon status" } else { "argon run -- hostname" };
    complain(format_args!(
        "this machine has a {role}'s key now and starts nothing. Name the manager to programs and commands, such as:\n\n  \
         export ARGON_MANAGER={manager}\n  {does}\n"
    ));
    print_line(&found.source)
}

/// A failure of the service, which is one of this machine.
fn machine(why: String) -> Failure {
    Failure::new(FailureKind::Machine, why)
}
