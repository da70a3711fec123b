//! A client in more than one runtime, without its runtime, and in a child of a fork.

use std::error::Error;
use std::time::Duration;

use argon::{Client, Connect, ErrorKind};
use tokio::runtime::{Builder, Runtime};

use crate::tasks::{add, nap};

const PATIENCE: Duration = Duration::from_secs(30);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Runs `with` in a thread that has no runtime yet.
fn apart<T: Send>(with: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(with).join().expect("no panic"))
}

pub fn runtimes(connect: Connect) -> Result<(), Box<dyn Error>> {
    apart(move || {
        let (one, other) = (runtime(), runtime());
        let client = one.block_on(connect.connect())?;
        assert_eq!(other.block_on(client.queue(add(1, 2)))?, 3);
        let both = [one.spawn(sums(client.clone())), other.spawn(sums(client.clone()))];
        for sums in both {
            assert_eq!(other.block_on(sums).expect("no panic")?, 1225);
        }
        // The runtime that carries it ends while a call of another one waits.
        let call = client.clone();
        let waiting = other.spawn(async move { call.queue(nap(600_000)).await });
        std::thread::sleep(Duration::from_millis(200));
        one.shutdown_background();
        let ended = other.block_on(async { tokio::time::timeout(PATIENCE, waiting).await });
        let error = ended.expect("it does not wait for ever").expect("no panic").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(error.message().contains("runtime"), "{error}");
        let error = other.block_on(client.queue(add(1, 2))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "and later ones end at once");
        Ok::<(), argon::Error>(())
    })?;
    println!("runtimes");
    Ok(())
}

async fn sums(client: Client) -> Result<u64, argon::Error> {
    let mut map = client.map((0..50).map(|n| add(n, 0)));
    let mut sum = 0;
    while let Some(value) = map.next().await {
        sum += value?;
    }
    Ok(sum)
}

/// Forks, and returns what the child's work ended with: true is well.
fn in_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child does its work in this thread and leaves; threads of its own it makes anew.
    unsafe {
        match libc::fork() {
            0 => {
                let is_well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
                libc::_exit(i32::from(!is_well));
            }
            child => {
                let mut status = 0;
                libc::waitpid(child, &raw mut status, 0) == child && status == 0
            }
        }
    }
}

fn is_refused<T: std::fmt::Debug>(ended: Result<T, argon::Error>) -> bool {
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    error.message().contains("fork")
}

pub async fn forks(client: Client, connect: Connect) -> Result<(), Box<dyn Error>> {
    let client = &client;
    let before = client.defer(nap(300));
    let mut map = client.map((0..20).map(|n| add(n, 0)));
    assert_eq!(map.next().await.ok_or("an empty map")??, 0);
    let anew = connect.clone();
    let mut blocking = apart(|| connect.clone().connect_blocking())?;
    assert_eq!(apart(|| blocking.queue(add(2, 2)))?, 4);
    let child_blocking = blocking.clone();
    // The client of the parent is refused; one of the child's own works; and whatever the child drops, the parent keeps.
    assert!(in_child(move || {
        assert!(is_refused(child_blocking.queue(add(1, 2))));
        assert!(is_refused(child_blocking.defer(add(1, 2)).wait()));
        assert!(child_blocking.map([add(1, 2)]).as_completed().all(|(_, ended)| is_refused(ended)));
        assert!(is_refused(child_blocking.submit(add(1, 2))));
        drop(child_blocking);
        let own = anew.connect_blocking().expect("the child's own client");
        own.queue(add(20, 22)).expect("a value") == 42
    }));
    for n in 1..20 {
        assert_eq!(map.next().await.ok_or("the map ended early")??, n);
    }
    before.await?;
    assert_eq!(client.queue(add(1, 2)).await?, 3);
    assert_eq!(apart(|| blocking.queue(add(1, 2)))?, 3);
    blocking = blocking.clone();
    drop(blocking);
    println!("forks");
    Ok(())
}
