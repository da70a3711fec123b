//! Tasks that fail, panic, die, or take too long, as their program sees them.
//!
//! `argon up` in another terminal, then `cargo run --example errors`, or `… -- HOST:PORT`.

use std::time::Duration;

use argon::TaskOptions;
use serde::{Deserialize, Serialize};

/// An error of the program's own.
#[derive(Debug, Serialize, Deserialize)]
struct NoSuchMonth {
    month: String,
}

impl std::fmt::Display for NoSuchMonth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no month is called {}", self.month)
    }
}

#[argon::task]
fn sales(month: String) -> Result<u32, NoSuchMonth> {
    Err(NoSuchMonth { month })
}

#[argon::task]
fn half(number: u32) -> u32 {
    assert!(number.is_multiple_of(2), "{number} is odd");
    number / 2
}

#[argon::task]
fn die() {
    println!("last words");
    std::process::exit(3);
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

    // What a task returns as its error comes back as itself.
    if let Err(error) = client.call(sales("Brumaire".to_owned())).await {
        let own: Option<NoSuchMonth> = error.own();
        println!("failed: {}", own.map_or_else(|| error.to_string(), |own| own.to_string()));
    }

    // A panic comes with its place.
    if let Err(error) = client.call(half(7)).await {
        println!("{:?}: {}", error.kind(), error.message());
    }

    // A task that ends its process costs nothing but that process.
    if let Err(error) = client.call(die().with(TaskOptions::default().capture())).await {
        let output = error.report().output.as_deref().unwrap_or_default();
        println!("{:?}: it printed: {}", error.kind(), output.trim());
    }

    // So does one that takes too long.
    if let Err(error) = client.call(work_for_ever().timeout(Duration::from_millis(200))).await {
        println!("{:?}: it was ended", error.kind());
    }
    Ok(())
}
