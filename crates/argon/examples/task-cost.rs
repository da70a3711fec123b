//! Measures what a task costs from Rust to Rust: round trips of empty tasks one after another, and empty tasks in bulk.
//!
//! `cargo run --release --example task-cost -- [MANAGER] [TASKS] [TRIPS]`

use std::time::{Duration, Instant};

#[argon::task]
fn nothing() {}

#[argon::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let manager = arguments.next().map_or_else(argon::Addresses::default, argon::Addresses::from);
    let tasks: usize = arguments.next().map_or(Ok(200_000), |tasks| tasks.parse())?;
    let trips: usize = arguments.next().map_or(Ok(2_000), |trips| trips.parse())?;
    let client = argon::Client::connect(manager).await?;

    let begun = Instant::now();
    client.call(nothing()).await?;
    println!("first result, the executable's way included: {:.1} ms", millis(begun.elapsed()));

    let mut times = Vec::with_capacity(trips);
    for _ in 0..trips {
        let begun = Instant::now();
        client.call(nothing()).await?;
        times.push(begun.elapsed());
    }
    times.sort();
    let (middle, late) = (times[trips / 2], times[trips * 99 / 100]);
    println!("round trip: median {:.3} ms, 99 % within {:.3} ms", millis(middle), millis(late));

    let begun = Instant::now();
    let mut values = client.map((0..tasks).map(|_| nothing())).ahead(20_000);
    while let Some(value) = values.next().await {
        value?;
    }
    println!("in bulk: {:.0} tasks a second", tasks as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
