//! Estimates pi by throwing darts, many tasks of a million each; a program without `async`.
//!
//! `cargo run --release --example monte-carlo-pi -- [MANAGER] [TASKS]`

const DARTS: u64 = 1_000_000;

/// Number of a million darts that hit the quarter circle; the seed makes each task its own experiment, and repeatable.
#[argon::task]
fn hits(seed: u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut coordinate = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..DARTS).filter(|_| coordinate().powi(2) + coordinate().powi(2) <= 1.0).count() as u64
}

#[argon::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let manager = arguments.next().map_or_else(argon::Addresses::default, argon::Addresses::from);
    let tasks: u64 = arguments.next().map_or(Ok(100), |tasks| tasks.parse())?;
    let client = argon::blocking::Client::connect(manager)?;

    let mut all = 0;
    for hits in client.map((1..=tasks).map(hits)) {
        all += hits?;
    }
    let pi = 4.0 * all as f64 / (tasks * DARTS) as f64;
    println!("pi is about {pi:.5} after {} million darts", tasks * DARTS / 1_000_000);
    Ok(())
}
