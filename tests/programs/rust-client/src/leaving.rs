//! Maps that are left, that panic, and calls that wait for a worker.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use argon::{Client, Connect};

use crate::tasks::{add, nap};

const PATIENCE: Duration = Duration::from_secs(30);

fn calls_that_panic() -> impl Iterator<Item = argon::Call<u64>> {
    (0..).map(|n| if n < 50 { add(n, 0) } else { panic!("no call {n}") })
}

/// The text of a panic of the future, which must come.
async fn panic_of<T>(future: impl Future<Output = T>) -> String {
    let mut future = Box::pin(future);
    let ended = std::future::poll_fn(|context| {
        let poll = std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        poll.map_or_else(|thrown| std::task::Poll::Ready(Err(thrown)), |poll| poll.map(Ok))
    });
    let thrown = ended.await.err().expect("a panic");
    thrown.downcast_ref::<String>().cloned().unwrap_or_default()
}

pub async fn leaving(client: &Client) -> Result<(), Box<dyn Error>> {
    let mut map = client.map(calls_that_panic()).ahead(7);
    for n in 0..50 {
        assert_eq!(map.next().await.ok_or("the map ended early")??, n);
    }
    assert_eq!(panic_of(map.next()).await, "no call 50");
    assert!(map.next().await.is_none(), "it is over");

    let mut completed = client.map(calls_that_panic()).as_completed();
    for _ in 0..50 {
        completed.next().await.ok_or("the map ended early")?.1?;
    }
    assert_eq!(panic_of(completed.next()).await, "no call 50");

    // Each holds both slots; what is left must give them back.
    for is_completed in [false, true] {
        let map = client.map((0..10).map(|_| nap(600_000)));
        if is_completed {
            let mut map = map.as_completed();
            assert!(tokio::time::timeout(Duration::from_millis(300), map.next()).await.is_err());
        } else {
            let mut map = map;
            assert!(tokio::time::timeout(Duration::from_millis(300), map.next()).await.is_err());
        }
        let sum = tokio::time::timeout(PATIENCE, client.queue(add(1, 2))).await;
        assert_eq!(sum.map_err(|_| "the slots are still held")??, 3);
    }
    println!("leaving");
    Ok(())
}

type Codes = Arc<Mutex<Vec<String>>>;

fn with_hook(connect: Connect) -> (Connect, Codes) {
    let codes = Codes::default();
    let seen = Arc::clone(&codes);
    let hook = move |waiting: &argon::Waiting| seen.lock().expect("the codes").push(waiting.code.clone());
    (connect.on_waiting(hook), codes)
}

fn has_one(codes: &Codes) -> bool {
    let codes = codes.lock().expect("the codes");
    assert!(codes.iter().all(|code| code == "no_worker"), "{codes:?}");
    !codes.is_empty()
}

pub async fn waits(connect: Connect) -> Result<(), Box<dyn Error>> {
    for form in 0..3 {
        let (connect, codes) = with_hook(connect.clone());
        let client = connect.connect().await?;
        let calls = || (0..5).map(|n| add(n, 0));
        let (mut map, mut completed) = (client.map(calls()), client.map(calls()).as_completed());
        let begun = Instant::now();
        while !has_one(&codes) {
            assert!(begun.elapsed() < PATIENCE, "form {form} learns nothing");
            let pause = Duration::from_millis(50);
            match form {
                0 => drop(tokio::time::timeout(pause, map.next()).await),
                1 => drop(tokio::time::timeout(pause, completed.next()).await),
                _ => drop(tokio::time::timeout(pause * 80, client.queue(add(1, 2))).await),
            }
        }
        assert!(begun.elapsed() > Duration::from_millis(1900), "not at once");
        assert_eq!(codes.lock().expect("the codes").len(), 1);
    }
    println!("waits");
    Ok(())
}

pub fn waits_blocking(connect: Connect) -> Result<(), Box<dyn Error>> {
    let (connect, codes) = with_hook(connect);
    let client = connect.connect_blocking()?;
    let other = client.clone();
    // It waits for ever; the session's own thread receives the reason meanwhile.
    std::thread::spawn(move || other.queue(add(1, 2)));
    let begun = Instant::now();
    while !has_one(&codes) {
        assert!(begun.elapsed() < PATIENCE, "a blocking call learns nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("waits");
    Ok(())
}
