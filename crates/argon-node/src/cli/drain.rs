//! `argon drain`: let a worker finish and leave.

use std::time::Duration;

use argon_proto::key::{Key, Role};
use clap::Args;
use serde_json::{Value, json};

use super::options::{KeyOption, ManagerOption, parse_seconds};
use crate::exit::Failure;
use crate::key_file;
use crate::net::ask::ask;
use crate::output::{complain, print_line};

/// Pause between two looks at what a draining worker still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Let a worker finish what it runs, give the rest back, and leave.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon drain workerhost:8001
  argon drain --wait workerhost:8001 && ssh workerhost reboot
  argon drain --within 600 workerhost:8001
  argon drain --manager mgrhost:8000 workerhost:8001

What waits at the worker starts elsewhere. What runs there may take as long as it needs, and the
worker's process ends with status 0 when the last task has ended: no task fails for it. --within sets
a limit: what still runs then is killed and starts again on another worker; a task that must never
run twice ends as lost. The worker in the process of 'argon up' leaves too, and the manager there
goes on. Draining a worker again is no error; the earlier limit counts.")]
pub(super) struct Arguments {
    /// The worker's name, as 'argon status' shows it, or its id
    worker: String,
    /// End what still runs after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    within: Option<f64>,
    /// Wait until the worker has left, and print how many tasks it still has
    #[arg(long)]
    wait: bool,
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
        let mut question = json!({"request": 1, "what": "drain", "worker": arguments.worker});
        if let Some(seconds) = arguments.within {
            question["within_ms"] = json!((seconds * 1000.0).ceil() as u64);
        }
        let reply = ask(&arguments.manager.manager, &found.key, Role::Admin, &question).await?;
        if arguments.json {
            print_line(&reply)?;
        } else {
            print_line(for_people(&arguments.worker, arguments.within, &reply))?;
        }
        if arguments.wait { wait(&arguments.manager.manager, &found.key, &reply).await } else { Ok(()) }
    })
}

fn for_people(worker: &str, within: Option<f64>, reply: &Value) -> String {
    let held = match reply["held"].as_u64().unwrap_or(0) {
        0 => "it holds no task and leaves now".to_owned(),
        1 => "it leaves when the task that it holds has ended".to_owned(),
        held => format!("it leaves when the {held} that it holds have ended or were given back"),
    };
    let limit = within.map(|seconds| {
        format!(
            "; what still runs in {seconds} s is killed and starts elsewhere, or ends as lost if it must never run twice"
        )
    });
    let more = if reply["was_draining"] == true { "; it was draining already" } else { "" };
    let stays = if reply["keeps_manager"] == true { "; the manager in its process goes on" } else { "" };
    format!("worker {worker} takes no more tasks; {held}{}{more}{stays}", limit.unwrap_or_default())
}

/// Returns when the manager does not know the worker any more.
async fn wait(address: &str, key: &Key, reply: &Value) -> Result<(), Failure> {
    let (id, name) = (&reply["worker"], reply["name"].as_str().unwrap_or("?"));
    let mut last = reply["held"].as_u64();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let status = ask(address, key, Role::Admin, &json!({"request": 2, "what": "status"})).await?;
        let workers = status["worker_list"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(worker) = workers.iter().find(|worker| worker["worker"] == *id) else {
            complain(format_args!("worker {name} has left"));
            return Ok(());
        };
        let held = worker["held"].as_u64();
        if held != last {
            complain(format_args!("worker {name} still holds {}", held.unwrap_or(0)));
            last = held;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_running_tasks_is_told_before_it_happens() {
        let reply = json!({"held": 4, "was_draining": false, "keeps_manager": false});
        assert_eq!(
            for_people("box:1", None, &reply),
            "worker box:1 takes no more tasks; it leaves when the 4 that it holds have ended or were given back"
        );
        let told = for_people("box:1", Some(30.0), &json!({"held": 1, "keeps_manager": true}));
        assert!(told.contains("what still runs in 30 s is killed"), "{told}");
        assert!(
            told.contains("never run twice") && told.ends_with("the manager in its process goes on"),
            "{told}"
        );
    }
}
