//! `argon cancel`: an end to submitted commands.

use argon::{Client, TaskId};
use clap::Args;
use serde_json::Map;

use super::pool::{PoolOption, parse_id, refused};
use crate::exit::{Failure, Kind};

/// Cancel submitted commands: those that wait never start, those that run are killed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon cancel $id
  argon cancel $(cat ids)

It prints nothing when all is well. Who collects a cancelled command is told so. What argon run and
map have under way is not cancelled from elsewhere: end those commands.")]
pub(super) struct Arguments {
    #[command(flatten)]
    pool: PoolOption,
    /// What argon submit printed
    #[arg(value_name = "ID", help_heading = "Arguments", required = true, value_parser = parse_id)]
    ids: Vec<TaskId>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    super::block_on(async {
        let client = arguments.pool.connect("argon cancel").await?;
        let mut unknown = Vec::new();
        for id in &arguments.ids {
            match state(&client, *id).await {
                Ok(state) if state.starts_with("ended") => eprintln!("argon: {id} has {state}"),
                Ok(_) => client.cancel_detached([*id]),
                Err(failure) => unknown.push(format!("{id}: {failure}")),
            }
        }
        // The answer to a question comes behind what was said before it: the cancels have arrived.
        client.request("status", Map::new()).await.map_err(|error| refused(&error))?;
        client.close();
        if unknown.is_empty() { Ok(()) } else { Err(Failure::new(Kind::Other, unknown.join("\nargon: "))) }
    })
}

async fn state(client: &Client, id: TaskId) -> Result<String, Failure> {
    let mut fields = Map::new();
    fields.insert("task".to_owned(), id.to_string().into());
    let reply = client.request("explain", fields).await.map_err(|error| refused(&error))?;
    Ok(reply["state"].as_str().unwrap_or_default().to_owned())
}
