//! `argon clients`: the programs that submit tasks, and how many of their tasks wait and run.

use std::fmt::Write;

use argon_proto::conversation::admin::{ClientList, ClientView, Question};
use clap::Args;

use super::asking::{AskingOptions, json_line};
use crate::exit::Failure;
use crate::output::{counted, on_one_line, print};

/// List the clients: programs that submit tasks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon clients
  argon clients --json | jq -r 'select(.waiting > 1000) | .host'

A client's key shows the clients of its owner. A client that is away may come back; the seconds are
those until its tasks are cancelled. A client inside a task is shown with that task.")]
pub(super) struct ClientsArguments {
    #[command(flatten)]
    asking: AskingOptions,
    /// Print a line of JSON for each client
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ClientsArguments) -> Result<(), Failure> {
    let asking = arguments.asking.looking("clients")?;
    super::block_on(async {
        let list: ClientList = asking.read(&Question::Clients).await?;
        if arguments.json {
            let lines: Result<Vec<String>, Failure> = list.clients.iter().map(json_line).collect();
            return print(lines?.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        print(table(&list))
    })
}

fn table(list: &ClientList) -> String {
    if list.clients.is_empty() {
        return "no clients\n".to_owned();
    }
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<12} {:<10} {:>8} {:>8} {:>8}  {:<10}  program",
        "client", "owner", "waiting", "running", "untaken", "state"
    );
    for ClientView { client, owner, connected, seconds_left, waiting, running, untaken } in &list.clients {
        let state = match (connected, seconds_left) {
            (true, _) => "connected".to_owned(),
            (false, Some(seconds)) => format!("away {seconds} s"),
            (false, None) => "gone".to_owned(),
        };
        let process = match client.pid {
            0 => String::new(),
            pid => format!(", process {pid} of {}", client.host),
        };
        let inside = match client.inside.as_str() {
            "" => String::new(),
            task => format!(", inside task {task}"),
        };
        let program = on_one_line(&format!("{}{process}{inside}", client.program));
        let (short, owner) = (&client.short, on_one_line(owner));
        let _ = writeln!(
            text,
            "{short:<12} {owner:<10} {waiting:>8} {running:>8} {untaken:>8}  {state:<10}  {program}"
        );
    }
    if list.more > 0 {
        let _ = writeln!(text, "… and {}", counted(list.more as u64, "more client"));
    }
    text
}
