//! `argon approve`: lets a machine in that waits without a key.

use std::fmt::Write;
use std::io::{self, BufRead, IsTerminal};

use argon_net::Trust;
use argon_proto::conversation::admin::{Newcomer, NewcomerList, Question, Reply};
use argon_proto::key::{Key, Role};
use argon_proto::pairing::{PairingCode, ParseCodeError};
use clap::Args;

use super::options::{KeyOption, TrustOption, parse_address};
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::local_managers;
use crate::manager::newcomers::who;
use crate::net::ask::{ask, unreadable};
use crate::output::{complain, print, print_line};

/// Address of a manager that is not told otherwise.
const DEFAULT_MANAGER: &str = "127.0.0.1:8000";

/// Let a machine in that waits without a key.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon approve 123-456           lets in the machine that shows this code
  argon approve                   lists the machines that wait; on a terminal, asks for the code
  argon approve --deny 123-456    sends the machine away

Compare the code with the one that the other machine shows: if they are the same, nobody is in
between. 'argon worker --manager HOST:PORT' and 'argon pair HOST:PORT' show it. The machine gets
the key of the role that it asks for, and nothing more.

Run it on the manager's machine, as the manager's user: it needs the cluster key. It finds a manager
of this user here; --manager and ARGON_MANAGER name another.")]
pub(super) struct ApproveArguments {
    /// The code that the other machine shows
    #[arg(value_name = "CODE", value_parser = parse_code)]
    code: Option<PairingCode>,
    /// Send the machine with this code away
    #[arg(long, value_name = "CODE", conflicts_with = "code", value_parser = parse_code)]
    deny: Option<PairingCode>,
    /// Print the machines that wait, or the one that was let in, as one line of JSON
    #[arg(long)]
    json: bool,
    /// The manager's address [default: managers of this user on this machine, and 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT", env = "ARGON_MANAGER", hide_env_values = true, value_parser = parse_address)]
    manager: Option<String>,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    trust: TrustOption,
}

fn parse_code(text: &str) -> Result<PairingCode, ParseCodeError> {
    text.parse()
}

pub(super) fn run(arguments: &ApproveArguments) -> Result<(), Failure> {
    let managers = LocalManagers::of(arguments)?;
    super::block_on(async {
        match (arguments.code, arguments.deny) {
            (Some(code), _) => managers.decide(code, true, arguments.json).await,
            (None, Some(code)) => managers.decide(code, false, arguments.json).await,
            (None, None) => choose(&managers, arguments.json).await,
        }
    })
}

async fn choose(managers: &LocalManagers, json: bool) -> Result<(), Failure> {
    let mut list = NewcomerList::default();
    for reply in managers.ask_all(&Question::Newcomers).await? {
        let more: NewcomerList = reply.read().map_err(|error| unreadable(&error))?;
        list.waiting.extend(more.waiting);
        list.broken_off += more.broken_off;
    }
    if json {
        return print_line(serde_json::to_string(&list).unwrap_or_default());
    }
    print(for_people(&list))?;
    if list.waiting.is_empty() || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok(());
    }
    complain("which code does the machine show that you want to let in? An empty line lets in none");
    let mut line = String::new();
    let _ = io::stdin().lock().read_line(&mut line);
    if line.trim().is_empty() {
        return Ok(());
    }
    let code = parse_code(&line).map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
    managers.decide(code, true, json).await
}

fn for_people(list: &NewcomerList) -> String {
    let mut text = String::new();
    if list.waiting.is_empty() {
        text.push_str("no machine waits to be let in\n");
    } else {
        let _ = writeln!(text, "{:<9}{:<10}{:>6}  WHO", "CODE", "WANTS", "SINCE");
    }
    for Newcomer { code, wants, host, user, from, age_s } in &list.waiting {
        let since = format!("{}:{:02}", age_s / 60, age_s % 60);
        let _ = writeln!(text, "{:<9}{wants:<10}{since:>6}  {} at {from}", code.to_string(), who(host, user));
    }
    if list.broken_off > MANY_BROKEN_OFF {
        let _ = writeln!(
            text,
            "{} attempts broke off before a code was shown: somebody may be searching for one. Compare all six digits",
            list.broken_off
        );
    }
    text
}

/// Broken attempts that need no word: a machine that was interrupted leaves one.
const MANY_BROKEN_OFF: u64 = 20;

/// The managers that may be meant.
struct LocalManagers {
    addresses: Vec<String>,
    key: Key,
    trust: Trust,
}

impl LocalManagers {
    fn of(arguments: &ApproveArguments) -> Result<Self, Failure> {
        let found = key_file::find(arguments.key.key.as_deref())?;
        if found.key.for_role(Role::Admin).is_none() {
            let why = format!(
                "{} is not the cluster key or an admin's; run 'argon approve' on the manager's machine, as its user",
                found.source
            );
            return Err(Failure::new(FailureKind::Key, why));
        }
        let addresses = local_addresses(arguments.manager.as_deref());
        Ok(Self { addresses, key: found.key, trust: arguments.trust.trust()? })
    }

    async fn decide(&self, code: PairingCode, let_in: bool, json: bool) -> Result<(), Failure> {
        let text = code.to_string();
        let question = if let_in { Question::Approve { code: text } } else { Question::Deny { code: text } };
        let reply = self.ask_first(&question).await?;
        if json {
            return print_line(reply.into_json());
        }
        let newcomer: Newcomer = reply.read().map_err(|error| unreadable(&error))?;
        let (who, from) = (who(&newcomer.host, &newcomer.user), &newcomer.from);
        let done = if let_in { "let in" } else { "sent away" };
        print_line(format_args!("{done}: {who} at {from}, which asked for a {}'s key", newcomer.wants))
    }

    async fn ask(&self, address: &str, question: &Question) -> Result<Reply, Failure> {
        ask(address, &self.key, &self.trust, Role::Admin, question).await
    }

    /// The answer of the first manager that can give one. Of the failures, one with an answer says most.
    async fn ask_first(&self, question: &Question) -> Result<Reply, Failure> {
        let mut failed: Option<Failure> = None;
        for address in &self.addresses {
            match self.ask(address, question).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => {
                    let says_more =
                        failed.as_ref().is_none_or(|before| is_vague(before) && !is_vague(&failure));
                    failed = if says_more { Some(failure) } else { failed };
                }
            }
        }
        Err(failed.unwrap_or_else(no_manager))
    }

    /// The answers of all managers that are there.
    async fn ask_all(&self, question: &Question) -> Result<Vec<Reply>, Failure> {
        let (mut replies, mut failed) = (Vec::new(), None);
        for address in &self.addresses {
            match self.ask(address, question).await {
                Ok(reply) => replies.push(reply),
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        if replies.is_empty() { Err(failed.unwrap_or_else(no_manager)) } else { Ok(replies) }
    }
}

/// The manager that is named, or those that this user runs here.
pub(super) fn local_addresses(named: Option<&str>) -> Vec<String> {
    if let Some(named) = named {
        return vec![named.to_owned()];
    }
    let mut addresses = local_managers::addresses();
    addresses.sort();
    if !addresses.iter().any(|address| address == DEFAULT_MANAGER) {
        addresses.push(DEFAULT_MANAGER.to_owned());
    }
    addresses
}

fn is_vague(failure: &Failure) -> bool {
    failure.kind() == FailureKind::Reach
}

fn no_manager() -> Failure {
    Failure::new(FailureKind::Reach, "no manager is known here; name one with --manager")
}
