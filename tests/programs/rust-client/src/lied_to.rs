//! Sessions with a manager that lies: python/tests/mutating_manager.py changes what a real manager sends.
//!
//! A client never hangs, panics or grows beyond a bound. From a manager that lies about no outcome (a seed that is
//! divisible by 3) it gets every value, and every one right.

use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon::{Call, Client, Connect, Deferred, TaskOptions};

/// Bound on the wait for one task: it ends a hang, and does not judge speed.
const HANG: Duration = Duration::from_secs(60);
const SESSIONS_MIN: u64 = 3;
const KIB_MAX: u64 = 500_000;

type Told = (u64, String, u64);

/// A value that shows by itself whether it is right.
#[argon::task]
pub fn told(number: u64, size: usize) -> Told {
    let text = format!("{number} {}", "x".repeat(size));
    let check = check_of(&text);
    (number, text, check)
}

#[argon::task]
pub fn fails() -> Result<(), String> {
    eprintln!("printed");
    Err("it fails".into())
}

fn check_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Runs sessions until the time is over. The proxy gives the same seeds to them, in order.
pub async fn lied_to(address: &str, key: &str, seconds: u64, first_seed: u64) -> Result<(), Box<dyn Error>> {
    let panics: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&panics);
    std::panic::set_hook(Box::new(move |panic| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(format!("a panic: {panic}"));
    }));
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut seed = first_seed;
    while seed < first_seed + SESSIONS_MIN || Instant::now() < until {
        let connect = Connect::to(address).key_file(key).patience(HANG).on_waiting(|_| {});
        let mut wrong = session(connect, seed % 3 == 0).await;
        wrong.append(&mut panics.lock().unwrap_or_else(PoisonError::into_inner));
        if !wrong.is_empty() {
            wrong.truncate(5);
            return Err(format!("seed {seed}: {}", wrong.join("\n")).into());
        }
        seed += 1;
    }
    let peak = peak_kib();
    if peak > KIB_MAX {
        return Err(format!("{peak} KiB after the seeds {first_seed} to {}", seed - 1).into());
    }
    println!("{} sessions\nlied to", seed - first_seed);
    Ok(())
}

/// One session; returns what is wrong.
async fn session(connect: Connect, is_honest: bool) -> Vec<String> {
    let client = match connect.connect().await {
        Ok(client) => client,
        Err(error) if is_honest || error.to_string().is_empty() => {
            return vec![format!("no session: {error:?}")];
        }
        Err(_) => return Vec::new(),
    };
    let size = |number: u64| if number % 5 == 0 { 400_000 } else { number as usize * 7 };
    let tasks: Vec<(u64, Deferred<Told>)> =
        (1..=20).map(|number| (number, client.defer(told(number, size(number))))).collect();
    let failing = client.defer(fails().with(TaskOptions::new().capture()));
    let mut wrong = Vec::new();
    if let Err(_elapsed) =
        tokio::time::timeout(HANG, detached(&client, told(77, 10), is_honest, &mut wrong)).await
    {
        wrong.push("the detached task hangs".into());
    }
    let asked = tokio::time::timeout(HANG, client.request("status", serde_json::Map::new())).await;
    match asked {
        Err(_elapsed) => wrong.push("the request of the status hangs".into()),
        Ok(Err(error)) if error.to_string().is_empty() => wrong.push("a refusal without words".into()),
        Ok(_) => {}
    }
    for (number, task) in tasks {
        match tokio::time::timeout(HANG, task).await {
            Err(_elapsed) => wrong.push(format!("task {number} hangs")),
            Ok(ended) => wrong.extend(wrong_in(number, ended, is_honest)),
        }
    }
    if tokio::time::timeout(HANG, failing).await.is_err() {
        wrong.push("the task that fails hangs".into());
    }
    client.close();
    wrong
}

/// Submits and collects; a manager that lies may have made either impossible.
async fn detached(client: &Client, call: Call<Told>, is_honest: bool, wrong: &mut Vec<String>) {
    let ended = match client.submit(call).await {
        Ok(ticket) => client.collect::<Told>(ticket).await,
        Err(error) => Err(error),
    };
    wrong.extend(wrong_in(77, ended, is_honest));
}

fn wrong_in(number: u64, ended: Result<Told, argon::Error>, is_honest: bool) -> Option<String> {
    match ended {
        Ok((of, text, check)) => {
            let is_right = of == number && check == check_of(&text);
            (is_honest && !is_right).then(|| format!("task {number}: another value"))
        }
        Err(error) if is_honest || error.to_string().is_empty() => Some(format!("task {number}: {error:?}")),
        Err(_) => None,
    }
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
