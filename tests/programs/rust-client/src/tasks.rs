//! The tasks of this program.

use std::io::Write;
use std::time::Duration;

use argon::Shared;
use serde::{Deserialize, Serialize};

#[argon::task]
pub fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// The worker that it ran on, by its process id.
#[argon::task]
pub fn place(pause_ms: u64) -> String {
    std::thread::sleep(Duration::from_millis(pause_ms));
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split(' ').nth(2)).unwrap_or("?").to_owned()
}

#[argon::task]
pub fn nap(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Notes that it ran, whole, and gives twice its number.
#[argon::task]
pub fn note(file: String, number: u64) -> u64 {
    let mut file =
        std::fs::OpenOptions::new().append(true).create(true).open(file).expect("a file to note in");
    file.write_all(format!("{number}\n").as_bytes()).expect("a note");
    number * 2
}

#[argon::task]
pub fn panics(word: &str) -> u64 {
    panic!("a {word} panic");
}

#[argon::task]
pub fn exits(status: i32) {
    println!("about to exit with {status}");
    std::process::exit(status);
}

/// Returns the folder in which it starts, and goes elsewhere.
#[argon::task]
pub fn wander() -> std::path::PathBuf {
    let folder = std::env::current_dir().expect("it has one");
    std::env::set_current_dir("/proc").expect("it is there");
    folder
}

/// Prints now and then, and fails, since a report of what was printed comes with a failure.
#[argon::task]
pub fn mutter(number: u64) -> Result<(), String> {
    if number % 3 == 0 {
        print!("out {number};");
    }
    if number % 7 == 0 {
        // In one piece, since standard error is not buffered.
        let words = format!("err {number};");
        eprint!("{words}");
    }
    if number % 997 == 0 {
        std::thread::sleep(Duration::from_millis(3));
    }
    Err(number.to_string())
}

/// Some numbers are the end of their process.
#[argon::task]
pub fn perish(number: u64) -> u64 {
    if number % 500 == 250 {
        std::process::abort();
    }
    number
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Refusal {
    Odd { number: u64 },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Odd { number } = self;
        write!(f, "{number} is odd")
    }
}

#[argon::task]
pub fn half(number: u64) -> Result<u64, Refusal> {
    if number % 2 == 0 { Ok(number / 2) } else { Err(Refusal::Odd { number }) }
}

#[argon::task]
pub fn count(words: Shared<Vec<String>>, wanted: &str) -> usize {
    words.iter().filter(|word| *word == wanted).count()
}

#[argon::task]
pub fn says(word: String) {
    println!("{word} to stdout");
    eprintln!("{word} to stderr");
}

#[argon::task]
pub fn bytes(length: usize) -> Vec<u8> {
    vec![7; length]
}

/// By tasks of tasks, each of which waits for two.
#[argon::task]
pub fn fib(n: u64) -> Result<u64, String> {
    if n < 2 {
        return Ok(n);
    }
    let client = argon::current_client().map_err(|error| error.to_string())?;
    let smaller = client.defer(fib(n - 2));
    let larger = client.queue(fib(n - 1)).map_err(|error| error.to_string())?;
    Ok(larger + smaller.wait().map_err(|error| error.to_string())?)
}

/// Each part is sorted by a task of its own, unless it is small.
#[argon::task]
pub fn quicksort(mut numbers: Vec<u64>) -> Result<Vec<u64>, String> {
    if numbers.len() < 16 {
        numbers.sort_unstable();
        return Ok(numbers);
    }
    let client = argon::current_client().map_err(|error| error.to_string())?;
    let pivot = numbers[numbers.len() / 2];
    let part = |keep: fn(u64, u64) -> bool| numbers.iter().copied().filter(|n| keep(*n, pivot)).collect::<Vec<_>>();
    let less = client.defer(quicksort(part(|n, pivot| n < pivot)));
    let more = client.defer(quicksort(part(|n, pivot| n > pivot)));
    let mut sorted = less.wait().map_err(|error| error.to_string())?;
    sorted.extend(part(|n, pivot| n == pivot));
    sorted.extend(more.wait().map_err(|error| error.to_string())?);
    Ok(sorted)
}

#[argon::task]
pub fn folder() -> String {
    let here = std::env::current_dir().map(|folder| folder.display().to_string());
    // The next task starts where this one has.
    let _ = std::env::set_current_dir("/");
    here.unwrap_or_default()
}
