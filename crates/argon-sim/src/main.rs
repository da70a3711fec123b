//! `argon-sim`: runs seeds until one breaks a promise. Exit codes: 0 all held, 1 one broke, 2 used wrongly.

mod options;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use argon_sim::{Failure, Fleet, Mode, RunPlan, fleet_plan, run, run_seed, shrink};

use options::{Command, USAGE};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match options::parse(&arguments) {
        Ok(Command::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Command::Seeds { from, count }) => many(from, Until::Count(count)),
        Ok(Command::Soak { time }) => many(fresh_seed(), Until::Time(time)),
        Ok(Command::One { seed, mode }) => one(&RunPlan::of_seed(seed), mode, &format!("--seed {seed}")),
        Ok(Command::Fleet { seed, fleet, mode }) => large(seed, fleet, mode),
        Err(complaint) => {
            eprintln!("argon-sim: {complaint}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// When to stop.
#[derive(Clone, Copy)]
enum Until {
    Count(u64),
    Time(Duration),
}

/// Soaking begins where nobody has been: at the present time.
fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_millis() as u64 * 1_000)
}

fn many(from: u64, until: Until) -> ExitCode {
    let begun = Instant::now();
    let (next, events, starts) = (AtomicU64::new(from), AtomicU64::new(0), AtomicU64::new(0));
    let has_failed = AtomicBool::new(false);
    let failed: Mutex<Option<(u64, Box<Failure>)>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !has_failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_over = match until {
                        Until::Count(count) => seed >= from + count,
                        Until::Time(time) => begun.elapsed() >= time,
                    };
                    if is_over {
                        next.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    match run_seed(seed) {
                        Ok(summary) => {
                            events.fetch_add(summary.events, Ordering::Relaxed);
                            starts.fetch_add(summary.starts, Ordering::Relaxed);
                        }
                        Err(failure) => {
                            has_failed.store(true, Ordering::Relaxed);
                            if let Ok(mut failed) = failed.lock() {
                                failed.get_or_insert((seed, failure));
                            }
                        }
                    }
                }
            });
        }
    });
    let ran = next.load(Ordering::Relaxed) - from;
    println!(
        "{ran} seeds from {from}, {} events, {} attempts, {:.1} s",
        events.load(Ordering::Relaxed),
        starts.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64()
    );
    match failed.into_inner().ok().flatten() {
        None => ExitCode::SUCCESS,
        Some((seed, failure)) => {
            report_failure(RunPlan::of_seed(seed), failure, &format!("--seed {seed}"));
            ExitCode::FAILURE
        }
    }
}

fn one(plan: &RunPlan, mode: Mode, command: &str) -> ExitCode {
    let begun = Instant::now();
    match run(plan, mode) {
        Ok(summary) => {
            println!(
                "held: {} tasks, {} faults, {} attempts, {} events, {:.3} virtual s in {:.1} s, trace {:016x}",
                plan.tasks.len(),
                plan.faults.len(),
                summary.starts,
                summary.events,
                summary.lasted_us as f64 / 1e6,
                begun.elapsed().as_secs_f64(),
                summary.trace_hash
            );
            ExitCode::SUCCESS
        }
        Err(failure) if mode == Mode::Print => {
            println!("broke: {failure}");
            ExitCode::FAILURE
        }
        Err(failure) => {
            report_failure(plan.clone(), failure, command);
            ExitCode::FAILURE
        }
    }
}

fn large(seed: u64, fleet: Fleet, mode: Mode) -> ExitCode {
    let Fleet { workers, slots, tasks, losses } = fleet;
    let command =
        format!("--seed {seed} --workers {workers} --slots {slots} --tasks {tasks} --losses {losses}");
    one(&fleet_plan(seed, fleet), mode, &command)
}

fn report_failure(plan: RunPlan, failure: Box<Failure>, command: &str) {
    println!("\nbroke: {failure}\n\nagain with: cargo run --release -p argon-sim -- {command} --trace");
    let size = |plan: &RunPlan| (plan.tasks.len(), plan.faults.len());
    let whole = size(&plan);
    let (plan, failure) = shrink(plan, failure);
    let small = size(&plan);
    println!("\nthinned out from {} tasks and {} faults to {} and {}:", whole.0, whole.1, small.0, small.1);
    for task in plan.tasks.iter().take(20) {
        println!("  {task:?}");
    }
    for fault in &plan.faults {
        println!("  {fault}");
    }
    println!("\nits end:");
    failure.tail.iter().for_each(|line| println!("  {line}"));
    println!("\nbroke, thinned out: {failure}");
}
