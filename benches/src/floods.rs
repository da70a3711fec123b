//! An honest client next to holders of a key that send without end, or take nothing: its round trips undisturbed and next
//! to each flood, in one run, and the most memory that the manager used.
//!
//! The honest client and its worker are on one thread and wait for each message, so that a round trip is the manager's two
//! hops. Each row measures the client undisturbed first, and then with the flood, at the same manager.
//!
//! A flood comes from other machines, and here it would take processor time of this one. Its threads therefore run at the
//! lowest priority, and the bytes of a piece are composed once wherever they may repeat. What remains is in the control
//! row: the same bytes go to a process that reads and drops them, while the manager is idle.
//!
//! This file is the list of floods; `peer.rs` is a connection of either side.

mod peer;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use argon_proto::conversation::admin::Question;
use argon_proto::conversation::client::ToManager;
use argon_proto::conversation::{Blob, Control};
use argon_proto::{BlobHash, Payload, SessionId, TaskId, Ticket, TicketToken, kind, limit};
use clap::Args;
use serde_json::json;

use crate::manager::Manager;
use crate::samples::Samples;
use crate::waiting::bytes_of;
use peer::{Flooder, Honest, Sink, task};

/// Bound of the manager's memory, MiB.
const MEMORY_MIB: u64 = 256;
/// Connections of a flood.
const CONNECTIONS: u8 = 4;
/// Round trips that are not counted: the flood grows meanwhile.
const WARM_UP: u64 = 200;

/// Work of one connection of a flood until it is stopped.
type Flood = fn(&mut Flooder, &AtomicBool);

const FLOODS: &[(&str, Flood)] = &[
    ("nothing", |_, _| {}),
    ("heartbeats, answers not read", heartbeats),
    ("heartbeats, answers read", |flooder, stop| heartbeats(flooder.that_reads(), stop)),
    ("questions, answers not read", questions),
    ("questions, answers read", |flooder, stop| questions(flooder.that_reads(), stop)),
    ("COLLECT, outcomes not read", collects),
    ("COLLECT, outcomes read", |flooder, stop| collects(flooder.that_reads(), stop)),
    ("tasks whose blobs never come", parked),
    ("3,000 blobs for 40,000 waiting tasks", completed),
    ("payloads that never end", unfinished),
    ("blobs that no task names", blobs),
    ("tiny tasks among long frames", tiny),
    ("big tasks of many sessions", big),
    (CONTROL, big),
];
/// The flood that does not go to the manager.
const CONTROL: &str = "control: big tasks to a process that drops them";

/// Options of `floods`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Round trips of the honest client next to each flood
    #[arg(long, value_name = "N", default_value = "3000")]
    trips: u64,
    /// Only floods whose name has this in it
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Measures each flood with a manager of its own.
pub(crate) fn run(Options { trips, only, json }: &Options) -> Result<(), String> {
    let mut rows = Vec::new();
    let chosen = FLOODS.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| name.contains(only)));
    for (name, flood) in chosen {
        let row = measure(*flood, *name == CONTROL, *trips).map_err(|error| format!("{name}: {error}"))?;
        if !json {
            println!(
                "{name:<48} undisturbed {:>6.1} µs  p50 {:>8.1} µs, × {:>5.2}  p99 {:>9.1} µs  manager busy {:>3.0} %  memory {:>5} MiB",
                row.undisturbed,
                row.p50,
                row.p50 / row.undisturbed,
                row.p99,
                row.busy * 100.0,
                row.mebibytes
            );
        }
        rows.push(json!({
            "flood": name, "undisturbed_us": row.undisturbed, "p50_us": row.p50, "p99_us": row.p99,
            "manager_busy": row.busy, "memory_mib": row.mebibytes,
        }));
    }
    if *json {
        println!("{}", json!({ "memory_mib": MEMORY_MIB, "trips": trips, "rows": rows }));
    }
    Ok(())
}

struct Row {
    /// Median before the flood.
    undisturbed: f64,
    p50: f64,
    p99: f64,
    /// Part of the time with the flood in which the manager had a processor.
    busy: f64,
    mebibytes: u64,
}

fn measure(flood: Flood, is_control: bool, trips: u64) -> io::Result<Row> {
    let manager = Manager::start(&["--memory", &format!("{MEMORY_MIB}M")])?;
    let mut honest = Honest::connect(&manager.address, &manager.key)?;
    let mut most = 0;
    let undisturbed = timed(&mut honest, 0..WARM_UP + trips, || most = manager.resident())?;
    let sink = if is_control { Some(Sink::open()?) } else { None };
    let sink = sink.as_ref().map(Sink::address);
    let stop = AtomicBool::new(false);
    let (beside, busy) = std::thread::scope(|scope| {
        for number in 1..=CONNECTIONS {
            let (manager, stop) = (&manager, &stop);
            scope.spawn(move || {
                peer::yield_to_others();
                while !stop.load(Ordering::Relaxed) {
                    let flooder = match sink {
                        None => Flooder::connect(&manager.address, &manager.key, number),
                        Some(sink) => Flooder::to_sink(sink, number),
                    };
                    // One that the manager refuses comes back.
                    if let Ok(mut flooder) = flooder {
                        flood(&mut flooder, stop);
                        flooder.stay(stop);
                    }
                }
            });
        }
        let first = WARM_UP + trips;
        let (clock, began) = (Instant::now(), manager.processor_time());
        let beside = timed(&mut honest, first..first + WARM_UP + trips, || {
            most = most.max(manager.resident());
            // Floods that have filled everything go on filling.
            std::thread::sleep(Duration::from_millis(5));
        });
        let taken = manager.processor_time().saturating_sub(began);
        let busy = taken.as_secs_f64() / clock.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        beside.map(|beside| (beside, busy))
    })?;
    Ok(Row {
        undisturbed: undisturbed.micros_at(0.5),
        p50: beside.micros_at(0.5),
        p99: beside.micros_at(0.99),
        busy,
        mebibytes: most >> 20,
    })
}

/// Times of round trips; the first of them are not counted. Calls `now_and_then` between them.
fn timed(honest: &mut Honest, trips: Range<u64>, mut now_and_then: impl FnMut()) -> io::Result<Samples> {
    let first = trips.start + WARM_UP;
    let mut times = Vec::new();
    for trip in trips {
        let begun = Instant::now();
        honest.round_trip(trip)?;
        if trip >= first {
            times.push(begun.elapsed());
        }
        if trip % 100 == 0 {
            now_and_then();
        }
    }
    Ok(Samples::new(times))
}

fn heartbeats(flooder: &mut Flooder, stop: &AtomicBool) {
    let pings = bytes_of((0..5000).map(Control::Ping));
    flooder.pour(stop, |_| pings.clone());
}

fn questions(flooder: &mut Flooder, stop: &AtomicBool) {
    let questions = bytes_of((0..1000).map(|n| ToManager::Request(Question::Status.numbered(n))));
    flooder.pour(stop, |_| questions.clone());
}

fn collects(flooder: &mut Flooder, stop: &AtomicBool) {
    let tickets: Vec<Ticket> = (0..40_000)
        .map(|sequence| TaskId { session: SessionId([99; 16]), sequence })
        .map(|id| Ticket { id, token: TicketToken([0; 16]) })
        .collect();
    let collects: Vec<Vec<u8>> =
        tickets.chunks(10_000).map(|part| bytes_of([ToManager::Collect(part.to_vec())])).collect();
    flooder.pour(stop, |number| collects[number as usize % collects.len()].clone());
}

fn hash(number: u64) -> BlobHash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    BlobHash(hash)
}

fn parked(flooder: &mut Flooder, stop: &AtomicBool) {
    let session = flooder.session;
    flooder.pour(stop, |number| {
        let tasks = (number * 100..(number + 1) * 100).map(|sequence| {
            ToManager::Submit(task(session, sequence, (0..16).map(|n| hash(sequence * 16 + n)), 1000))
        });
        bytes_of(tasks)
    });
}

/// Row 6 of the issue that asked for this: each blob is waited for by a few, and one by all.
fn completed(flooder: &mut Flooder, stop: &AtomicBool) {
    let session = flooder.session;
    let blobs: Vec<Blob> = (0..3000_u64)
        .map(|number| {
            let payload = Payload::from([&session.0[..], &number.to_be_bytes()].concat());
            Blob { hash: BlobHash::of(payload.parts()), payload }
        })
        .collect();
    let tasks = (0..40_000).map(|sequence| {
        let names = [blobs[sequence as usize % blobs.len()].hash, hash(u64::MAX)];
        ToManager::Submit(task(session, sequence, names, 10))
    });
    let mut pieces: Vec<Vec<u8>> =
        tasks.collect::<Vec<_>>().chunks(500).map(|part| bytes_of(part.to_vec())).collect();
    pieces.extend(blobs.iter().map(|blob| bytes_of([ToManager::Blob(blob.clone())])));
    let count = pieces.len();
    flooder.pour_some(stop, count as u64, |number| pieces[number as usize].clone());
}

fn unfinished(flooder: &mut Flooder, stop: &AtomicBool) {
    flooder.pour(stop, |number| {
        let stream = (number as u32 + 1).to_be_bytes();
        let length = (1_u64 << 20).to_be_bytes();
        let mut out = argon_proto::frame::Outbox::default();
        out.push_frame(kind::BLOB, &[&hash(number).0[..], &stream, &length].concat());
        for part in [limit::INLINE_BYTES; 3].into_iter().chain([limit::INLINE_BYTES - 1]) {
            out.push_frame(kind::CHUNK, &[&stream[..], &vec![1; part]].concat());
        }
        out.into_bytes()
    });
}

fn blobs(flooder: &mut Flooder, stop: &AtomicBool) {
    let session = flooder.session.0[0];
    // More than the manager keeps, so that each is new when it comes again.
    let blobs: Vec<Vec<u8>> = (0..100_u64)
        .map(|number| {
            let mut bytes = vec![session; 200_000];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            let payload = Payload::from(bytes);
            bytes_of([ToManager::Blob(Blob { hash: BlobHash::of(payload.parts()), payload })])
        })
        .collect();
    flooder.pour(stop, |number| blobs[number as usize % blobs.len()].clone());
}

fn tiny(flooder: &mut Flooder, stop: &AtomicBool) {
    let session = flooder.session;
    let ids: Vec<TaskId> =
        (0..2500).map(|sequence| TaskId { session: SessionId([98; 16]), sequence }).collect();
    let acks = bytes_of([ToManager::Ack(ids)]);
    flooder.pour(stop, |sequence| {
        // Each waits for a blob, so that none is run.
        let tiny = bytes_of([ToManager::Submit(task(session, sequence, [hash(sequence)], 10))]);
        [tiny, acks.clone()].concat()
    });
}

fn big(flooder: &mut Flooder, stop: &AtomicBool) {
    let session = flooder.session;
    flooder.pour(stop, |sequence| {
        bytes_of([ToManager::Submit(task(session, sequence, [hash(sequence)], 240_000))])
    });
}
