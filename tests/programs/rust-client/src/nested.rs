//! Tasks that submit tasks through their own worker, and wait for them.

use std::error::Error;

use argon::{Addresses, Client, Connect, ErrorKind};

/// The sum of two smaller ones, each a task.
#[argon::task]
pub fn fib(n: u64) -> Result<u64, argon::Error> {
    if n < 2 {
        return Ok(n);
    }
    let client = argon::current_client()?;
    let smaller = client.defer(fib(n - 2));
    let larger = client.call(fib(n - 1))?;
    Ok(larger + smaller.wait()?)
}

/// Sorts by tasks as long as there is much to sort.
#[argon::task]
pub fn quicksort(mut list: Vec<u32>) -> Result<Vec<u32>, argon::Error> {
    if list.len() < 200 {
        list.sort_unstable();
        return Ok(list);
    }
    let pivot = list.swap_remove(list.len() / 2);
    let (below, above): (Vec<u32>, Vec<u32>) = list.into_iter().partition(|item| *item < pivot);
    let client = argon::current_client()?;
    let mut halves = client.map([quicksort(below), quicksort(above)]);
    let (below, above) = (halves.next().ok_or_else(gone)??, halves.next().ok_or_else(gone)??);
    Ok([below, vec![pivot], above].concat())
}

fn gone() -> argon::Error {
    panic!("the map ended early")
}

/// A client that nobody gave an address, on several threads, asynchronous, and all of them one session.
#[argon::task]
pub fn ways() -> Result<Vec<u64>, argon::Error> {
    let default = Connect::to(Addresses::default()).connect_blocking()?;
    let mut values = vec![default.call(fib(1))?];
    let client = argon::current_client()?;
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(|| argon::current_client()?.call(fib(3)))).collect();
    for thread in threads {
        values.push(thread.join().unwrap_or_else(|_| panic!("a thread panicked"))?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    values.push(runtime.block_on(client.as_async().call(fib(4)))?);
    Ok(values)
}

/// Leaves a task that never ends, and one that remains.
#[argon::task]
pub fn leaves(marker: String) -> Result<String, argon::Error> {
    let client = argon::current_client()?;
    let _never = client.defer(marks_and_sleeps(marker.clone()));
    let remaining = client.submit(fib(2))?;
    while !std::path::Path::new(&marker).exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(remaining.to_string())
}

#[argon::task]
pub fn marks_and_sleeps(marker: String) {
    std::fs::write(&marker, std::process::id().to_string()).expect("written");
    std::thread::sleep(std::time::Duration::from_secs(1000));
}

pub async fn nested(client: &Client, marker: &str) -> Result<(), Box<dyn Error>> {
    assert_eq!(client.call(fib(12)).await?, 144);
    let mixed: Vec<u32> = (0..2000_u32).map(|n| n.wrapping_mul(2_654_435_761) % 10_007).collect();
    let mut sorted = mixed.clone();
    sorted.sort_unstable();
    assert_eq!(client.call(quicksort(mixed)).await?, sorted);
    assert_eq!(client.call(ways()).await?, [1, 2, 2, 2, 3]);
    let remaining: argon::Ticket = client.call(leaves(marker.to_owned())).await?.parse()?;
    assert_eq!(client.collect::<u64>(remaining).await?, 1);
    let process = std::fs::read_to_string(marker)?;
    let folder = std::path::Path::new("/proc").join(process.trim());
    for _ in 0..1000 {
        if !folder.exists() {
            let outside = argon::current_client().expect_err("this is not a task");
            assert_eq!(outside.kind(), ErrorKind::Option);
            println!("nested");
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Err("the task that was left behind runs still".into())
}
