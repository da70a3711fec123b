//! `argon-sim`: runs seeds until one breaks a promise. `options.rs` has its command line.

mod options;
mod soak;

use std::ops::Range;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;

use argon_sim::{Failure, Fleet, Mode, RunPlan, fleet_plan, run, shrink};

use options::{Command, Options};
use soak::{Soak, Soaked, Until, soak};

fn main() -> ExitCode {
    match Options::parse().into_command() {
        Command::Seeds { seeds: Range { start, end }, jobs, keeps_going } => {
            many(Soak { from: start, until: Until::Seed(end), jobs, keeps_going })
        }
        Command::Soak { time, jobs, keeps_going } => {
            many(Soak { from: fresh_seed(), until: Until::Time(time), jobs, keeps_going })
        }
        Command::One { seed, mode } => one(&RunPlan::of_seed(seed), mode, &format!("--seed {seed}")),
        Command::Fleet { seed, fleet, mode } => large(seed, fleet, mode),
    }
}

/// A seed that no run has tried: the present time.
fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_millis() as u64 * 1_000)
}

fn many(what: Soak) -> ExitCode {
    let Soaked { ran, events, starts, took, breaks } = soak(what);
    let seconds = took.as_secs_f64();
    println!(
        "{ran} seeds from {}, {events} events, {starts} attempts, {seconds:.1} s, {:.0} seeds a second, {} breaks",
        what.from,
        ran as f64 / seconds,
        breaks.values().map(|(count, ..)| count).sum::<u64>(),
    );
    if what.keeps_going {
        for (shape, (count, seed, _)) in &breaks {
            println!("{count:>8} × {shape} (first: --seed {seed})");
        }
    }
    match breaks.into_values().min_by_key(|(_, seed, _)| *seed) {
        None => ExitCode::SUCCESS,
        Some((_, seed, failure)) => {
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
    let size = |plan: &RunPlan| {
        format!("{} tasks, {} faults and {} rogues", plan.tasks.len(), plan.faults.len(), plan.rogues.len())
    };
    let whole = size(&plan);
    let (plan, failure) = shrink(plan, failure);
    println!("\nthinned out from {whole} to {}:", size(&plan));
    for task in plan.tasks.iter().take(20) {
        println!("  {task:?}");
    }
    plan.faults.iter().for_each(|fault| println!("  {fault}"));
    plan.rogues.iter().for_each(|rogue| println!("  {rogue}"));
    println!("\nits end:");
    failure.tail.iter().for_each(|line| println!("  {line}"));
    println!("\nbroke, thinned out: {failure}");
}
