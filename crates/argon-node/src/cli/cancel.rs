//! `argon cancel`: ends tasks of any client.

use std::io::{BufRead, IsTerminal};

use argon_net::Trust;
use argon_proto::conversation::admin::{
    AllCancelled, Cancel, Question, TaskFilter, TaskList, TasksCancelled,
};
use argon_proto::key::{Key, Role};
use argon_proto::task_name::ParseTaskNameError;
use clap::Args;

use super::options::{KeyOption, ManagerOption, TrustOption};
use super::task_filter::{FilterOptions, parse_task};
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::manager::requests::cancel::TASKS_PER_REQUEST;
use crate::net::ask::{ask, role_for, unreadable};
use crate::output::{complain, counted, print_line, printable};

/// Tasks that are cancelled on a terminal without --yes.
const MANY: usize = 10;

/// Cancel tasks: waiting tasks never start, running ones are killed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon cancel $ticket                 a ticket that argon submit has printed
  argon cancel ee5b8a.12               an id from argon tasks
  argon cancel --name 'resize*' --mine your tasks of this name that wait or run
  argon cancel --state waiting --older 1h
  argon cancel --all                   all tasks that wait or run; with a person's key, those of that person
  argon cancel --all --owner ann       all of Ann's tasks, by an admin

The result is one line for each task. The outcome of a cancelled task names the user who cancelled
it. A client's key cancels submitted tasks by their tickets. With the key of a person, ids and --all
do it, too, for that person's tasks. Else ids and --all need the cluster key or an admin's key.

Exit status: 0 if all tasks are cancelled, 1 if one is unknown or had ended, 4 without a key that
allows it, 5 if the manager cannot be reached.")]
pub(super) struct CancelArguments {
    /// Tickets or ids of tasks; '-' reads them from standard input
    #[arg(value_name = "TASK", help_heading = "Arguments", value_parser = parse_name)]
    ids: Vec<String>,
    /// Cancel all tasks of all clients; with --owner, those of one owner
    #[arg(long, conflicts_with = "ids", help_heading = "Options")]
    all: bool,
    /// Do not ask for this option before many tasks are cancelled
    #[arg(long, help_heading = "Options")]
    yes: bool,
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten, next_help_heading = "Options")]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    trust: TrustOption,
    /// Print a line of JSON for each task
    #[arg(long, help_heading = "Options")]
    json: bool,
}

pub(super) fn run(arguments: &CancelArguments) -> Result<(), Failure> {
    let address = arguments.manager.address("cancel", &arguments.key)?;
    let found = key_file::find_for(arguments.key.key.as_deref(), &[Role::Admin, Role::Client], address)?;
    let trust = arguments.trust.trust()?;
    let mut names = all_names(&arguments.ids)?;
    let role = role_for(&found.key, Role::Admin);
    let own = found.key.holder().map(|holder| holder.name.clone()).unwrap_or_default();
    let is_filtered = !arguments.all && !arguments.filter.is_empty();
    if arguments.ids.is_empty() && !arguments.all && !is_filtered {
        let why = "name the tasks to cancel, or select them with a filter such as --name, or say --all";
        return Err(Failure::new(FailureKind::Usage, why));
    }
    if is_filtered && !arguments.ids.is_empty() {
        return Err(Failure::new(FailureKind::Usage, "name tasks or filter them, not both"));
    }
    if arguments.all && !arguments.filter.is_only_owner() {
        return Err(Failure::new(
            FailureKind::Usage,
            "--all goes with --owner and --mine only; leave it away to filter",
        ));
    }
    if arguments.all && role == Role::Client && found.key.holder().is_none() {
        let why = "only an admin may cancel the tasks of all; use the cluster key or an admin's";
        return Err(Failure::new(FailureKind::Key, why));
    }
    if names.is_empty() && !arguments.all && !is_filtered {
        complain("standard input names no task; nothing was cancelled");
    }
    let by = who();
    super::block_on(async {
        let filter = arguments.filter.filter(own);
        let owner = filter.owner.clone();
        if arguments.all || is_filtered {
            let (found, more) = unfinished(address, &found.key, &trust, role, filter).await?;
            let count = found.len() + more;
            if count > MANY && !arguments.yes && std::io::stdin().is_terminal() {
                let why = format!("this cancels {count} tasks; add --yes to do it");
                return Err(Failure::new(FailureKind::Usage, why));
            }
            if is_filtered && more > 0 {
                let why = format!(
                    "{count} tasks are selected, and {} of them are cancelled: call it again",
                    found.len()
                );
                complain(why);
            }
            if is_filtered && found.is_empty() {
                complain("no task that waits or runs is selected; nothing was cancelled");
            }
            names = if is_filtered { found } else { names };
        }
        if arguments.all {
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

/// Ids of the tasks that a filter selects and that wait or run, and the number of further ones.
async fn unfinished(
    address: &str,
    key: &Key,
    trust: &Trust,
    role: Role,
    mut filter: TaskFilter,
) -> Result<(Vec<String>, usize), Failure> {
    if filter.states.is_empty() {
        filter.states = vec!["waiting".to_owned(), "running".to_owned()];
    }
    let reply = ask(address, key, trust, role, &Question::Tasks(filter)).await?;
    let TaskList { tasks, more, unseen } = reply.read().map_err(|error| unreadable(&error))?;
    Ok((tasks.into_iter().map(|task| task.task).collect(), more + unseen))
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
