//! The boost from Rust to native runners, as `benches/clients/boost.pl` shows it for Perl: tasks that sleep, so that only
//! the platform limits how many end in a second. Prints one JSON object: for each length of sleep the share of the slots'
//! time that was spent in tasks, by the tasks' own clocks, and the median time between two tasks of a slot.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use argon::Client;

/// A nap: in which process, from when to when, microseconds since the epoch.
type Nap = (u32, u64, u64);

#[argon::task]
fn nap(micros: u64) -> Nap {
    let begun = now();
    std::thread::sleep(Duration::from_micros(micros));
    (std::process::id(), begun, now())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(0))
}

#[argon::main]
async fn main() -> Result<(), argon::Error> {
    let words: Vec<String> = std::env::args().collect();
    let after =
        |name: &str| words.iter().skip_while(|word| *word != name).nth(1).cloned().unwrap_or_default();
    let slots: u64 = after("--slots").parse().unwrap_or(2);
    let client = argon::Connect::to(after("--manager").as_str()).key_file(after("--key")).connect().await?;
    // All runners are up when each slot had something to do at the same time.
    naps(&client, slots, 300_000).await?;
    let mut figures = Vec::new();
    for (name, micros) in [("1", 1_000), ("10", 10_000), ("100", 100_000)] {
        naps(&client, 4 * slots, micros).await?;
        let tasks = 2_000_000 / micros * slots;
        let begun = Instant::now();
        let ended = naps(&client, tasks, micros).await?;
        let took = begun.elapsed();
        let slept: u64 = ended.iter().map(|(_, from, to)| to - from).sum();
        #[allow(clippy::cast_precision_loss, reason = "shares and rates for people")]
        let (share, rate) =
            (slept as f64 / slots as f64 / took.as_micros() as f64, tasks as f64 / took.as_secs_f64());
        let gap = median_gap(ended);
        figures.push(format!(r#""{name}":{{"share":{share:.4},"tasks_per_s":{rate:.1},"gap_us":{gap}}}"#));
    }
    println!("{{{}}}", figures.join(","));
    Ok(())
}

async fn naps(client: &Client, count: u64, micros: u64) -> Result<Vec<Nap>, argon::Error> {
    let deferred: Vec<_> = (0..count).map(|_| client.defer(nap(micros))).collect();
    let mut ended = Vec::new();
    for value in deferred {
        ended.push(value.await?);
    }
    Ok(ended)
}

/// Half of the times between the end of one nap of a process and the beginning of its next are shorter, microseconds.
fn median_gap(naps: Vec<Nap>) -> u64 {
    let mut of_process: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for (process, from, to) in naps {
        of_process.entry(process).or_default().push((from, to));
    }
    let mut gaps = Vec::new();
    for naps in of_process.values_mut() {
        naps.sort_unstable();
        gaps.extend(naps.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].1)));
    }
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or(0)
}
