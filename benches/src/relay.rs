//! The floor: four processes joined as client, manager, worker and runner are (TCP, TCP, socketpair), that only pass
//! bytes on. What Argon costs is measured against this, in the same run, under the same placement.
//!
//! This file is the client's end and the list of measurements; `chain.rs` starts and joins the processes, `hop.rs` is
//! what each of them does.

mod chain;
mod hop;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::process::Placement;
use crate::samples::{Samples, rate};
use chain::Chain;

pub(crate) use hop::{HOP, Way, hop};

/// Bytes of a small message, its length included.
const MESSAGE_BYTES: usize = 64;
/// Bytes that are under way at most when messages follow one another.
const WINDOW_BYTES: u64 = 256 << 10;
/// Sizes of the arguments that clients measure, and how many are under way.
const PAYLOADS: [usize; 5] = [1 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20];
const PAYLOADS_AT_A_TIME: u64 = 4;

/// Options of `relay`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Round trips of single messages
    #[arg(long, value_name = "N", default_value = "20000")]
    trips: u64,
    /// Messages of each stream
    #[arg(long, value_name = "N", default_value = "2000000")]
    messages: u64,
    /// Bytes of each size of payload, in MiB
    #[arg(long, value_name = "N", default_value = "2000")]
    mebibytes: u64,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Measures and prints everything.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    measure(options).map_err(|error| format!("the relay broke: {error}"))
}

fn measure(options: &Options) -> io::Result<()> {
    let &Options { trips, messages, mebibytes, json } = options;
    let free = round_trips(trips)?;
    let pinned = {
        let _pinned = Placement::pin_to_one_core()?;
        round_trips(trips)?
    };
    let single = messages / 20;
    let one_a_read = rate(single, stream(Way::Message, single, MESSAGE_BYTES)?);
    let framed = rate(messages, stream(Way::Framed, messages, MESSAGE_BYTES)?);
    let bulk = rate(messages, stream(Way::Bulk, messages, MESSAGE_BYTES)?);
    let payloads = PAYLOADS.map(|bytes| Ok((bytes, payload_bytes_per_s(mebibytes, bytes)?)));
    let payloads = payloads.into_iter().collect::<io::Result<Vec<(usize, f64)>>>()?;
    if json {
        let figures = json!({
            "round_trip_us": {"free": {"p50": free.micros_at(0.5), "p99": free.micros_at(0.99)},
                              "pinned": {"p50": pinned.micros_at(0.5), "p99": pinned.micros_at(0.99)}},
            "messages_per_s": {"one_a_read": one_a_read, "framed": framed, "bulk": bulk},
            "payload_bytes_per_s": payloads.iter().map(|(bytes, rate)| (bytes.to_string(), *rate)).collect::<BTreeMap<_, _>>(),
        });
        println!("{figures}");
        return Ok(());
    }
    println!("four processes (TCP, TCP, socketpair) that pass {MESSAGE_BYTES}-byte messages there and back");
    let trip = |what: &str, times: &Samples| {
        println!("  {what:<46} {:>10.1} µs p50 {:>10.1} µs p99", times.micros_at(0.5), times.micros_at(0.99));
    };
    trip("round trip, free to move between cores", &free);
    trip("round trip, all on one core", &pinned);
    println!("  {:<46} {one_a_read:>10.0} messages/s", "stream, one message a read and a write");
    println!("  {:<46} {framed:>10.0} messages/s", "stream, bulk reads, each frame parsed");
    println!("  {:<46} {bulk:>10.0} messages/s", "stream, bulk reads and writes");
    for (bytes, rate) in payloads {
        let what = format!("messages of {} KiB, {PAYLOADS_AT_A_TIME} at a time", bytes >> 10);
        println!("  {what:<46} {:>10.0} MiB/s there and back", rate / (1 << 20) as f64);
    }
    Ok(())
}

/// Times of single messages that go to the far end and back, one after the other.
fn round_trips(count: u64) -> io::Result<Samples> {
    let mut chain = Chain::start(Way::Message)?;
    let message = message(MESSAGE_BYTES);
    let mut answer = [0; MESSAGE_BYTES];
    let mut times = Vec::new();
    for _ in 0..count + count / 10 {
        let begun = Instant::now();
        chain.stream.write_all(&message)?;
        chain.stream.read_exact(&mut answer)?;
        times.push(begun.elapsed());
    }
    // The first ones found cold caches.
    Ok(Samples::new(times.split_off(usize::try_from(count / 10).unwrap_or(0))))
}

/// Bytes that come back in a second of messages as long as clients' arguments, as many at a time as theirs.
fn payload_bytes_per_s(mebibytes: u64, bytes: usize) -> io::Result<f64> {
    let count = ((mebibytes << 20) / bytes as u64).clamp(12, 100_000);
    let window = PAYLOADS_AT_A_TIME * bytes as u64;
    Ok(rate(count, stream_within(Way::Bulk, count, bytes, window)?) * bytes as f64)
}

/// Time that `count` messages take to the far end and back when they need not wait for one another.
fn stream(way: Way, count: u64, bytes: usize) -> io::Result<Duration> {
    stream_within(way, count, bytes, WINDOW_BYTES)
}

/// As `stream`, with a bound on the bytes under way.
fn stream_within(way: Way, count: u64, bytes: usize, window: u64) -> io::Result<Duration> {
    let chain = Chain::start(way)?;
    let (mut writer, mut reader) = (chain.stream.try_clone()?, chain.stream.try_clone()?);
    let total = count * bytes as u64;
    let arrived = std::sync::atomic::AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| -> io::Result<()> {
            let together = (64 << 10).min(window as usize / 4) / bytes;
            let at_once = if way == Way::Message { 1 } else { together.max(1) };
            let batch = message(bytes).repeat(at_once);
            let mut sent = 0;
            while sent < total {
                if sent >= arrived.load(std::sync::atomic::Ordering::Acquire) + window {
                    std::thread::park_timeout(Duration::from_micros(200));
                    continue;
                }
                let left = usize::try_from(total - sent).unwrap_or(usize::MAX).min(batch.len());
                writer.write_all(&batch[..left])?;
                sent += left as u64;
            }
            Ok(())
        });
        let mut buffer = vec![0; 256 << 10];
        let room = if way == Way::Message { bytes } else { buffer.len() };
        let mut received = 0;
        while received < total {
            let count = reader.read(&mut buffer[..room])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            received += count as u64;
            arrived.store(received, std::sync::atomic::Ordering::Release);
            sending.thread().unpark();
        }
        sending.join().unwrap_or(Ok(()))
    })?;
    Ok(begun.elapsed())
}

/// A frame as Argon's are: its length, then its bytes.
fn message(bytes: usize) -> Vec<u8> {
    let mut message = vec![7; bytes];
    message[..4].copy_from_slice(&u32::try_from(bytes - 4).unwrap_or(0).to_be_bytes());
    message
}
