//! Measures what arguments cost to write, to read back where that is needed, and to read: `cargo run --release --example value-cost`.
//!
//! No manager is needed: calls are made and dropped, which is what a client does for a call before it sends it.

use std::time::Instant;

use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    data: Vec<u8>,
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

#[argon::main]
fn main() {
    let one = Row { id: 1, name: "a name".to_owned(), score: Some(0.5), data: vec![1; 16] };
    let many = vec![one.clone(); 10_000];
    let big = Row { data: vec![7; 1 << 20], ..one.clone() };
    measure("no arguments", 1_000_000, nothing);
    measure("a number and a text", 1_000_000, || plain(1, "text"));
    measure("1 MiB as Vec<u8>", 1_000, || bytes(vec![7; 1 << 20]));
    measure("1 MiB as Vec<f64>", 200, || numbers(vec![0.5; 1 << 17]));
    measure("a struct of four fields", 300_000, || row(one.clone()));
    measure("a struct with 1 MiB of Vec<u8>", 100, || row(big.clone()));
    measure("10,000 structs of four fields", 50, || rows(many.clone()));
}

fn measure<T>(what: &str, times: u32, call: impl Fn() -> argon::Call<T>) {
    let begun = Instant::now();
    for _ in 0..times {
        drop(std::hint::black_box(call()));
    }
    println!("{what}: {:.2} µs", begun.elapsed().as_secs_f64() * 1e6 / f64::from(times));
}
