//! What a task costs from Rust to a native runner, which is this same program: prints one JSON object of figures, as
//! `benches/clients/perl.pl` does.

use std::time::{Duration, Instant};

use argon::Client;

#[argon::task]
fn nothing() {}

#[argon::task]
fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

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
    let payload = 256.0 / echo(&client, 256).await?.as_secs_f64();
    let micros = |place: usize| trips[place].as_secs_f64() * 1e6;
    let (p50, p99) = (micros(trips.len() / 2), micros(trips.len() * 99 / 100));
    let first = first.as_secs_f64() * 1e3;
    println!(
        r#"{{"first_result_ms":{first:.2},"round_trip_us":{{"p50":{p50:.1},"p99":{p99:.1}}},"tasks_per_s":{rate:.0},"payload_mib_per_s":{{"1048576":{payload:.0}}}}}"#
    );
    Ok(())
}

/// How long so many empty tasks take that are all given at once.
async fn bulk(client: &Client, tasks: u32) -> Result<Duration, argon::Error> {
    let begun = Instant::now();
    let deferred: Vec<_> = (0..tasks).map(|_| client.defer(nothing())).collect();
    for value in deferred {
        value.await?;
    }
    Ok(begun.elapsed())
}

/// How long so many arguments of 1 MiB take to a task and back, four at a time.
async fn echo(client: &Client, times: u32) -> Result<Duration, argon::Error> {
    let begun = Instant::now();
    let bytes = vec![b'x'; 1 << 20];
    let mut waiting = std::collections::VecDeque::new();
    for _ in 0..times {
        waiting.push_back(client.defer(same(bytes.clone())));
        if waiting.len() == 4
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
