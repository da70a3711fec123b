//! The real manager under thousands of virtual workers: real connections from this one process, no runners. Shows what
//! a task, a queued task, a worker and a storm of reconnections cost the manager, by its own processor time and memory.
//!
//! This file is the list of measurements; `peer.rs` is one connection, `worker.rs` and `client.rs` are what stands
//! behind it, `world.rs` what they share.

mod client;
mod peer;
mod worker;
mod world;

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::manager::Manager;
use crate::samples::rate;
use world::World;

/// Tasks that one client has under way at most: below what a manager grants.
const TASKS_A_CLIENT: u64 = 60_000;
/// Nothing here takes longer, unless something is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// One row of the table.
#[derive(Debug)]
struct Row {
    workers: u64,
    queued: u64,
    clients: u64,
    join: Duration,
    submit: Duration,
    bytes: f64,
    task: Duration,
    rate: f64,
    storm: Duration,
    lost_and_run_again: u64,
}

/// Options of `fleet`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Numbers of workers
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "10,100,1000,10000")]
    workers: Vec<u64>,
    /// Lengths of the queue
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "0,100000,1000000")]
    queued: Vec<u64>,
    #[command(flatten)]
    plan: Plan,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Settings that all rows share.
#[derive(Args, Clone, Copy, Debug)]
struct Plan {
    /// Slots of a worker
    #[arg(long, value_name = "N", default_value = "16")]
    slots: u64,
    /// Tasks of each row
    #[arg(long, value_name = "N", default_value = "300000")]
    tasks: u64,
    /// Bytes of the arguments of a task
    #[arg(long, value_name = "BYTES", default_value = "16")]
    payload: u64,
    /// Run time of a task that a worker reports, in microseconds
    #[arg(long, value_name = "N", default_value = "1000000")]
    run_us: u64,
    /// Clients that share the queue, 0 for as few as their credit allows; more of them make smaller batches
    #[arg(long, value_name = "N", default_value = "0")]
    clients: u64,
    /// Workers that lose their connection, a second
    #[arg(long, value_name = "N", default_value = "0")]
    churn: u64,
    /// Encrypt the connections, as between machines
    #[arg(long)]
    tls: bool,
}

/// Measures each number of workers with each length of the queue, and prints a row for each.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let plan = options.plan;
    let mut rows = Vec::new();
    if !options.json {
        println!("the manager's processor time and memory, {plan:?}");
        println!(
            "{:>8} {:>9} {:>8} {:>12} {:>12} {:>12} {:>12} {:>10} {:>10} {:>9}",
            "workers",
            "queued",
            "clients",
            "join µs",
            "submit µs",
            "bytes/queued",
            "task µs",
            "tasks/s",
            "storm ms",
            "run again"
        );
    }
    for &workers in &options.workers {
        for &queued in &options.queued {
            let row = measure(plan, workers, queued).map_err(|error| format!("the fleet broke: {error}"))?;
            if !options.json {
                print(&row);
            }
            rows.push(row.to_json());
        }
    }
    if options.json {
        println!("{}", json!({ "slots": plan.slots, "tls": plan.tls, "rows": rows }));
    }
    Ok(())
}

fn print(row: &Row) {
    println!(
        "{:>8} {:>9} {:>8} {:>12.1} {:>12.2} {:>12.0} {:>12.2} {:>10.0} {:>10.0} {:>9}",
        row.workers,
        row.queued,
        row.clients,
        row.join.as_secs_f64() * 1e6,
        row.submit.as_secs_f64() * 1e6,
        row.bytes,
        row.task.as_secs_f64() * 1e6,
        row.rate,
        row.storm.as_secs_f64() * 1e3,
        row.lost_and_run_again,
    );
}

impl Row {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "workers": self.workers,
            "queued": self.queued,
            "clients": self.clients,
            "join_us": self.join.as_secs_f64() * 1e6,
            "submit_us": self.submit.as_secs_f64() * 1e6,
            "bytes_per_queued": self.bytes,
            "task_us": self.task.as_secs_f64() * 1e6,
            "tasks_per_s": self.rate,
            "storm_ms": self.storm.as_secs_f64() * 1e3,
            "run_again": self.lost_and_run_again,
        })
    }
}

fn measure(plan: Plan, workers: u64, queued: u64) -> io::Result<Row> {
    let manager = Manager::start(&["--queue-size", "10000000"])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, measure_in(plan, workers, queued, &manager))
}

async fn measure_in(plan: Plan, workers: u64, queued: u64, manager: &Manager) -> io::Result<Row> {
    let world = Rc::new(World::new(manager, plan));
    let began = manager.processor_time();
    for number in 0..workers {
        tokio::task::spawn_local(worker::live(Rc::clone(&world), number));
    }
    world.wait_for("workers to join", PATIENCE, || world.registered.get() == workers).await?;
    let join = manager.processor_time().saturating_sub(began) / as_u32(workers);

    // The workers take what fills their slots and finish nothing, so that the rest waits in the queue.
    let standing = queued + workers * plan.slots;
    let clients = if plan.clients > 0 { plan.clients } else { standing.div_ceil(TASKS_A_CLIENT) + 1 };
    let resident = manager.resident();
    let began = manager.processor_time();
    for number in 0..clients {
        let share = standing / clients + u64::from(number < standing % clients);
        tokio::task::spawn_local(client::live(Rc::clone(&world), number, share));
    }
    let idle = |world: &World| world.submitted.get() == standing;
    world.wait_for("tasks to be submitted", PATIENCE, || idle(&world)).await?;
    world.wait_for("slots to be filled", PATIENCE, || world.running.get() >= workers * plan.slots).await?;
    fall_quiet(manager).await;
    let submit = manager.processor_time().saturating_sub(began) / as_u32(standing);
    #[allow(clippy::cast_precision_loss, reason = "a mean for people")]
    let bytes = manager.resident().saturating_sub(resident) as f64 / standing as f64 - plan.payload as f64;

    // Then each outcome brings another task, so that the queue stays as long as it is.
    world.resume();
    let warm = world.ended.get() + plan.tasks / 10;
    world.wait_for("the first outcomes", PATIENCE, || world.ended.get() >= warm).await?;
    let (began, from) = (manager.processor_time(), world.ended.get());
    let (clock, until) = (Instant::now(), from + plan.tasks);
    let churning = tokio::task::spawn_local(worker::churn(Rc::clone(&world), workers, plan.churn));
    world.wait_for("outcomes", PATIENCE, || world.ended.get() >= until).await?;
    let (elapsed, count) = (clock.elapsed(), world.ended.get() - from);
    let task = manager.processor_time().saturating_sub(began) / as_u32(count);
    churning.abort();

    let storm = storm(&world, workers).await?;
    world.close();
    world.wait_for("the last outcomes", PATIENCE, || world.ended.get() == world.submitted.get()).await?;
    let rate = rate(count, elapsed);
    let lost_and_run_again = world.started.get() - world.ended.get();
    Ok(Row { workers, queued, clients, join, submit, bytes, task, rate, storm, lost_and_run_again })
}

/// Time until all workers are back that lost their connection at once.
async fn storm(world: &World, workers: u64) -> io::Result<Duration> {
    world.wait_for("the fleet to be whole", PATIENCE, || world.registered.get() == workers).await?;
    let clock = Instant::now();
    world.registered.set(0);
    world.interrupt_all();
    world.wait_for("all workers to come back", PATIENCE, || world.registered.get() == workers).await?;
    Ok(clock.elapsed())
}

/// Waits until the manager has done what it was given to do.
async fn fall_quiet(manager: &Manager) {
    let mut before = Duration::ZERO;
    while manager.processor_time() > before {
        before = manager.processor_time();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

fn as_u32(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).max(1)
}
