//! `argon task ID`: everything about one task, and its story.

use std::fmt::Write;

use argon_proto::conversation::admin::{Question, TaskFacts};
use clap::Args;

use super::asking::{AskingOptions, json_line};
use super::quantity::{duration, mean};
use super::task_filter::parse_task;
use crate::exit::Failure;
use crate::output::{on_one_line, print, print_line, printable};

/// Show everything about one task, and its story.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon task ee5b8a.12                 an id that argon tasks shows
  argon task ee5b8a.12 --json | jq .attempts
  argon task $(argon submit -- ./report)

The story has a line for each event, in the order of time. Processor time, memory and the last
output are those of an attempt that failed, as far as its worker has measured them.

Exit status: 0, 1 if there is no such task or the id names several, 4 without a key, 5 if the
manager cannot be reached.")]
pub(super) struct TaskArguments {
    /// Id of the task, its beginning, or a ticket
    #[arg(value_name = "TASK", value_parser = parse_task)]
    id: String,
    #[command(flatten)]
    asking: AskingOptions,
    /// Print everything as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &TaskArguments) -> Result<(), Failure> {
    let asking = arguments.asking.looking("task")?;
    super::block_on(async {
        let question = Question::Task { task: arguments.id.clone() };
        let task: TaskFacts = asking.read(&question).await?;
        if arguments.json {
            return print_line(json_line(&task)?);
        }
        print(for_people(&task))
    })
}

fn for_people(task: &TaskFacts) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<10} {}", on_one_line(&value));
        }
    };
    line("task", format!("{} ({})", task.short, task.task));
    line("name", task.name.clone());
    let state = match task.reason.as_str() {
        "" | "queue" => task.state.clone(),
        "sent_ahead" => "sent ahead to its worker, which runs a longer task".to_owned(),
        reason => format!("{} ({reason})", task.state),
    };
    line("state", format!("{state}, for {}", duration(task.age_ms)));
    line("error", task.message.clone());
    line("owner", task.owner.clone());
    let client = &task.client;
    let process =
        if client.pid == 0 { String::new() } else { format!(", process {} of {}", client.pid, client.host) };
    let inside =
        if client.inside.is_empty() { String::new() } else { format!(", inside task {}", client.inside) };
    line("client", format!("{}{process}{inside}", client.program));
    let detached = if task.detached { ", detached" } else { "" };
    line("kind", format!("{}, priority {}{detached}", task.runtime, task.priority));
    line("worker", task.worker.clone());
    let mut used = Vec::new();
    used.extend(task.run_us.map(|us| format!("ran for {}", mean(us))));
    used.extend(task.cpu_ms.map(|ms| format!("processor {}", duration(ms))));
    used.extend(task.peak_kib.map(|kib| format!("memory {} MiB", kib.div_ceil(1024))));
    used.push(format!("{} bytes in", task.bytes_in));
    if task.ended_ms.is_some() {
        used.push(format!("{} bytes out", task.bytes_out));
    }
    line("used", used.join(", "));
    text.push('\n');
    for event in &task.story {
        let at = event.at_ms.map_or_else(|| "before".to_owned(), local_time);
        let _ = writeln!(text, "{at:<23}  {}", on_one_line(&event.text));
    }
    if !task.output.is_empty() {
        let _ = writeln!(text, "\nlast output:\n{}", printable(task.output.trim_end()));
    }
    text
}

/// A time of day with its date, in the zone of this machine.
fn local_time(unix_ms: u64) -> String {
    let seconds = libc::time_t::try_from(unix_ms / 1000).unwrap_or(0);
    // SAFETY: both point to values of this function, and the result is only read if the call has filled it.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&raw const seconds, &raw mut time).is_null() {
            return format!("{seconds} s");
        }
        time
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        time.tm_year + 1900,
        time.tm_mon + 1,
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        unix_ms % 1000
    )
}
