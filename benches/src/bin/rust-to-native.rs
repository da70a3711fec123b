//! Measures a task from Rust to a native runner, which is this same program. Prints one JSON object of figures, as
//! `benches/clients/perl.pl` does.

use std::time::{Duration, Instant};

use argon::Client;

#[argon::task]
fn nothing() {}

#[argon::task]
fn same(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

/// Sizes of arguments that are measured, the bytes that go there and back of each, and how many are under way.
const SIZES: &str = "1024,65536,1048576,16777216,67108864";
const PAYLOAD_BYTES: usize = 512 << 20;
const AT_A_TIME: usize = 4;

#[argon::main]
async fn main() -> Result<(), argon::Error> {
    let words: Vec<String> = std::env::args().collect();
    let after =
        |name: &str| words.iter().skip_while(|word| *word != name).nth(1).cloned().unwrap_or_default();
    let number = |name: &str, default: u32| after(name).parse().unwrap_or(default);
    let begun = Instant::now();
    let client = argon::Connect::to(after("--manager").as_str()).key_file(after("--key")).connect().await?;
    client.queue(nothing()).await?;
    let first = begun.elapsed();
    bulk(&client, 20_000).await?;
    let mut trips = Vec::new();
    for _ in 0..number("--trips", 10_000) {
        let begun = Instant::now();
        client.queue(nothing()).await?;
        trips.push(begun.elapsed());
    }
    trips.sort_unstable();
    let tasks = number("--tasks", 200_000);
    let rate = f64::from(tasks) / bulk(&client, tasks).await?.as_secs_f64();
    let mut payloads = Vec::new();
    let sizes = if after("--sizes").is_empty() { SIZES.to_owned() } else { after("--sizes") };
    for bytes in sizes.split(',').filter_map(|bytes| bytes.parse().ok()) {
        // The first ones find no memory at hand.
        echo(&client, bytes, AT_A_TIME).await?;
        let times = (PAYLOAD_BYTES / bytes).clamp(12, 8_000);
        let seconds = echo(&client, bytes, times).await?.as_secs_f64();
        payloads.push(format!(r#""{bytes}":{:.1}"#, (times * bytes) as f64 / (1 << 20) as f64 / seconds));
    }
    let payloads = payloads.join(",");
    let micros = |place: usize| trips[place].as_secs_f64() * 1e6;
    let (p50, p99) = (micros(trips.len() / 2), micros(trips.len() * 99 / 100));
    let first = first.as_secs_f64() * 1e3;
    println!(
        r#"{{"first_result_ms":{first:.2},"round_trip_us":{{"p50":{p50:.1},"p99":{p99:.1}}},"tasks_per_s":{rate:.0},"payload_mib_per_s":{{{payloads}}}}}"#
    );
    Ok(())
}

/// Time that `tasks` empty tasks take that are all given at once.
async fn bulk(client: &Client, tasks: u32) -> Result<Duration, argon::Error> {
    let begun = Instant::now();
    let deferred: Vec<_> = (0..tasks).map(|_| client.defer(nothing())).collect();
    for value in deferred {
        value.await?;
    }
    Ok(begun.elapsed())
}

/// Time that `times` arguments of `bytes` take to a task and back.
async fn echo(client: &Client, bytes: usize, times: usize) -> Result<Duration, argon::Error> {
    let begun = Instant::now();
    let bytes = vec![b'x'; bytes];
    let mut waiting = std::collections::VecDeque::new();
    for _ in 0..times {
        waiting.push_back(client.defer(same(&bytes)));
        if waiting.len() == AT_A_TIME
            && let Some(first) = waiting.pop_front()
        {
            first.await?;
        }
    }
    for value in waiting {
        value.await?;
    }
    Ok(begun.elapsed())
}
