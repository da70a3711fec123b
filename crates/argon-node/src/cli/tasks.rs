//! `argon tasks`: the tasks that there are and were, the one that changed last at the end.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use argon_proto::conversation::admin::{Question, TaskFacts, TaskFilter, TaskList};
use argon_proto::holder::OwnerName;
use clap::Args;

use super::asking::{Asking, AskingOptions, json_line};
use super::options::whole;
use super::quantity::duration;
use super::task_filter::{FilterOptions, parse_task};
use crate::exit::Failure;
use crate::output::{counted, on_one_line, print, print_line};

/// Tasks that are listed for people.
const SHOWN: usize = 100;
/// Lines of a terminal of unknown height.
const HEIGHT: usize = 24;
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Letters of a name and of a reason.
const NAME_LETTERS: usize = 40;
const WHY_LETTERS: usize = 80;

/// List tasks that wait, run, or have ended.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon tasks                                all tasks, the one that changed last at the end
  argon tasks --state failed --since 12h     what failed last night
  argon tasks --state running --older 10m    what runs for longer than ten minutes
  argon tasks --name 'resize*' --mine --watch
  argon tasks --state waiting --json | jq -r .short

The manager remembers ended tasks, failed ones for longest: 'argon manager --history' sets how many.
The age of a task is the time since its state changed: since its submission while it waits, since
its start while it runs, since its end. A client's key shows the tasks of its owner, an observer's
and an admin's those of all.

'sent ahead' means that the worker has the task and a longer one is before it.")]
pub(super) struct TasksArguments {
    /// Only these tasks: ids or beginnings of ids
    #[arg(value_name = "TASK", help_heading = "Arguments", value_parser = parse_task)]
    ids: Vec<String>,
    #[command(flatten)]
    filter: FilterOptions,
    /// Show at most this number of tasks, the newest [default: 100, with --json 1000]
    #[arg(long, value_name = "TASKS", value_parser = whole::<u32>(1, 1000), help_heading = "Options")]
    limit: Option<u32>,
    /// Go on showing: the table anew each second, or on no terminal each task whenever its state changes
    #[arg(long, help_heading = "Options")]
    watch: bool,
    #[command(flatten, next_help_heading = "Options")]
    asking: AskingOptions,
    /// Print a line of JSON for each task
    #[arg(long, help_heading = "Options")]
    json: bool,
}

pub(super) fn run(arguments: &TasksArguments) -> Result<(), Failure> {
    let asking = arguments.asking.looking("tasks")?;
    let is_drawn = arguments.watch && !arguments.json && std::io::stdout().is_terminal();
    let mut filter = TaskFilter { tasks: arguments.ids.clone(), ..arguments.filter.filter(asking.owner()) };
    filter.limit = match arguments.limit {
        Some(limit) => limit as usize,
        None if is_drawn => height().saturating_sub(3).max(1),
        None if arguments.json => 0,
        None => SHOWN,
    };
    let question = Question::Tasks(filter);
    super::block_on(async {
        if arguments.watch {
            return watch(&asking, &question, is_drawn, arguments.json).await;
        }
        let list: TaskList = asking.read(&question).await?;
        if arguments.json {
            let lines: Result<Vec<String>, Failure> = list.tasks.iter().map(json_line).collect();
            return print(lines?.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        print(table(&list))
    })
}

/// Looks again and again, until the process is ended.
async fn watch(
    asking: &Asking<'_>,
    question: &Question,
    is_drawn: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let mut seen: HashMap<String, (String, u32)> = HashMap::new();
    loop {
        let list: TaskList = asking.read(question).await?;
        if is_drawn {
            // The cursor goes home, and what is below the table is erased.
            print(format!("\u{1b}[H\u{1b}[2J{}", table(&list)))?;
        } else {
            let mut now = HashMap::new();
            for task in &list.tasks {
                let state = (format!("{} {}", task.state, task.reason), task.attempt);
                if seen.get(&task.task) != Some(&state) {
                    print_line(if is_json { json_line(task)? } else { row(task) })?;
                }
                now.insert(task.task.clone(), state);
            }
            seen = now;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn height() -> usize {
    let lines = std::env::var("LINES").ok().and_then(|lines| lines.parse().ok());
    // SAFETY: fills a structure of its own with the size of the terminal, and is asked whether it did.
    let found = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) == 0).then_some(usize::from(size.ws_row))
    };
    found.filter(|lines| *lines > 0).or(lines).unwrap_or(HEIGHT)
}

fn table(list: &TaskList) -> String {
    let mut text = String::new();
    let left_out = list.more + list.unseen;
    if list.tasks.is_empty() {
        return "no such tasks\n".to_owned();
    }
    if left_out > 0 {
        let _ = writeln!(
            text,
            "… and {} before these (--limit, --json and filters show others)",
            counted(left_out as u64, "task")
        );
    }
    let _ = writeln!(text, "{:<14} {:<10} {:>9}  {:<20} name", "task", "state", "age", "worker");
    for task in &list.tasks {
        text.push_str(&row(task));
        text.push('\n');
    }
    text
}

/// A task on one line.
fn row(task: &TaskFacts) -> String {
    let state = if task.reason == "sent_ahead" { "sent ahead" } else { &task.state };
    let worker = if task.worker.is_empty() { "-" } else { &task.worker };
    let mut text = format!(
        "{:<14} {:<10} {:>9}  {:<20} ",
        task.short,
        state,
        duration(task.age_ms),
        on_one_line(worker),
    );
    if !task.owner.is_empty() && task.owner != OwnerName::admin().as_str() {
        text += &format!("{}: ", on_one_line(&task.owner));
    }
    text += &shortened(&on_one_line(&task.name), NAME_LETTERS);
    let why = match task.reason.as_str() {
        "delayed" if task.message.is_empty() => "waits for its next attempt".to_owned(),
        "delayed" => format!("waits for its next attempt: {}", task.message),
        "store" => "waits for the store".to_owned(),
        "recovery" => "a worker may have it".to_owned(),
        "blob" => "waits for its code or arguments".to_owned(),
        _ => task.message.clone(),
    };
    if !why.is_empty() && task.state != "ok" {
        text += &format!("  ({})", shortened(&on_one_line(&why), WHY_LETTERS));
    }
    text
}

fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_one_line_with_its_state_and_its_error() {
        let running = TaskFacts {
            short: "ee5b8a.12".to_owned(),
            state: "running".to_owned(),
            age_ms: 61_000,
            worker: "box:8001".to_owned(),
            name: "resize\nall".to_owned(),
            ..TaskFacts::default()
        };
        let failed = TaskFacts {
            short: "ee5b8a.13".to_owned(),
            owner: "ann".to_owned(),
            state: "error".to_owned(),
            message: "ValueError: no".to_owned(),
            ..running.clone()
        };
        let list = TaskList { tasks: vec![running, failed], more: 7, unseen: 0 };
        let expected = "\
… and 7 tasks before these (--limit, --json and filters show others)
task           state            age  worker               name
ee5b8a.12      running         61 s  box:8001             resize all
ee5b8a.13      error           61 s  box:8001             ann: resize all  (ValueError: no)
";
        assert_eq!(table(&list), expected);
    }
}
