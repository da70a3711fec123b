//! `argon key --join`: another line that lets a machine in.

use std::time::Duration;

use argon_proto::conversation::admin::{Invite, Invited, Question};
use argon_proto::key::Role;
use clap::Args;

use super::super::approve::local_addresses;
use super::super::options::{KeyOption, TrustOption, parse_address, whole};
use super::super::pair::parse_role;
use super::super::quantity::time;
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::net::ask::{ask, unreadable};
use crate::output::{complain, print_line};

#[derive(Debug, Args)]
pub(super) struct JoinOptions {
    /// Print a line that gives another machine a key of this role, once and within ten minutes: worker, client or observer
    #[arg(long, value_name = "ROLE", value_parser = parse_role, conflicts_with_all = ["role", "show", "new", "pin", "out"])]
    pub(super) join: Option<Role>,
    /// With --join: machines that the line is good for
    #[arg(long, value_name = "MACHINES", requires = "join", value_parser = whole::<u32>(1, 10_000))]
    uses: Option<u32>,
    /// With --join: time for which the line is good, at most 7 days
    #[arg(long = "for", value_name = "TIME", requires = "join", value_parser = time)]
    within: Option<Duration>,
    /// With --join: the manager, by the address that the other machine shall dial [default: a manager of this user here]
    #[arg(long, value_name = "HOST:PORT", requires = "join", value_parser = parse_address)]
    manager: Option<String>,
    #[command(flatten)]
    trust: TrustOption,
}

pub(super) fn run(role: Role, options: &JoinOptions, key: &KeyOption) -> Result<(), Failure> {
    let found = key_file::find(key.key.as_deref())?;
    if found.key.for_role(Role::Admin).is_none() {
        let why = format!(
            "{} is not the cluster key or an admin's; run this on the manager's machine",
            found.source
        );
        return Err(Failure::new(FailureKind::Key, why));
    }
    let trust = options.trust.trust()?;
    let invite = Invite {
        role: role.name().to_owned(),
        uses: options.uses,
        for_ms: options.within.map(|within| u64::try_from(within.as_millis()).unwrap_or(u64::MAX)),
        address: options.manager.clone(),
    };
    let question = Question::Invite(invite);
    super::super::block_on(async {
        let mut failed = None;
        for address in local_addresses(options.manager.as_deref()) {
            match ask(&address, &found.key, &trust, Role::Admin, &question).await {
                Ok(reply) => return show(&reply.read().map_err(|error| unreadable(&error))?),
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        Err(failed.unwrap_or_else(|| Failure::new(FailureKind::Reach, "no manager is known here")))
    })
}

fn show(Invited { token, for_ms, uses }: &Invited) -> Result<(), Failure> {
    let machines = if *uses == 1 { "one machine".to_owned() } else { format!("{uses} machines") };
    complain(format_args!(
        "run this on the other machine; it is good for {machines} and {}",
        duration(*for_ms)
    ));
    print_line(format_args!("argon join {token}"))
}

/// `10 minutes`, `90 s`.
fn duration(ms: u64) -> String {
    match ms / 1000 {
        seconds if seconds >= 7200 && seconds % 3600 == 0 => format!("{} hours", seconds / 3600),
        seconds if seconds >= 120 && seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
