//! `argon workers`: the workers of a manager.

use argon_proto::conversation::admin::{ManagerStatus, Question};
use clap::Args;

use super::asking::{AskingOptions, json_line};
use super::status;
use crate::exit::Failure;
use crate::output::print;

/// List the workers: their slots, tasks and runtimes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon workers
  argon workers --json | jq -r 'select(.draining) | .name'

'held' is the number of tasks that the worker has, those sent ahead included. 'mean' is the run time
of its recent tasks.")]
pub(super) struct WorkersArguments {
    #[command(flatten)]
    asking: AskingOptions,
    /// Print a line of JSON for each worker
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &WorkersArguments) -> Result<(), Failure> {
    let asking = arguments.asking.looking("workers")?;
    super::block_on(async {
        let status: ManagerStatus = asking.read(&Question::Status).await?;
        let workers = &status.scheduler.worker_list;
        if arguments.json {
            let lines: Result<Vec<String>, Failure> = workers.iter().map(json_line).collect();
            return print(lines?.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        let mut text = String::new();
        status::workers(&mut text, asking.address, workers);
        print(text.trim_start())
    })
}
