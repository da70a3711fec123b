//! The workers of a manager, for `argon status`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use argon_proto::conversation::admin::WorkerView;
use argon_proto::conversation::worker::RunnersReport;

use super::super::quantity::mean;
use crate::output::on_one_line;

/// Adds the list of workers, and what is worth a line about one of them.
pub(in crate::cli) fn workers(text: &mut String, address: &str, list: &[WorkerView]) {
    if list.is_empty() {
        let _ =
            writeln!(text, "\nno workers: tasks wait until one joins ('argon worker --manager {address}')");
        return;
    }
    let _ = writeln!(
        text,
        "\n{:<28} {:>5} {:>5} {:>10} {:>10}  {:<8}  runtimes",
        "worker", "slots", "held", "finished", "mean", "state"
    );
    for worker in list {
        let state = match (worker.connected, worker.draining, &worker.paused) {
            (true, true, _) => "draining",
            (true, false, Some(_)) => "paused",
            (true, false, None) => "ready",
            (false, _, _) => "away",
        };
        let _ = writeln!(
            text,
            "{:<28} {:>5} {:>5} {:>10} {:>10}  {state:<8}  {}",
            on_one_line(&worker.name),
            worker.slots,
            worker.held,
            worker.finished,
            mean(worker.mean_us),
            on_one_line(&runtimes(&worker.runtimes)),
        );
    }
    for worker in list.iter().filter(|worker| worker.small_segments) {
        let _ = writeln!(
            text,
            "network of {}: large packets got lost between it and the manager; it uses small ones, which cost speed. Is the \
             MTU right on the way?",
            on_one_line(&worker.name)
        );
    }
    for worker in list {
        text.extend(pause(worker));
        text.extend(isolation(worker));
    }
    for worker in list.iter().filter(|worker| worker.lent > 0 || worker.runners != RunnersReport::default()) {
        let _ = writeln!(text, "{}", on_one_line(&runners(worker)));
    }
}

/// `box:8001 starts no further task: the load of its machine is 9.10, and --load 4 is the limit`.
fn pause(worker: &WorkerView) -> Option<String> {
    let why = worker.paused.as_ref().filter(|_| worker.connected)?;
    Some(on_one_line(&format!("{} starts no further task: {why}", worker.name)) + "\n")
}

/// `tasks of box:8001 run as ann, in a sandbox without network`; none if they are what the worker is.
fn isolation(worker: &WorkerView) -> Option<String> {
    let user = worker.run_as.as_ref().map(|user| format!("as {user}"));
    let sandbox = worker.sandbox.map(|sandbox| match sandbox.network {
        true => "in a sandbox with network",
        false => "in a sandbox without network",
    });
    let parts: Vec<String> = user.into_iter().chain(sandbox.map(str::to_owned)).collect();
    let line = format!("tasks of {} run {}", worker.name, parts.join(", "));
    (!parts.is_empty()).then(|| on_one_line(&line) + "\n")
}

/// `runners of box:8001: perl 1 busy, 3 idle (template); python3.12 2 idle; 40 MiB idle; 1 task waits for its own tasks`.
fn runners(worker: &WorkerView) -> String {
    let RunnersReport { busy, idle, idle_bytes, templates, installing } = &worker.runners;
    let names: BTreeSet<&String> = busy.keys().chain(idle.keys()).chain(templates).collect();
    let mut parts: Vec<String> = names
        .into_iter()
        .map(|name| {
            let count = |of: &BTreeMap<String, u32>| of.get(name).copied().unwrap_or(0);
            let template = if templates.contains(name) { " (template)" } else { "" };
            format!("{name} {} busy, {} idle{template}", count(busy), count(idle))
        })
        .collect();
    if *idle_bytes > 0 {
        parts.push(format!("{} MiB idle", idle_bytes.div_ceil(1 << 20)));
    }
    parts.extend(installing.iter().map(|list| match list.packages {
        1 => "installs 1 package".to_owned(),
        count => format!("installs {count} packages"),
    }));
    match worker.lent {
        0 => {}
        1 => parts.push("1 task waits for its own tasks".to_owned()),
        lent => parts.push(format!("{lent} tasks wait for their own tasks")),
    }
    format!("runners of {}: {}", worker.name, parts.join("; "))
}

/// `perl 5.36.0, python 3.11.2, native, exec`: native and exec have no version that matters.
fn runtimes(list: &[(String, String)]) -> String {
    let pairs = list.iter().map(|(name, version)| {
        let has_version = !matches!(name.as_str(), "native" | "exec");
        if has_version { format!("{name} {version}") } else { name.clone() }
    });
    pairs.collect::<Vec<_>>().join(", ")
}
