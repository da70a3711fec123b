//! Detached tasks of 1 MiB that wait: what a manager keeps of them in memory and on the disk.
//!
//! 100,000 of them are to fit a manager of 512 MiB. Few disks have 100 GiB to spare for a measurement, so both figures are
//! scaled down: 6,000 tasks, and the least memory with which a manager starts. What a task takes of the memory is what a
//! full manager takes more than an empty one, for each task; times 100,000, and with what an empty manager takes, it must
//! be below the bound. Then another manager starts with the store, and a worker is sent every task.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::worker::ToWorker;
use argon_proto::key::Role;
use argon_proto::{Flags, Payload, Runtime, Secret, SessionId, Task, TaskHead, TaskId};
use bytes::Bytes;
use clap::Args;
use serde_json::json;

use crate::manager::Manager;
use crate::waiting::{Peer, outcome_of, registration};

/// The promise: this number of tasks in a manager of this memory, MiB.
const PROMISED: (u64, u64) = (100_000, 512);
/// A manager does not start with less memory.
const LEAST_MIB: u64 = 64;
/// Tasks that were sent and not accepted.
const AHEAD: u64 = 2;
const PAYLOAD_BYTES: usize = 1 << 20;

/// Options of `stored`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Tasks of 1 MiB; the disk has room for them
    #[arg(long, value_name = "N", default_value = "6000")]
    tasks: u64,
    /// Folder of the store, on the disk that counts
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// A folder that goes with this value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Fills a store, starts another manager with it, and lets a worker take all.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    measure(options).map_err(|error| format!("the store broke: {error}"))
}

fn measure(Options { tasks, folder, json }: &Options) -> io::Result<()> {
    let tasks = *tasks;
    let parent = folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = Folder(parent.join(format!("argon-stored-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0)?;
    let store = folder.0.join("store").display().to_string();
    let memory = format!("{}M", (PROMISED.1 * tasks).div_ceil(PROMISED.0).max(LEAST_MIB));
    let options = ["--memory", &memory, "--store", &store];

    let manager = Manager::start(&options)?;
    let empty = manager.resident();
    let clock = Instant::now();
    let mut most = empty;
    submit_all(&manager, tasks, || most = most.max(manager.resident()))?;
    let submitting = clock.elapsed();
    let (full, on_disk) = (manager.resident(), bytes_of_folder(&folder.0)?);
    drop(manager);

    let clock = Instant::now();
    let manager = Manager::start(&options)?;
    let starting = clock.elapsed();
    let again = manager.resident();
    let clock = Instant::now();
    run_all(&manager, tasks, || most = most.max(manager.resident()))?;
    let running = clock.elapsed();

    let each = full.saturating_sub(empty) / tasks.max(1);
    let projected = (empty + each * PROMISED.0) >> 20;
    if *json {
        let figures = json!({
            "tasks": tasks, "memory": memory, "empty_mib": empty >> 20,
            "full_mib": full >> 20, "again_mib": again >> 20, "most_mib": most >> 20, "disk_mib": on_disk >> 20,
            "bytes_each": each, "projected_tasks": PROMISED.0, "projected_mib": projected,
            "projected_of_mib": PROMISED.1, "submit_s": submitting.as_secs_f64(), "start_s": starting.as_secs_f64(),
            "run_s": running.as_secs_f64(),
        });
        println!("{figures}");
        return Ok(());
    }
    println!("{tasks} detached tasks of 1 MiB, a manager with --memory {memory}:");
    println!(
        "  {:.0} s until all were accepted, {} MiB on the disk",
        submitting.as_secs_f64(),
        on_disk >> 20
    );
    println!(
        "  resident memory: {} MiB empty, {} MiB with all; {} MiB at the most",
        empty >> 20,
        full >> 20,
        most >> 20
    );
    println!(
        "  another manager with the store: ready after {:.1} s with {} MiB; a worker took all within {:.0} s",
        starting.as_secs_f64(),
        again >> 20,
        running.as_secs_f64()
    );
    println!("  {each} bytes of memory a task: {projected} of {} MiB for {}", PROMISED.1, PROMISED.0);
    Ok(())
}

/// Submits `tasks` tasks; `note` is called now and then.
fn submit_all(manager: &Manager, tasks: u64, mut note: impl FnMut()) -> io::Result<()> {
    let mut client = Peer::<ToClient>::connect(&manager.address, &manager.key, Role::Client)?;
    let open = Open::of(Secret::new([1; 32]));
    let session = open.session;
    client.say([ToManager::Open(open), ToManager::Offered])?;
    let payload = Payload::from(vec![7; PAYLOAD_BYTES]);
    let (mut next, mut accepted) = (0, 0);
    while accepted < tasks {
        while next < tasks && next < accepted + AHEAD {
            client.say([ToManager::Submit(task(session, next, &payload))])?;
            next += 1;
        }
        match client.hear()? {
            ToClient::Accepted(tickets) => {
                for _ in tickets {
                    accepted += 1;
                    if accepted % 100 == 0 {
                        note();
                    }
                }
            }
            ToClient::Outcome(outcome) => {
                let report = String::from_utf8_lossy(&outcome.report).into_owned();
                return Err(io::Error::other(format!("{}: {report}", outcome.head.id)));
            }
            ToClient::Credit(_)
            | ToClient::NeedBlob(_)
            | ToClient::Output(_)
            | ToClient::Ask(_)
            | ToClient::Reply(_)
            | ToClient::Goodbye(_) => {}
        }
    }
    Ok(())
}

/// Takes every task as a worker, and ends it; `note` is called now and then.
fn run_all(manager: &Manager, tasks: u64, mut note: impl FnMut()) -> io::Result<()> {
    let mut worker = Peer::<ToWorker>::connect(&manager.address, &manager.key, Role::Worker)?;
    worker.say([registration("stored", 4)])?;
    let mut ended = 0;
    while ended < tasks {
        if let ToWorker::Run(run) = worker.hear()? {
            if run.task.payload.len() != PAYLOAD_BYTES as u64 {
                return Err(io::Error::other(format!("{} has another payload", run.task.head.id)));
            }
            worker.say([outcome_of(&run.task)])?;
            ended += 1;
            if ended % 100 == 0 {
                note();
            }
        }
    }
    Ok(())
}

fn bytes_of_folder(folder: &PathBuf) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        bytes += if is_folder { bytes_of_folder(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

fn task(session: SessionId, sequence: u64, payload: &Payload) -> Task {
    let head =
        TaskHead { flags: Flags::DETACHED, ..TaskHead::new(TaskId { session, sequence }, Runtime::Perl) };
    Task::new(head, [], Bytes::from_static(br#"{"call":"A::b"}"#), payload.clone())
}
