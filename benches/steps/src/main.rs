//! `argon-steps`: the scheduler, the codec and the session of a client alone, without sockets or processes.
//!
//! `time` prints what a task costs the scheduler, by workers and by queue length. `scheduler N`, `codec N` and `session N` are loads
//! of N tasks for scripts/instructions, which counts their instructions; they print nothing.

mod bench;
mod session;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use argon_proto::AttemptToken;
use argon_proto::Message;
use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::worker::{Run, ToWorker};
use argon_proto::frame::{Decoder, Outbox};
use bench::{Bench, outcome, task};

const USAGE: &str = "usage: argon-steps time [SLOTS] | scheduler TASKS | codec TASKS | session TASKS";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok());
    match (words.first().map(String::as_str), number(1)) {
        (Some("time"), slots) => print_times(slots.unwrap_or(16)),
        (Some("scheduler"), Some(tasks)) => {
            let mut bench = Bench::new(4, 16);
            bench.fill(1_000);
            bench.turn(tasks);
        }
        (Some("codec"), Some(tasks)) => code(tasks),
        (Some("session"), Some(tasks)) => session::run(tasks),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Prints the cost of a task from its submission until it is forgotten, and that of the longest step.
fn print_times(slots: u64) {
    println!("{slots} slots a worker; a task is submitted, dispatched, ended, taken");
    println!(
        "{:>9} {:>10} {:>12} {:>14} {:>18}",
        "workers", "queued", "µs a task", "ns to queue", "longest step, µs"
    );
    for workers in [10, 100, 1_000, 10_000] {
        for queued in [0, 100_000, 1_000_000] {
            let mut bench = Bench::new(workers, slots);
            let filling = bench.fill(queued);
            let count = 300_000;
            bench.turn(count / 10);
            bench.longest = Duration::ZERO;
            let begun = Instant::now();
            bench.turn(count);
            #[allow(clippy::cast_precision_loss, reason = "a mean for people")]
            let micros = begun.elapsed().as_secs_f64() * 1e6 / count as f64;
            #[allow(clippy::cast_precision_loss, reason = "a mean for people")]
            let nanos = filling.as_secs_f64() * 1e9 / (queued + workers * slots) as f64;
            let longest = bench.longest.as_secs_f64() * 1e6;
            println!("{workers:>9} {queued:>10} {micros:>12.2} {nanos:>14.0} {longest:>18.0}");
        }
    }
}

/// Writes and reads SUBMIT, RUN and OUTCOME of `tasks` tasks, as a manager's connections do.
fn code(tasks: u64) {
    let mut outboxes = [Outbox::default(), Outbox::default(), Outbox::default()];
    let mut submits = Decoder::<Incoming<ToManager>>::default();
    let mut runs = Decoder::<Incoming<ToWorker>>::default();
    let mut outcomes = Decoder::<Incoming<ToClient>>::default();
    let mut heard = 0;
    for sequence in 0..tasks {
        outboxes[0].push(&ToManager::Submit(task(sequence)));
        outboxes[1].push(&ToWorker::Run(Run { token: AttemptToken(sequence), task: task(sequence) }));
        outboxes[2].push(&ToClient::Outcome(outcome(&task(sequence), 100)));
        if sequence % 64 == 63 || sequence + 1 == tasks {
            heard += pass(&mut outboxes[0], &mut submits);
            heard += pass(&mut outboxes[1], &mut runs);
            heard += pass(&mut outboxes[2], &mut outcomes);
        }
    }
    assert_eq!(heard, 3 * tasks, "every message arrives");
}

/// Lets everything travel, and says how many messages arrived.
fn pass<M: Message>(outbox: &mut Outbox, decoder: &mut Decoder<M>) -> u64 {
    let written = outbox.write_with(|slices| {
        slices.iter().for_each(|slice| decoder.buffer().extend_from_slice(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    });
    assert!(written.is_ok_and(|is_all| is_all), "memory takes everything");
    let mut heard = 0;
    while let Ok(Some(_)) = decoder.next() {
        heard += 1;
    }
    heard
}
