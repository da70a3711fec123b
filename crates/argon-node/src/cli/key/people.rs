//! `argon key add`, `list`, `revoke` and `renew`: keys of people, which a manager admits until they are revoked.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argon_net::identity;
use argon_proto::conversation::admin::{ClusterKey, KeyAdded, KeyList, KeysRevoked, PersonKey, Question};
use argon_proto::holder::{Holder, OwnerName, ParseNameError};
use argon_proto::key::Role;
use clap::{Args, Subcommand};

use super::asker::{AskOptions, Asker};
use super::rotation::{self, RetireArguments, RotateArguments};
use super::{print_key, write_key};
use crate::exit::{Failure, FailureKind};
use crate::net::ask::unreadable;
use crate::output::{complain, print, print_line};

/// Keys of people.
#[derive(Debug, Subcommand)]
pub(super) enum PeopleCommand {
    /// Make a key for a person or a machine, which can be revoked
    Add(AddArguments),
    /// List the keys of people, those in force and those revoked
    List(ListArguments),
    /// Put keys out of force and close what was opened with them
    Revoke(RevokeArguments),
    /// Make a new cluster key; the old one stays valid until it is retired
    Rotate(RotateArguments),
    /// End the validity of the old cluster key
    Retire(RetireArguments),
    /// Write a key once more: after the cluster key was replaced, or when the file was lost
    Renew(RenewArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon key add ann --role client --out ann.key        give Ann the file ann.key
  argon key add rack7 --role worker --out rack7.key    for the workers of one machine
  argon key add wall --role observer                   prints the key

Tasks that are submitted with a client's key belong to its owner: 'argon status' names the owner,
owners take turns, and each sees and cancels its own tasks only. One person may have several keys.

The running manager admits the key at once. Its secret follows from the cluster key, so this command
needs the cluster key; the manager stores the name only, next to its store.")]
pub(super) struct AddArguments {
    /// Name of the person or machine: 1 to 32 letters, digits and ._@-
    #[arg(value_parser = parse_name)]
    name: OwnerName,
    /// What the key opens: client, worker or observer
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    role: Role,
    #[command(flatten)]
    out: OutOptions,
    #[command(flatten)]
    asking: AskOptions,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Print the answer as one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asking: AskOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon key revoke ann                  all keys of Ann
  argon key revoke 7f0c66d1a7b0e9d2     one key, by its id

The manager refuses the key at once and closes connections that were opened with it. Tasks of a
client that does not come back end after --session-grace; tasks that a worker had start elsewhere.
Detached tasks stay. A revoked key cannot be put back into force: make another one.")]
pub(super) struct RevokeArguments {
    /// Name of a person, or id of a key, as 'argon key list' shows them
    #[arg(value_name = "NAME|ID")]
    named: String,
    #[command(flatten)]
    asking: AskOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon key renew ann --out ann.key --force
  argon key renew 7f0c66d1a7b0e9d2

The key keeps its id and name, and its secret follows from the present cluster key. Before 'argon
key retire', renew the keys of all who have one.")]
pub(super) struct RenewArguments {
    /// Name of a person with one key in force, or id of a key
    #[arg(value_name = "NAME|ID")]
    named: String,
    #[command(flatten)]
    out: OutOptions,
    #[command(flatten)]
    asking: AskOptions,
}

/// Destination of a new key.
#[derive(Debug, Args)]
struct OutOptions {
    /// Write the key into this file, of mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite the file of --out
    #[arg(long, requires = "out")]
    force: bool,
}

pub(super) fn run(command: &PeopleCommand) -> Result<(), Failure> {
    match command {
        PeopleCommand::Add(arguments) => add(arguments),
        PeopleCommand::List(arguments) => list(arguments),
        PeopleCommand::Revoke(arguments) => revoke(arguments),
        PeopleCommand::Renew(arguments) => renew(arguments),
        PeopleCommand::Rotate(arguments) => rotation::rotate(arguments),
        PeopleCommand::Retire(arguments) => rotation::retire(arguments),
    }
}

fn parse_role(name: &str) -> Result<Role, String> {
    let role = Role::from_name(name).filter(|role| *role != Role::Admin);
    role.ok_or_else(|| "a person has the role client, worker or observer".to_owned())
}

fn parse_name(text: &str) -> Result<OwnerName, ParseNameError> {
    text.parse()
}

fn add(arguments: &AddArguments) -> Result<(), Failure> {
    let asker = Asker::new("add", &arguments.asking)?;
    asker.must_have_cluster_key()?;
    arguments.out.check(&asker.source)?;
    let question =
        Question::KeyAdd { name: arguments.name.to_string(), role: arguments.role.name().to_owned() };
    let KeyAdded { key, file } = asker.ask(&question)?.read().map_err(|error| unreadable(&error))?;
    if file.is_none() {
        complain(
            "this manager keeps no store, so it knows the key until it ends; start it with --store FILE to keep keys",
        );
    }
    hand_out(&asker, &key, &arguments.out).inspect_err(|_| {
        complain(format_args!(
            "the key {id} is in force; 'argon key renew {id}' writes it again",
            id = key.id
        ));
    })
}

fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let reply = Asker::new("list", &arguments.asking)?.ask(&Question::KeyList)?;
    if arguments.json {
        return print_line(reply.into_json());
    }
    let listed: KeyList = reply.read().map_err(|error| unreadable(&error))?;
    print(for_people(&listed.keys, now_s()) + &cluster_keys(&listed.cluster))
}

/// The cluster keys, if there are two.
fn cluster_keys(keys: &[ClusterKey]) -> String {
    let [newest, oldest] = keys else { return String::new() };
    let short = |key: &ClusterKey| key.pin.chars().take(16).collect::<String>();
    format!(
        "two cluster keys are valid: {} with {} connections, and the old one, {}, with {} ('argon key retire' ends it)\n",
        short(newest),
        newest.connections,
        short(oldest),
        oldest.connections
    )
}

fn revoke(arguments: &RevokeArguments) -> Result<(), Failure> {
    let reply = Asker::new("revoke", &arguments.asking)?
        .ask(&Question::KeyRevoke { key: arguments.named.clone() })?;
    let KeysRevoked { keys, closed } = reply.read().map_err(|error| unreadable(&error))?;
    if keys.is_empty() {
        return print_line(format_args!("{} was revoked before", arguments.named));
    }
    for key in &keys {
        print_line(format_args!("revoked {} of {} ({})", key.id, key.name, key.role))?;
    }
    match closed {
        0 => print_line("no connection was open"),
        1 => print_line("1 connection was closed"),
        closed => print_line(format_args!("{closed} connections were closed")),
    }
}

fn renew(arguments: &RenewArguments) -> Result<(), Failure> {
    let asker = Asker::new("renew", &arguments.asking)?;
    asker.must_have_cluster_key()?;
    arguments.out.check(&asker.source)?;
    let listed: KeyList = asker.ask(&Question::KeyList)?.read().map_err(|error| unreadable(&error))?;
    let key =
        one_in_force(&listed.keys, &arguments.named).map_err(|why| Failure::new(FailureKind::Other, why))?;
    hand_out(&asker, key, &arguments.out)
}

/// The key that a name or id means.
fn one_in_force<'a>(keys: &'a [PersonKey], named: &str) -> Result<&'a PersonKey, String> {
    let mut meant = keys.iter().filter(|key| key.id.to_string() == named).peekable();
    if let Some(key) = meant.peek() {
        return match key.revoked {
            None => Ok(key),
            Some(_) => Err(format!("the key {named} was revoked; make another one with 'argon key add'")),
        };
    }
    let in_force = keys.iter().filter(|key| key.name.as_str() == named && key.revoked.is_none());
    match in_force.collect::<Vec<_>>().as_slice() {
        [key] => Ok(key),
        [] => Err(format!("'{named}' has no key in force; 'argon key list' shows those that there are")),
        several => {
            let ids: Vec<String> = several.iter().map(|key| format!("{} ({})", key.id, key.role)).collect();
            Err(format!("'{named}' has several keys; give the id of one: {}", ids.join(", ")))
        }
    }
}

/// Writes or prints the key that the manager knows.
fn hand_out(asker: &Asker<'_>, known: &PersonKey, out: &OutOptions) -> Result<(), Failure> {
    let holder = Holder { name: known.name.clone(), id: known.id };
    let role = Role::from_name(&known.role);
    let key = role.and_then(|role| identity::person_key(&asker.key, role, holder));
    let key = key.ok_or_else(|| {
        Failure::new(FailureKind::Reach, "the manager named a role that this release does not know")
    })?;
    match &out.out {
        Some(path) => {
            write_key(path, &key, out.force, Path::new(&asker.source))?;
            complain(format_args!("it is key {} of {} for the role {}", known.id, known.name, known.role));
            Ok(())
        }
        None => print_key(&key),
    }
}

impl OutOptions {
    /// Finds mistakes before the manager is asked.
    fn check(&self, cluster_key: &str) -> Result<(), Failure> {
        let Some(path) = &self.out else { return Ok(()) };
        super::must_not_be_source(path, Path::new(cluster_key))?;
        if path.exists() && !self.force {
            let why = format!("{} exists and is not overwritten without --force", path.display());
            return Err(Failure::new(FailureKind::Key, why));
        }
        Ok(())
    }
}

fn for_people(keys: &[PersonKey], now_s: u64) -> String {
    if keys.is_empty() {
        return "no keys of people; 'argon key add NAME --role client' makes one\n".to_owned();
    }
    let mut text = format!("{:<32}  {:<16}  {:<8}  {:<12}  state\n", "name", "id", "role", "made");
    for key in keys {
        let state = match key.revoked {
            None => "in force".to_owned(),
            Some(at) => format!("revoked {}", ago(now_s.saturating_sub(at))),
        };
        let made = ago(now_s.saturating_sub(key.made));
        let _ = writeln!(text, "{:<32}  {}  {:<8}  {made:<12}  {state}", key.name, key.id, key.role);
    }
    text
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use argon_proto::holder::KeyId;

    use super::*;

    fn key(name: &str, id: u8, revoked: Option<u64>) -> PersonKey {
        let name = name.parse().expect("a name");
        PersonKey { id: KeyId([id; 8]), name, role: "client".to_owned(), made: 1000, revoked }
    }

    #[test]
    fn a_key_to_renew_is_meant_by_its_id_or_by_a_name_that_has_one() {
        let keys = [
            key("ann", 1, None),
            key("ann", 2, None),
            key("bob", 3, Some(5)),
            key("bob", 4, None),
            key("cy", 5, Some(9)),
        ];
        let meant = |named: &str| one_in_force(&keys, named).map(|key| key.id.0[0]);
        assert_eq!((meant("bob"), meant("0202020202020202")), (Ok(4), Ok(2)));
        for (named, words) in [
            ("ann", "several keys"),
            ("0303030303030303", "was revoked"),
            ("cy", "no key in force"),
            ("dan", "no key"),
        ] {
            assert!(meant(named).expect_err("none").contains(words), "{named}");
        }
    }

    #[test]
    fn keys_are_listed_on_lines_of_fixed_columns() {
        let expected = "\
name                              id                role      made          state
ann                               0101010101010101  client    100 s ago     in force
bob                               0202020202020202  client    100 s ago     revoked 60 s ago
";
        assert_eq!(for_people(&[key("ann", 1, None), key("bob", 2, Some(1040))], 1100), expected);
        assert!(for_people(&[], 0).contains("argon key add"));
    }
}
