//! Everything at once: manager, workers, runners and clients are killed and frozen under a seed, as `make chaos` does it.
//! What tasks and clients wrote down meanwhile is counted here once more.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argon_tests::{Process, argon};
use serde_json::Value;

use crate::support::Folder;

const TASKS: u64 = 1500;
const CLIENTS: u64 = 4;
/// The storm itself gives up before that, and says why.
const LIMIT: Duration = Duration::from_secs(200);

/// One start of a task, as it said itself.
struct Run {
    number: u64,
    runner: u64,
    worker: u64,
}

/// Counts after a storm.
struct Aftermath {
    /// By task: what the clients were told, each time.
    values: HashMap<u64, Vec<u64>>,
    runs: Vec<Run>,
    report: Value,
}

// kind: a worker that dies | processes killed and frozen at random | right | each task ends once
#[test]
fn a_storm_of_kills_and_freezes_loses_repeats_and_invents_nothing() {
    let after = storm("storm", &["--seconds", "15"]);
    let lost: HashSet<u64> = numbers(&after.report["lost"]);
    let mut explained: HashMap<u64, u64> = HashMap::new();
    let mut runs: HashMap<u64, u64> = HashMap::new();
    for run in &after.runs {
        *runs.entry(run.number).or_default() += 1;
        let is_lost = lost.contains(&run.runner) || lost.contains(&run.worker);
        *explained.entry(run.number).or_default() += u64::from(is_lost);
    }
    for (number, runs) in runs {
        let client = format!("client-{}", (number - 1) % CLIENTS + 1);
        let kills = after.report["client_kills"][&client].as_u64().unwrap_or(0);
        let allowed = 1 + explained[&number] + kills;
        assert!(runs <= allowed, "task {number} ran {runs} times, where faults explain {allowed}");
    }
}

#[test]
fn a_storm_that_takes_nothing_from_anybody_runs_nothing_twice() {
    let after = storm("gentle-storm", &["--seconds", "10", "--gentle"]);
    assert_eq!(after.runs.len() as u64, TASKS, "something ran twice");
}

/// Runs a storm to its end; every task has its one outcome, the right one, and did run.
fn storm(name: &str, options: &[&str]) -> Aftermath {
    let seed = seed();
    println!("seed {seed}; the same faults again with ARGON_SEED={seed}");
    let folder = Folder::new(name);
    let finished = start(&folder, &seed, options).finish(LIMIT);
    println!("{}", finished.stdout);
    if !finished.status.success() {
        let files = folder.file("files");
        std::mem::forget(folder);
        panic!("seed {seed}, files in {files}: {}{}", finished.stdout, finished.stderr);
    }

    let mut values: HashMap<u64, Vec<u64>> = HashMap::new();
    for client in 1..=CLIENTS {
        for outcome in rows(&folder, &format!("files/client-{client}.outcomes")) {
            values.entry(outcome[0]).or_default().push(outcome[1]);
        }
    }
    let runs: Vec<Run> = rows(&folder, "files/ran")
        .iter()
        .map(|row| Run { number: row[0], runner: row[1], worker: row[2] })
        .collect();
    let report = std::fs::read_to_string(folder.file("report")).unwrap();
    let after = Aftermath { values, runs, report: serde_json::from_str(&report).unwrap() };
    assert_each_ended_once(&after);
    assert_the_manager_is_as_small_as_before(&after.report);
    let left: Vec<u64> = after.runs.iter().map(|run| run.runner).filter(|pid| is_orphan(*pid)).collect();
    assert!(left.is_empty(), "runners outlived their workers: {left:?}");
    after
}

fn start(folder: &Folder, seed: &str, options: &[&str]) -> Process {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/perl/chaos.pl");
    let mut command = Command::new("perl");
    command.arg(program).arg("--argon").arg(argon()).args(["--keep", &folder.file("files")]);
    command.args(["--report", &folder.file("report"), "--plain", "--seed", seed]);
    command.args(["--tasks", &TASKS.to_string(), "--clients", &CLIENTS.to_string()]).args(options);
    Process::start(command, folder.path(), "chaos")
}

/// `ARGON_SEED` repeats the faults of a run.
fn seed() -> String {
    std::env::var("ARGON_SEED").unwrap_or_else(|_| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now.as_millis() % 1_000_000).to_string()
    })
}

fn rows(folder: &Folder, name: &str) -> Vec<Vec<u64>> {
    let text = std::fs::read_to_string(folder.file(name)).unwrap_or_default();
    text.lines().map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect()).collect()
}

fn numbers(list: &Value) -> HashSet<u64> {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).or(value.as_u64());
    list.as_array().unwrap().iter().map(|value| number(value).unwrap()).collect()
}

fn assert_each_ended_once(after: &Aftermath) {
    let ran: HashSet<u64> = after.runs.iter().map(|run| run.number).collect();
    for number in 1..=TASKS {
        let expected = vec![number * number + 7];
        assert_eq!(after.values.get(&number), Some(&expected), "the outcomes of task {number}");
        assert!(ran.contains(&number), "task {number} has an outcome and never ran");
    }
    assert_eq!(ran.len() as u64, TASKS, "something ran that nobody sent");
}

fn assert_the_manager_is_as_small_as_before(report: &Value) {
    let number = |when: &str, what: &str| report[when][what].as_u64().unwrap();
    let (before, after) = (number("before", "descriptors"), number("after", "descriptors"));
    assert!(after <= before + 2, "the manager had {before} descriptors open, now {after}");
    let (before, after) = (number("before", "kib"), number("after", "kib"));
    assert!(after < before + (32 << 10), "the manager took {before} KiB, now {after}");
}

/// True if this process still is a runner and has no worker. (Its number may be that of another cluster's by now.)
fn is_orphan(pid: u64) -> bool {
    let command = |pid: u64| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    let parent = parent.map(command).unwrap_or_default();
    command(pid).starts_with("argon runner") && !parent.contains("\0worker\0")
}
