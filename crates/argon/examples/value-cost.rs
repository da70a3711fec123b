//! Measures what arguments cost to write, to read back where that is needed, and to read: `cargo run --release --example value-cost`.
//!
//! No manager is needed: calls are made and dropped, which is what a client does for a call before it sends it. Next to each time
//! stands how it compares with JSON of the same arguments, written only, in the same run. The fastest of several rounds counts:
//! other programs take the rest.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

const ROUNDS: usize = 7;

#[derive(Clone, Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    data: Vec<u8>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Samples {
    name: String,
    times: Vec<f64>,
    points: Vec<(u32, f32)>,
}

#[argon::task]
fn nothing() {}

#[argon::task]
fn plain(_a: u64, _b: &str) {}

#[argon::task]
fn bytes(_bytes: Vec<u8>) {}

#[argon::task]
fn numbers(_numbers: Vec<f64>) {}

#[argon::task]
fn row(_row: Row) {}

#[argon::task]
fn rows(_rows: Vec<Row>) {}

#[argon::task]
fn samples(_samples: Samples) {}

#[argon::main]
fn main() {
    let one = Row { id: 1, name: "a name".to_owned(), score: Some(0.5), data: vec![1; 16] };
    let many = vec![one.clone(); 10_000];
    let big = Row { data: vec![7; 1 << 20], ..one.clone() };
    let times = Samples { name: "a name".to_owned(), times: vec![0.5; 1 << 17], points: Vec::new() };
    let points = Samples { times: Vec::new(), points: vec![(1, 0.5); 1 << 17], ..times.clone() };
    println!("{:>10} {:>10}  arguments", "µs", "of JSON");
    measure("none", 100_000, &(), |()| nothing());
    measure("a number and a text", 100_000, &(1, "text"), |(a, b)| plain(a, b));
    measure("1 MiB as Vec<u8>", 100, &vec![7; 1 << 20], bytes);
    measure("1 MiB as Vec<f64>", 20, &vec![0.5; 1 << 17], numbers);
    measure("a struct of four fields", 30_000, &one, row);
    measure("a struct with 1 MiB as Vec<u8>", 20, &big, row);
    measure("a struct with 1 MiB as Vec<f64>", 20, &times, samples);
    measure("a struct with 1 MiB as Vec<(u32, f32)>", 10, &points, samples);
    measure("10,000 structs of four fields", 10, &many, rows);
}

fn measure<A: Clone + Serialize, T>(
    what: &str,
    times: usize,
    arguments: &A,
    call: impl Fn(A) -> argon::Call<T>,
) {
    if !std::env::args().nth(1).is_none_or(|only| what.contains(&only)) {
        return;
    }
    let ours = fastest(times, arguments, call);
    let json = fastest(times, arguments, |arguments| serde_json::to_vec(&arguments).expect("plain data"));
    let per_call = |time: Duration| time.as_secs_f64() * 1e6 / times as f64;
    println!("{:>10.2} {:>10.2}  {what}", per_call(ours), ours.as_secs_f64() / json.as_secs_f64());
}

/// The arguments are made before the time runs.
fn fastest<A: Clone, R>(times: usize, arguments: &A, make: impl Fn(A) -> R) -> Duration {
    let round = |_| {
        let all = vec![arguments.clone(); times];
        let begun = Instant::now();
        for arguments in all {
            drop(std::hint::black_box(make(std::hint::black_box(arguments))));
        }
        begun.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}
