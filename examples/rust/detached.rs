//! A task that outlives the program that submitted it. Its ticket is all that another program needs.
//!
//! `argon up` in another terminal, then `cargo run --example detached`, or `… -- HOST:PORT`.

#[argon::task]
fn sum(numbers: Vec<u64>) -> u64 {
    numbers.iter().sum()
}

#[argon::main]
async fn main() -> Result<(), argon::Error> {
    let manager = || std::env::args().nth(1).map_or_else(argon::Addresses::default, argon::Addresses::from);

    // When submit returns, the manager has the task on its disk.
    let client = argon::Client::connect(manager()).await?;
    let ticket = client.submit(sum((1..=100).collect())).await?;
    drop(client);
    println!("submitted: {ticket}");

    // That client is gone. Another one, today or tomorrow, collects the result.
    let client = argon::Client::connect(manager()).await?;
    println!("collected: {}", client.collect::<u64>(ticket).await?);
    Ok(())
}
