//! Argon in a program of tokio: tasks are awaited while the program's own timer ticks.
//!
//! `argon up` in another terminal, then `cargo run --example events`, or `… -- HOST:PORT`.

use std::time::Duration;

use tokio::time::{interval, timeout};

#[argon::task]
fn square(number: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(20));
    number * number
}

#[argon::task]
fn work_for_ever() {
    loop {
        std::thread::park();
    }
}

#[argon::main]
async fn main() -> Result<(), argon::Error> {
    let manager = std::env::args().nth(1).map_or_else(argon::Addresses::default, argon::Addresses::from);
    let client = argon::Client::connect(manager).await?;

    let mut squares = client.map((1..=20).map(square)).as_completed();
    let mut timer = interval(Duration::from_millis(10));
    let (mut total, mut ticks) = (0, 0);
    loop {
        tokio::select! {
            _ = timer.tick() => ticks += 1,
            next = squares.next() => match next {
                Some((_, square)) => total += square?,
                None => break,
            },
        }
    }
    println!(
        "the squares up to 20 make {total}{}",
        if ticks > 1 { ", and the timer ran meanwhile" } else { "" }
    );

    // Leaving the wait cancels the task: its process is free again.
    if timeout(Duration::from_millis(200), client.call(work_for_ever())).await.is_err() {
        println!("too slow");
    }
    Ok(())
}
