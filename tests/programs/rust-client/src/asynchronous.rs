//! Tasks that are `async fn`: each has a runtime of its own, awaits what it likes, tasks too, and ends as others do.

use std::error::Error;
use std::time::Duration;

use argon::{Client, ErrorKind};

#[argon::task]
pub async fn length_later(text: &str) -> usize {
    tokio::time::sleep(Duration::from_millis(5)).await;
    text.len()
}

/// The sum of two smaller ones, which run at the same time.
#[argon::task]
pub async fn sum_to(n: u64) -> Result<u64, argon::Error> {
    if n == 0 {
        return Ok(0);
    }
    let client = argon::current_client()?;
    let client = client.as_async();
    let length = client.defer(length_later("four"));
    let below = client.call(sum_to(n - 1)).await?;
    Ok(n + below + length.await? as u64 - 4)
}

#[argon::task]
pub async fn refuses(why: String) -> Result<(), String> {
    tokio::task::yield_now().await;
    Err(why)
}

#[argon::task]
pub async fn breaks() -> u32 {
    tokio::task::yield_now().await;
    panic!("in the middle of it")
}

#[argon::task]
pub async fn sleeps_for_ever() {
    std::future::pending::<()>().await;
}

/// Leaves a future behind, which must not go on in the next task of this process.
#[argon::task]
pub async fn spawns(file: String) -> u32 {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::fs::write(file, "it went on").expect("written");
    });
    std::process::id()
}

#[argon::task]
pub async fn waits_and_looks(file: String) -> (u32, bool) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    (std::process::id(), std::path::Path::new(&file).exists())
}

pub async fn asynchronous(client: &Client, file: &str) -> Result<(), Box<dyn Error>> {
    assert_eq!(length_later::here("here").await, 4);
    assert_eq!(client.call(length_later("there")).await?, 5);
    assert_eq!(client.call(sum_to(6)).await?, 21);
    let error = client.call(refuses("no".to_owned())).await.expect_err("refused");
    assert_eq!((error.kind(), error.own::<String>()), (ErrorKind::Failed, Some("no".to_owned())));
    let error = client.call(breaks()).await.expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.message().contains("in the middle of it"), "{error}");
    assert!(error.place().is_some_and(|place| place.contains("asynchronous.rs")), "{error:?}");
    let error = client.call(sleeps_for_ever().timeout(Duration::from_millis(200))).await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let first = client.call(spawns(file.to_owned())).await?;
    let (second, went_on) = client.call(waits_and_looks(file.to_owned())).await?;
    assert_eq!((first, went_on), (second, false), "one process, in which nothing went on");
    println!("asynchronous");
    Ok(())
}
