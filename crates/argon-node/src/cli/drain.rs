//! `argon drain`: let a worker finish and leave.

use argon_proto::key::Role;
use clap::Args;
use serde_json::json;

use super::options::{KeyOption, ManagerOption};
use crate::exit::Failure;
use crate::key_file;
use crate::net::ask::ask;
use crate::output::print_line;

/// Let a worker finish what it runs, give the rest back, and leave.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon drain workerhost:8001
  argon drain --manager mgrhost:8000 workerhost:8001

The worker's process ends with status 0 once its last task has finished. No task fails for it.")]
pub(super) struct Arguments {
    /// The worker's name, as 'argon status' shows it, or its id
    worker: String,
    #[command(flatten)]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
    /// Print the answer as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let found = key_file::find(arguments.key.key.as_deref())?;
    super::block_on(async {
        let question = json!({"request": 1, "what": "drain", "worker": arguments.worker});
        let reply = ask(&arguments.manager.manager, &found.key, Role::Admin, &question).await?;
        if arguments.json {
            return print_line(reply);
        }
        print_line(format_args!(
            "worker {} takes no more tasks; it leaves when the {} it holds have ended",
            arguments.worker, reply["held"]
        ))
    })
}
