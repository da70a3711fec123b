//! `rust-client MODE ADDRESS KEY [MORE]`: each mode asserts what it is about and prints a word for the test.

mod asynchronous;
mod failures;
mod leaving;
mod lied_to;
mod nested;
mod panics;
mod processes;
mod shapes;
mod tasks;

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use argon::{Client, Connect, ErrorKind, TaskOptions};
use tasks::*;

#[argon::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, address, key, more @ ..] = &arguments[..] else {
        return Err("usage: rust-client MODE ADDRESS KEY [MORE]".into());
    };
    let connect = Connect::to(address).key_file(key);
    match mode.as_str() {
        "blocking" => return blocking(connect),
        "waits-blocking" => return leaving::waits_blocking(connect),
        "waits" => return leaving::waits(connect).await,
        "lied-to" => return lied_to::lied_to(address, key, more[0].parse()?, more[1].parse()?).await,
        "runtimes" => return processes::runtimes(connect),
        _ => {}
    }
    let client = connect.connect().await?;
    match mode.as_str() {
        "values" => values(&client).await,
        "spread" => spread(&client).await,
        "folder" => {
            println!("{}", client.call(folder()).await?);
            Ok(())
        }
        "errors" => errors(&client).await,
        "prints" => prints(&client).await,
        "mutters" => mutters(&client).await,
        "perishes" => perishes(&client).await,
        "panics" => panics::panics(&client).await,
        "aborts" => panics::aborts(&client).await,
        "shapes" => shapes::shapes(&client).await,
        "failures" => failures::failures(&client).await,
        "numbers" => failures::numbers(&client).await,
        "leaving" => leaving::leaving(&client).await,
        "forks" => processes::forks(client, Connect::to(address).key_file(key)).await,
        "nested" => nested::nested(&client, &more[0]).await,
        "asynchronous" => asynchronous::asynchronous(&client, &more[0]).await,
        "shared" => shared(&client).await,
        "other-languages" => other_languages(&client).await,
        "fib" => {
            println!("{}", client.queue(fib(more[0].parse()?)).await?);
            Ok(())
        }
        "sort" => sort(&client).await,
        "load" => load(&client, &more[0], more[1].parse()?).await,
        "submit" => {
            println!("{}", client.submit(add(20, 22)).await?);
            Ok(())
        }
        "collect" => {
            println!("{}", client.collect::<u64>(more[0].parse()?).await?);
            Ok(())
        }
        other => Err(format!("there is no mode {other}").into()),
    }
}

async fn values(client: &Client) -> Result<(), Box<dyn Error>> {
    assert_eq!(client.queue(add(40, 2)).await?, 42);
    let later = client.defer(add(1, 2));
    assert_eq!(later.await?, 3);
    let mut map = client.map((0..2000).map(|n| add(n, 1))).ahead(100);
    for n in 0..2000 {
        assert_eq!(map.next().await.ok_or("the map ended early")??, n + 1);
    }
    assert!(map.next().await.is_none());
    let mut completed = client.map((0..500).map(|n| add(n, 1))).as_completed();
    let mut seen = BTreeSet::new();
    while let Some((position, value)) = completed.next().await {
        assert_eq!(value?, position as u64 + 1);
        assert!(seen.insert(position));
    }
    assert_eq!(seen.len(), 500);
    assert_eq!(client.queue(bytes(8 << 20)).await?.len(), 8 << 20);
    for _ in 0..10 {
        assert_ne!(client.queue(wander()).await?, std::path::Path::new("/proc"));
    }
    println!("values");
    Ok(())
}

async fn sort(client: &Client) -> Result<(), Box<dyn Error>> {
    let numbers: Vec<u64> = (0..400).map(|n| n * 7919 % 1009).collect();
    let mut expected = numbers.clone();
    expected.sort_unstable();
    assert_eq!(client.queue(quicksort(numbers)).await?, expected);
    println!("sorted");
    Ok(())
}

async fn spread(client: &Client) -> Result<(), Box<dyn Error>> {
    let mut map = client.map((0..16).map(|_| place(50)));
    let mut places = BTreeSet::new();
    while let Some(place) = map.next().await {
        places.insert(place?);
    }
    println!("places={}", places.len());
    Ok(())
}

async fn errors(client: &Client) -> Result<(), Box<dyn Error>> {
    let error = client.queue(panics("blue")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("a blue panic"), "{error}");
    assert!(error.place().unwrap().contains("src/tasks.rs:"), "{error}");
    assert!(error.backtrace().unwrap().contains("panics"), "{error:?}");

    assert_eq!(client.queue(half(8)).await?, 4);
    let error = client.queue(half(7)).await.unwrap_err();
    assert_eq!(error.to_string(), "7 is odd");
    assert_eq!(error.own::<Refusal>(), Some(Refusal::Odd { number: 7 }));

    let error = client.queue(exits(3)).await.unwrap_err();
    assert_eq!((error.kind(), error.report().exit), (ErrorKind::Died, Some(3)));

    let error = client.queue(nap(60_000).timeout(Duration::from_millis(200))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);

    let error = client.queue(half(7).retries(2).with(Default::default())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);

    let long = client.defer(nap(60_000));
    tokio::time::sleep(Duration::from_millis(50)).await;
    long.cancel();
    assert_eq!(long.await.unwrap_err().kind(), ErrorKind::Cancelled);
    println!("errors");
    Ok(())
}

async fn prints(client: &Client) -> Result<(), Box<dyn Error>> {
    client.queue(says("hello".into())).await?;
    println!("after");
    Ok(())
}

/// Thousands of short tasks in a row, the output of each with its own outcome.
async fn mutters(client: &Client) -> Result<(), Box<dyn Error>> {
    let capture = TaskOptions::new().capture();
    let mut map = client.map((0..5_000).map(|n| mutter(n).with(capture.clone())));
    for n in 0..5_000 {
        let error = map.next().await.ok_or("the map ended early")?.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Failed, &*n.to_string()));
        let out = if n % 3 == 0 { format!("out {n};") } else { String::new() };
        let err = if n % 7 == 0 { format!("err {n};") } else { String::new() };
        let output = error.report().output.clone().unwrap_or_default();
        assert!([format!("{out}{err}"), format!("{err}{out}")].contains(&output), "{n}: {output:?}");
    }
    println!("mutters");
    Ok(())
}

/// Short tasks in a row, some of which end their process.
async fn perishes(client: &Client) -> Result<(), Box<dyn Error>> {
    let mut map = client.map((0..3_000).map(perish));
    for n in 0..3_000 {
        let ended = map.next().await.ok_or("the map ended early")?;
        match ended {
            Ok(value) => assert_eq!(value, n),
            Err(error) => {
                assert_eq!((error.kind(), error.report().signal), (ErrorKind::Died, Some(6)), "{n}: {error}");
                assert_eq!(n % 500, 250, "another task died: {error}");
                continue;
            }
        }
        assert_ne!(n % 500, 250);
    }
    println!("perishes");
    Ok(())
}

async fn shared(client: &Client) -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = "a b a c a".split(' ').map(str::to_owned).collect();
    let words = client.share(&words)?;
    assert_eq!(words.len(), 5);
    let mut map = client.map((0..50).map(|_| count(words.clone(), "a")));
    while let Some(count) = map.next().await {
        assert_eq!(count?, 3);
    }
    println!("shared");
    Ok(())
}

async fn other_languages(client: &Client) -> Result<(), Box<dyn Error>> {
    let sum: u64 = client.queue(argon::perl("List::Util::sum", [1, 2, 39])).await?;
    assert_eq!(sum, 42);
    let root: f64 = client.queue(argon::python("math:sqrt", (16.0,))).await?;
    assert_eq!(root, 4.0);
    let error = client.queue::<f64>(argon::python("math:sqrt", (-1.0,))).await.unwrap_err();
    assert!(error.to_string().contains("ValueError"), "{error}");
    let error = client.queue::<u64>(argon::perl("Carp::croak", ("no luck",))).await.unwrap_err();
    assert!(error.to_string().contains("no luck"), "{error}");
    println!("other languages");
    Ok(())
}

async fn load(client: &Client, file: &str, count: u64) -> Result<(), Box<dyn Error>> {
    let mut map = client.map((0..count).map(|n| note(file.to_owned(), n)));
    let mut sum = 0;
    while let Some(value) = map.next().await {
        sum += value?;
    }
    println!("sum={sum}");
    Ok(())
}

fn blocking(connect: Connect) -> Result<(), Box<dyn Error>> {
    let client = connect.connect_blocking()?;
    assert_eq!(client.queue(add(40, 2))?, 42);
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let client = client.clone();
            std::thread::spawn(move || {
                client.map((0..100).map(|m| add(n, m))).map(Result::unwrap).sum::<u64>()
            })
        })
        .collect();
    for (n, thread) in (0..).zip(threads) {
        assert_eq!(thread.join().unwrap(), 100 * n + 4950);
    }
    assert_eq!(client.map((0..100).map(|n| add(n, 0))).as_completed().count(), 100);
    let id = client.submit(add(1, 2))?;
    assert_eq!(client.collect::<u64>(id)?, 3);
    assert_eq!(client.defer(add(1, 1)).wait()?, 2);
    println!("blocking");
    Ok(())
}
