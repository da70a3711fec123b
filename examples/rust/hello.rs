//! The smallest program that uses Argon: one sum, waited for, and one sent off in the background.
//!
//! `argon up` in another terminal, then `cargo run --example hello`, or `… -- HOST:PORT`.

/// Runs on any machine of the pool: workers start this program's own executable.
#[argon::task]
fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[argon::main]
async fn main() -> Result<(), argon::Error> {
    let manager = std::env::args().nth(1).map_or_else(argon::Addresses::default, argon::Addresses::from);
    let client = argon::Client::connect(manager).await?;

    // Send a task and wait for its result.
    let sum = client.call(add(4, 7)).await?;
    println!("4 + 7 = {sum}");

    // Send a task, do something else, and wait when the result is needed.
    let deferred = client.defer(add(sum, 31));
    println!("process {} is free meanwhile", std::process::id());
    println!("{sum} + 31 = {}", deferred.await?);
    Ok(())
}
