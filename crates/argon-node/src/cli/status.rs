//! `argon status`: what a manager is doing, for people or as JSON.

mod workers;

use std::fmt::Write;

use argon_proto::conversation::admin::{
    AwayClient, ManagerStatus, MemoryView, OwnerView, Question, RunningTask, SchedulerView, WhyWaiting,
};
use argon_proto::holder::OwnerName;
use argon_proto::key::Role;
use clap::Args;

pub(super) use self::workers::workers;
use super::options::{KeyOption, ManagerOption, TrustOption};
use super::quantity::duration;
use crate::exit::Failure;
use crate::key_file;
use crate::net::ask::{ask, role_for, unreadable};
use crate::output::{counted, on_one_line, print, print_line};

/// Running tasks that are listed for people.
const RUNNING_SHOWN: usize = 20;
/// Owners that are listed for people.
const OWNERS_SHOWN: usize = 20;
/// Clients that may come back, listed for people.
const AWAY_SHOWN: usize = 5;

/// Show workers, queue and running tasks of a manager.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon status
  argon status --manager mgrhost:8000 --json | jq .tasks_queued
  argon status --json | jq -r '.running[] | [.age_ms, .worker, .what] | @tsv'

The age of a task is the time since its worker received it; a worker receives some tasks before a
slot is free. Rates are means over the last ten seconds in which anything happened.")]
pub(super) struct StatusArguments {
    #[command(flatten)]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    trust: TrustOption,
    /// Print everything as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &StatusArguments) -> Result<(), Failure> {
    let address = arguments.manager.address("status", &arguments.key)?;
    let found = key_file::find_for(
        arguments.key.key.as_deref(),
        &[Role::Observer, Role::Client, Role::Admin],
        address,
    )?;
    let trust = arguments.trust.trust()?;
    super::block_on(async {
        let role = role_for(&found.key, Role::Observer);
        let reply = ask(address, &found.key, &trust, role, &Question::Status).await?;
        if arguments.json {
            return print_line(reply.into_json());
        }
        let status: ManagerStatus = reply.read().map_err(|error| unreadable(&error))?;
        print(for_people(address, &status))
    })
}

fn for_people(address: &str, status: &ManagerStatus) -> String {
    let mut text = String::new();
    let view = &status.scheduler;
    let release = if status.release.is_empty() { "?" } else { &status.release };
    let _ = writeln!(text, "manager {address} (argon {release}), up {}", duration(status.uptime_s * 1000));
    let _ = writeln!(
        text,
        "slots   {} of {} free on {}; {}",
        view.slots_free,
        view.slots_total,
        counted(view.workers as u64, "worker"),
        counted(view.clients as u64, "client")
    );
    if let Some(encryption) = &status.encryption {
        let others = match encryption.is_required {
            true => "other machines must encrypt",
            false => "other machines may connect without encryption (--insecure-plaintext)",
        };
        let _ = writeln!(text, "tls     pin {}; {others}", encryption.pin.short());
    }
    tasks(&mut text, view);
    memory(&mut text, &status.memory);
    owners(&mut text, &view.owners);
    away(&mut text, &view.away);
    why(&mut text, address, &status.why);
    totals(&mut text, status);
    workers(&mut text, address, &view.worker_list);
    if status.left_out.workers > 0 {
        let _ = writeln!(
            text,
            "… and {}, for which an answer has no room ('argon drain NAME' finds them)",
            counted(status.left_out.workers as u64, "more worker")
        );
    }
    running(&mut text, &view.running);
    text
}

fn tasks(text: &mut String, view: &SchedulerView) {
    let [high, normal, low] = view.queued;
    let lent = match view.tasks_lent {
        0 => String::new(),
        1 => " (1 waits for tasks of its own)".to_owned(),
        lent => format!(" ({lent} wait for tasks of their own)"),
    };
    let _ = writeln!(
        text,
        "tasks   {} queued (high {high}, normal {normal}, low {low}), {} with workers{lent}, {} waiting, {} untaken",
        view.tasks_queued, view.tasks_running, view.waiting, view.untaken
    );
}

/// Tasks since the start of the manager by their ends, and rates of the last seconds.
fn totals(text: &mut String, status: &ManagerStatus) {
    let totals = serde_json::to_value(status.scheduler.totals).unwrap_or_default();
    let totals: Vec<String> = totals
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64().unwrap_or(0) > 0)
        .map(|(name, count)| match (count.as_u64(), name.replace('_', " ")) {
            (Some(1), name) => format!("1 {}", name.strip_suffix('s').unwrap_or(&name)),
            (_, name) => format!("{count} {name}"),
        })
        .collect();
    let so_far = if totals.is_empty() { "nothing".to_owned() } else { totals.join(", ") };
    let _ = writeln!(text, "so far  {so_far}");
    let rates = &status.rates;
    let _ = writeln!(
        text,
        "rates   {:.1} tasks a second came in, {:.1} ended, over the last {:.0} s",
        rates.submitted, rates.ended, rates.seconds
    );
}

/// `memory  61 of 4096 MiB: tasks 40, outcomes 12, blobs 8, connections 1`.
fn memory(text: &mut String, memory: &MemoryView) {
    if memory.limit == 0 {
        // A manager of another release.
        return;
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let _ = writeln!(
        text,
        "memory  {} of {} MiB: tasks {}, outcomes {}, blobs {}, connections {}",
        mib(memory.used),
        mib(memory.limit),
        mib(memory.tasks),
        mib(memory.outcomes),
        mib(memory.blobs),
        mib(memory.incoming + memory.outgoing),
    );
}

/// Owners and their tasks, if there is more than the cluster's own keys.
fn owners(text: &mut String, list: &[OwnerView]) {
    if list.iter().all(|owner| owner.owner == OwnerName::admin().as_str()) {
        return;
    }
    for owner in list.iter().take(OWNERS_SHOWN) {
        let OwnerView { owner, sessions, waiting, running, untaken } = owner;
        let tasks = format!("{waiting} waiting, {running} with workers, {untaken} untaken");
        let _ = writeln!(
            text,
            "owner   {}: {tasks}, {}",
            on_one_line(owner),
            counted(u64::from(*sessions), "session")
        );
    }
}

/// Clients that went without a goodbye: what holds slots though no client is there.
fn away(text: &mut String, list: &[AwayClient]) {
    for client in list.iter().take(AWAY_SHOWN) {
        let what = match client.tasks {
            0 => "it has no attached tasks".to_owned(),
            1 => "its task is cancelled".to_owned(),
            tasks => format!("its {tasks} tasks ({} with workers) are cancelled", client.running),
        };
        let until = if client.tasks == 0 { "it may come back within" } else { "unless it comes back within" };
        let (name, left) = (on_one_line(&client.client), client.seconds_left);
        let _ = writeln!(text, "away    client {name}: {what}, {until} {left} s");
    }
    if list.len() > AWAY_SHOWN {
        let _ = writeln!(text, "away    … and {}", counted((list.len() - AWAY_SHOWN) as u64, "more client"));
    }
}

/// Reasons why tasks wait, other than that all slots are taken.
fn why(text: &mut String, address: &str, list: &[WhyWaiting]) {
    for why in list.iter().filter(|why| why.code != "busy") {
        // The manager does not know under which address it is seen from here.
        let message = why.message.replace("HOST:PORT", address);
        let _ = writeln!(text, "why     {}", on_one_line(&message));
    }
}

fn running(text: &mut String, list: &[RunningTask]) {
    if list.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{:<14} {:>7} {:>9}  {:<24}  what", "with workers", "attempt", "age", "worker");
    for task in list.iter().take(RUNNING_SHOWN) {
        let _ = writeln!(
            text,
            "{:<14} {:>7} {:>9}  {:<24}  {}",
            // A manager of an earlier release has whole ids only.
            if task.short.is_empty() { &task.task } else { &task.short },
            task.attempt,
            duration(task.age_ms),
            on_one_line(&task.worker),
            what(task),
        );
    }
    if list.len() > RUNNING_SHOWN {
        let _ = writeln!(text, "… and {} more (--json lists them)", list.len() - RUNNING_SHOWN);
    }
}

/// Description of a task on one short line: its runtime, and its label or the name that it calls.
fn what(task: &RunningTask) -> String {
    const SHOWN: usize = 60;
    let words = [&task.runtime, &task.what].map(|word| on_one_line(word));
    let is_of_person = !task.owner.is_empty() && task.owner != OwnerName::admin().as_str();
    let owner = if is_of_person { format!("{}: ", on_one_line(&task.owner)) } else { String::new() };
    let text = format!("{owner}{}", words.join(" "));
    if text.chars().count() > SHOWN {
        text.chars().take(SHOWN).chain(['…']).collect()
    } else {
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(json: Value) -> ManagerStatus {
        serde_json::from_value(json).expect("a status")
    }

    #[test]
    fn status_without_workers_says_what_to_do() {
        let text = for_people(
            "127.0.0.1:8000",
            &status(json!({"queued": [0, 2, 0], "tasks_queued": 2, "release": "0.1.0"})),
        );
        assert!(text.contains("2 queued (high 0, normal 2, low 0)"));
        assert!(text.contains("argon worker --manager 127.0.0.1:8000"));
    }

    #[test]
    fn status_tells_workers_rates_and_what_runs_on_lines_of_fixed_columns() {
        let reply = json!({
            "release": "0.1.0", "uptime_s": 300, "workers": 1, "clients": 2, "slots_total": 4,
            "slots_free": 3, "tasks_queued": 5, "queued": [0, 5, 0], "tasks_running": 1, "tasks_lent": 1, "waiting": 0, "untaken": 0,
            "away": [{"client": "perl/0.1.0", "tasks": 3, "running": 1, "seconds_left": 52}],
            "why": [{"code": "no_runtime", "tasks": 2, "message": "2 tasks wait: no worker has perl"},
                    {"code": "busy", "tasks": 3, "message": "3 tasks wait: all 4 slots are taken"}],
            "totals": {"ok": 7, "lost_attempts": 1, "error": 0},
            "memory": {"limit": 4_294_967_296_u64, "used": 66_000_000, "tasks": 42_000_000, "outcomes": 12_000_000,
                       "blobs": 12_000_000, "incoming": 1, "outgoing": 1},
            "left_out": {"workers": 3},
            "rates": {"submitted": 12.5, "ended": 3.0, "seconds": 10.0},
            "worker_list": [{"name": "box:\u{1b}8001", "slots": 4, "held": 1, "finished": 7, "mean_us": 12_345,
                             "lent": 1, "runners": {"busy": {"perl": 1}, "idle": {"perl": 2, "python3.12": 1},
                                                    "idle_bytes": 41_000_000, "templates": ["perl"]},
                             "connected": true, "draining": false, "runtimes": [["exec", "1"]],
                             "run_as": "ann", "sandbox": {"network": false}, "paused": "too little memory"}],
            "running": [{"task": "ab".repeat(24), "short": "ababab.12", "attempt": 1, "age_ms": 61_000, "worker": "box:8001",
                         "runtime": "exec", "what": "gzip -9\nbig.log"}],
        });
        let expected = "\
manager mgr:8000 (argon 0.1.0), up 5 min
slots   3 of 4 free on 1 worker; 2 clients
tasks   5 queued (high 0, normal 5, low 0), 1 with workers (1 waits for tasks of its own), 0 waiting, 0 untaken
memory  63 of 4096 MiB: tasks 41, outcomes 12, blobs 12, connections 1
away    client perl/0.1.0: its 3 tasks (1 with workers) are cancelled, unless it comes back within 52 s
why     2 tasks wait: no worker has perl
so far  1 lost attempt, 7 ok
rates   12.5 tasks a second came in, 3.0 ended, over the last 10 s

worker                       slots  held   finished       mean  state     runtimes
box: 8001                        4     1          7      12 ms  paused    exec
box: 8001 starts no further task: too little memory
tasks of box: 8001 run as ann, in a sandbox without network
runners of box: 8001: perl 1 busy, 2 idle (template); python3.12 0 busy, 1 idle; 40 MiB idle; 1 task waits for its own tasks
… and 3 more workers, for which an answer has no room ('argon drain NAME' finds them)

with workers   attempt       age  worker                    what
ababab.12            1      61 s  box:8001                  exec gzip -9 big.log
";
        assert_eq!(for_people("mgr:8000", &status(reply)), expected);
    }
}
