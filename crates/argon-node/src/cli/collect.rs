//! `argon collect`: the ends of submitted commands.

use argon::{TaskId, Ticket};
use clap::Args;
use serde_json::json;

use super::pool::{PoolOption, parse_ticket};
use crate::command::end::CommandEnd;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::map::halt::{Halt, Tally};
use crate::output::{complain, print};

/// Wait for submitted commands, print their last output, and end with their exit status.
///
/// An outcome can be collected once. The manager keeps it for its --result-ttl, by default half an hour.
/// It holds the last 32 KiB of the command's output, standard output and error in the order written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon collect $ticket
  argon collect --json $(cat tickets) | jq -r 'select(.status != 0) | .id'

Exit status: that of the command, as with argon run; with several commands the number that failed,
101 for more than 100. Ctrl-C stops waiting (130) and does not affect the commands.")]
pub(super) struct CollectArguments {
    /// Print a line of JSON for each: id, status, exit, signal, worker, seconds, output, message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pool: PoolOption,
    /// Tickets that argon submit printed
    #[arg(value_name = "TICKET", help_heading = "Arguments", required = true, value_parser = parse_ticket)]
    tickets: Vec<Ticket>,
}

pub(super) fn run(arguments: &CollectArguments) -> Result<u8, Failure> {
    super::block_on(async {
        let mut interrupt = interrupt::watch()?;
        let client = interrupt.or(arguments.pool.connect("argon collect")).await?;
        let mut tally = Tally::default();
        for ticket in &arguments.tickets {
            let end = tokio::select! {
                end = client.collect_outcome(*ticket) => end,
                number = interrupt.wait() => return Ok(exit::BY_SIGNAL + number),
            };
            let ended = CommandEnd::of(&end);
            tell(ticket.id, &ended, arguments.json)?;
            tally.add(ended.status);
        }
        client.close();
        Ok(match (arguments.tickets.len(), tally.first_status) {
            (1, Some(status)) => status,
            _ => tally.status(Halt::Never),
        })
    })
}

fn tell(id: TaskId, ended: &CommandEnd, as_json: bool) -> Result<(), Failure> {
    let output = ended.output.as_deref().unwrap_or_default();
    let text = if as_json {
        let line = json!({
            "id": id.to_string(), "status": ended.status, "exit": ended.exit, "signal": ended.signal,
            "worker": ended.worker, "seconds": ended.run_time, "output": output, "message": ended.sentence,
        });
        format!("{line}\n")
    } else {
        output.to_owned()
    };
    print(text)
        .map_err(|failure| Failure::new(failure.kind(), format!("what {id} printed is lost: {failure}")))?;
    if let Some(sentence) = ended.sentence.as_ref().filter(|_| !as_json) {
        complain(format_args!("{id}: {sentence}"));
    }
    Ok(())
}
