//! `argon explain ID`: why a task waits, and what each worker is to it.

use std::fmt::Write;

use argon_proto::conversation::admin::{Explanation, Question};
use clap::Args;

use super::asking::{AskingOptions, json_line};
use super::task_filter::parse_task;
use crate::exit::Failure;
use crate::output::{counted, on_one_line, print, print_line};

/// Workers that are listed for people.
const WORKERS_SHOWN: usize = 30;

/// Explain why a task waits.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon explain ee5b8a.12
  argon explain ee5b8a.12 --json | jq -r '.reasons[].code'
  for task in $(argon tasks --state waiting --older 5m --json | jq -r .short); do argon explain $task; done

The first line is the state of the task. Then come the reasons, and for a task in the queue each
worker with what keeps it from taking the task. The number of tasks before it is exact if no other
client has waiting tasks; clients take turns.

Exit status: 0, 1 if there is no such task or the id names several, 4 without a key, 5 if the
manager cannot be reached.")]
pub(super) struct ExplainArguments {
    /// Id of the task, its beginning, or a ticket
    #[arg(value_name = "TASK", value_parser = parse_task)]
    id: String,
    #[command(flatten)]
    asking: AskingOptions,
    /// Print everything as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ExplainArguments) -> Result<(), Failure> {
    let asking = arguments.asking.looking("explain")?;
    super::block_on(async {
        let question = Question::Explain { task: arguments.id.clone() };
        let told: Explanation = asking.read(&question).await?;
        if arguments.json {
            return print_line(json_line(&told)?);
        }
        print(for_people(asking.address, &told))
    })
}

fn for_people(address: &str, told: &Explanation) -> String {
    let id = if told.short.is_empty() { &told.task } else { &told.short };
    let mut text = format!("{id}: {}\n", on_one_line(&told.state));
    if told.reasons.is_empty() {
        // A manager of an earlier release.
        for why in &told.why {
            let _ = writeln!(text, "  {}", on_one_line(&why.message));
        }
    }
    for reason in &told.reasons {
        // The manager does not know under which address it is seen from here.
        let message = reason.message.replace("HOST:PORT", address);
        let _ = writeln!(text, "  {}", on_one_line(&message));
    }
    for verdict in told.workers.iter().take(WORKERS_SHOWN) {
        let _ = writeln!(text, "  worker {}: {}", on_one_line(&verdict.worker), on_one_line(&verdict.why));
    }
    let more = told.workers.len().saturating_sub(WORKERS_SHOWN) + told.more_workers;
    if more > 0 {
        let _ = writeln!(text, "  … and {}", counted(more as u64, "more worker"));
    }
    text
}
