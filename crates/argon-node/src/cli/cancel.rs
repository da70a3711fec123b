//! `argon cancel`: ends tasks of any client.

use std::io::BufRead;

use argon_proto::conversation::admin::{AllCancelled, Cancel, Question, TasksCancelled};
use argon_proto::holder::OwnerName;
use argon_proto::key::Role;
use argon_proto::task_name::ParseTaskNameError;
use clap::Args;

use super::options::{KeyOption, ManagerOption, TrustOption};
use super::task_filter::{parse_owner, parse_task};
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::manager::requests::cancel::TASKS_PER_REQUEST;
use crate::net::ask::{ask, role_for, unreadable};
use crate::output::{complain, counted, print_line, printable};

/// Cancel tasks: waiting tasks never start, running ones are killed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon cancel $ticket                 a ticket that argon submit has printed
  argon cancel ee5b8a.12               an id from argon tasks
  argon tasks --name 'resize*' --state running --json | jq -r .task | argon cancel -
  argon cancel --all                   all tasks that wait or run; with a person's key, those of that person
  argon cancel --all --owner ann       all of Ann's tasks, by an admin

The result is one line for each task. The outcome of a cancelled task names the user who cancelled
it. A client's key cancels submitted tasks by their tickets. With the key of a person, ids and --all
do it, too, for that person's tasks. Else ids and --all need the cluster key or an admin's key.

Exit status: 0 if all tasks are cancelled, 1 if one is unknown or had ended, 4 without a key that
allows it, 5 if the manager cannot be reached.")]
pub(super) struct CancelArguments {
    /// Tickets or ids of tasks; '-' reads them from standard input
    #[arg(value_name = "TASK", help_heading = "Arguments", required_unless_present = "all", value_parser = parse_name)]
    ids: Vec<String>,
    /// Cancel all tasks of all clients
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// With --all, only the tasks of this owner: a name of 'argon key list', or 'admin'
    #[arg(long, value_name = "NAME", requires = "all", value_parser = parse_owner)]
    owner: Option<OwnerName>,
    #[command(flatten)]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    trust: TrustOption,
    /// Print a line of JSON for each task
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &CancelArguments) -> Result<(), Failure> {
    let address = arguments.manager.address("cancel", &arguments.key)?;
    let found = key_file::find_for(arguments.key.key.as_deref(), &[Role::Admin, Role::Client], address)?;
    let trust = arguments.trust.trust()?;
    let names = all_names(&arguments.ids)?;
    let role = role_for(&found.key, Role::Admin);
    if arguments.all && role == Role::Client && found.key.holder().is_none() {
        let why = "only an admin may cancel the tasks of all; use the cluster key or an admin's";
        return Err(Failure::new(FailureKind::Key, why));
    }
    if names.is_empty() && !arguments.all {
        complain("standard input names no task; nothing was cancelled");
    }
    let by = who();
    super::block_on(async {
        if arguments.all {
            let owner = arguments.owner.as_ref().map(ToString::to_string).unwrap_or_default();
            let question = Question::Cancel(Cancel { all: true, owner, by, ..Cancel::default() });
            let reply = ask(address, &found.key, &trust, role, &question).await?;
            if arguments.json {
                return print(&reply.into_json().to_string());
            }
            let AllCancelled { cancelled } = reply.read().map_err(|error| unreadable(&error))?;
            return print(&format!("{} cancelled", counted(cancelled as u64, "task")));
        }
        let mut left = 0;
        for some in names.chunks(TASKS_PER_REQUEST) {
            let cancel = Cancel { tasks: some.to_vec(), by: by.clone(), ..Cancel::default() };
            let question = Question::Cancel(cancel);
            let reply = ask(address, &found.key, &trust, role, &question).await?;
            let TasksCancelled { tasks } = reply.read().map_err(|error| unreadable(&error))?;
            for task in tasks {
                left += usize::from(task.result != "cancelled");
                let line = if arguments.json {
                    serde_json::to_string(&task).map_err(|error| unreadable(&error))?
                } else {
                    printable(&format!("{}: {}", task.task, task.message)).into_owned()
                };
                print(&line)?;
            }
        }
        match left {
            0 => Ok(()),
            1 => Err(Failure::new(FailureKind::Other, "one task was not cancelled")),
            left => Err(Failure::new(FailureKind::Other, format!("{left} tasks were not cancelled"))),
        }
    })
}

fn print(line: &str) -> Result<(), Failure> {
    print_line(line)
        .map_err(|failure| Failure::new(failure.kind(), format!("the manager has answered, but {failure}")))
}

/// The ids of the command line, with those of standard input in the place of '-'.
fn all_names(ids: &[String]) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for id in ids {
        if id != "-" {
            names.push(id.clone());
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| {
                Failure::new(FailureKind::Other, format!("standard input cannot be read: {error}"))
            })?;
            for word in line.split_whitespace() {
                let name = parse_name(word).map_err(|why| {
                    Failure::new(FailureKind::Usage, format!("'{word}' in standard input: {why}"))
                })?;
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// A ticket, an id, its beginning, or '-'.
fn parse_name(text: &str) -> Result<String, ParseTaskNameError> {
    if text.trim() == "-" { Ok("-".to_owned()) } else { parse_task(text) }
}

/// Name of the user, for the owners of the cancelled tasks.
fn who() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    let name = user.map_or_else(|| format!("user {}", nix::unistd::geteuid()), |user| user.name);
    format!("{name}@{}", crate::worker::machine::host_name())
}
