//! Everything at once: manager, workers, runners and clients are killed and frozen under a seed, and what the tasks
//! and clients wrote down is counted here, without a word of the program that did the killing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argon_tests::{Process, argon};
use serde_json::Value;

const TASKS: u64 = 1500;
/// A storm of so many seconds takes as long again on a busy machine.
const SECONDS: &str = "15";
const LIMIT: Duration = Duration::from_secs(170);

/// A folder that goes with the test, unless it failed.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("argon-chaos-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn lines(&self, name: &str) -> Vec<(u64, u64)> {
        let text = std::fs::read_to_string(self.0.join(name)).unwrap_or_default();
        let pairs = text.lines().map(|line| line.split_once(' ').unwrap());
        pairs.map(|(left, right)| (left.parse().unwrap(), right.parse().unwrap())).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the files of the storm are kept in {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// `ARGON_SEED` repeats the faults of a run.
fn seed() -> String {
    std::env::var("ARGON_SEED").unwrap_or_else(|_| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now.as_millis() % 1_000_000).to_string()
    })
}

fn storm(folder: &Folder, seed: &str) -> Process {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/perl/chaos.pl");
    let mut command = Command::new("perl");
    command.arg(program).arg("--argon").arg(argon()).arg("--keep").arg(folder.0.join("storm"));
    command.arg("--report").arg(folder.0.join("report"));
    command.args(["--plain", "--tasks", &TASKS.to_string(), "--seconds", SECONDS, "--seed", seed]);
    Process::start(command, &folder.0, "chaos")
}

#[test]
fn a_storm_of_kills_and_freezes_loses_repeats_and_invents_nothing() {
    let seed = seed();
    println!("seed {seed}; again with ARGON_SEED={seed}");
    let folder = Folder::new();
    let finished = storm(&folder, &seed).finish(LIMIT);
    println!("{}", finished.stdout);
    assert!(finished.status.success(), "seed {seed}: {}{}", finished.stdout, finished.stderr);

    let mut values: HashMap<u64, Vec<u64>> = HashMap::new();
    for client in 1..=4 {
        for (number, value) in folder.lines(&format!("storm/client-{client}.outcomes")) {
            values.entry(number).or_default().push(value);
        }
    }
    let mut runs: HashMap<u64, u64> = HashMap::new();
    let ran = folder.lines("storm/ran");
    for (number, _) in &ran {
        *runs.entry(*number).or_default() += 1;
    }
    for number in 1..=TASKS {
        assert_eq!(values.get(&number), Some(&vec![number * number + 7]), "the outcomes of task {number}");
        assert!(runs.contains_key(&number), "task {number} has an outcome and never ran");
    }
    assert_eq!(runs.len() as u64, TASKS, "something ran that nobody sent");

    let report = std::fs::read_to_string(folder.0.join("report")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let explained = report["bound"].as_u64().unwrap();
    let again = ran.len() as u64 - TASKS;
    assert!(again <= explained, "{again} runs too many, where the faults explain {explained}");
    assert_the_manager_is_as_small_as_before(&report);
    let left: Vec<u64> = ran.iter().map(|(_, pid)| *pid).filter(|pid| is_orphan(*pid)).collect();
    assert!(left.is_empty(), "runners outlived their workers: {left:?}");
}

fn assert_the_manager_is_as_small_as_before(report: &Value) {
    let number = |when: &str, what: &str| report[when][what].as_u64().unwrap();
    let (before, after) = (number("before", "descriptors"), number("after", "descriptors"));
    assert!(after <= before + 2, "the manager had {before} descriptors open, now {after}");
    let (before, after) = (number("before", "kib"), number("after", "kib"));
    assert!(after < before + (32 << 10), "the manager took {before} KiB, now {after}");
}

/// Whether this process still is a runner and has no worker. (Its number may be that of another cluster's by now.)
fn is_orphan(pid: u64) -> bool {
    let command = |pid: u64| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    let parent = parent.map(command).unwrap_or_default();
    command(pid).starts_with("argon runner") && !parent.contains("\0worker\0")
}
