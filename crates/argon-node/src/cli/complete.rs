//! `argon complete`: what is there to be completed on a command line, such as names of workers. The scripts of
//! `argon completions` call it. It is silent and quick when no manager answers.

use std::collections::BTreeSet;
use std::time::Duration;

use argon_net::Trust;
use argon_proto::conversation::admin::{ManagerStatus, Question};
use argon_proto::key::Role;
use clap::{Args, ValueEnum};

use super::manager_option::ManagerOption;
use super::options::KeyOption;
use crate::exit::Failure;
use crate::key_file;
use crate::local_managers;
use crate::net::ask::{ask, role_for};
use crate::output::print;

/// A person waits for the answer after each press of the key.
const WITHIN: Duration = Duration::from_millis(700);

/// Print what can be completed; called by the scripts of 'argon completions'
#[derive(Debug, Args)]
pub(super) struct CompleteArguments {
    /// What
    #[arg(value_enum)]
    what: Completed,
    #[command(flatten)]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Completed {
    /// Names of workers.
    Workers,
    /// Ids of tasks that run.
    Tasks,
    /// Owners of tasks.
    Owners,
    /// Addresses of the managers of this user on this machine.
    Managers,
}

pub(super) fn run(arguments: &CompleteArguments) -> Result<(), Failure> {
    if arguments.what == Completed::Managers {
        return show(&local_managers::addresses().into_iter().collect());
    }
    // Whatever is wrong: there is nothing to complete, and a message would stand in the middle of a command line.
    let asked = super::block_on(async { Ok(tokio::time::timeout(WITHIN, status(arguments)).await) });
    match asked {
        Ok(Ok(Ok(status))) => show(&names(arguments.what, status)),
        _ => Ok(()),
    }
}

async fn status(arguments: &CompleteArguments) -> Result<ManagerStatus, Failure> {
    let address = arguments.manager.address("complete", &arguments.key)?;
    let roles = [Role::Observer, Role::Client, Role::Admin];
    let key = key_file::find_for(arguments.key.key.as_deref(), &roles, address)?.key;
    let trust = Trust::given(None, None)?;
    let reply = ask(address, &key, &trust, role_for(&key, Role::Observer), &Question::Status).await?;
    reply.read().map_err(|error| crate::net::ask::unreadable(&error))
}

fn names(what: Completed, status: ManagerStatus) -> BTreeSet<String> {
    let view = status.scheduler;
    match what {
        Completed::Workers => view.worker_list.into_iter().map(|worker| worker.name.to_string()).collect(),
        Completed::Tasks => {
            let running = view.running.into_iter();
            running.map(|task| if task.short.is_empty() { task.task } else { task.short }).collect()
        }
        Completed::Owners => view.owners.into_iter().map(|owner| owner.owner.to_string()).collect(),
        Completed::Managers => BTreeSet::new(),
    }
}

/// One on each line. A name that a shell would take apart, or that moves a cursor, is left out.
fn show(names: &BTreeSet<String>) -> Result<(), Failure> {
    let is_plain = |name: &&String| {
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || ".:-_[]@".contains(letter))
    };
    print(names.iter().filter(is_plain).map(|name| format!("{name}\n")).collect::<String>())
}
