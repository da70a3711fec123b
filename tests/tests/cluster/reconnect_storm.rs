//! A restarted manager and everybody who was connected to it, coming back at the same time.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::conversation::worker::{FromWorker, Register, ToWorker};
use argon_proto::handshake::Refusal;
use argon_proto::key::{Key, Role};
use argon_proto::{Secret, WorkerId};
use argon_tests::{Cluster, WireClient, WirePeer};

use crate::support::{counts, many_tasks, sum};

const PEERS: u64 = 500;
/// As clients and workers do: at once, then pauses that double and are jittered.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A peer that says who it is and comes back whenever its connection ends.
fn stay(address: String, key: Key, number: u64, role: Role, is_over: Arc<AtomicBool>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut pause = Duration::ZERO;
        let mut jitter = number;
        while !is_over.load(Ordering::Acquire) {
            if let Ok(stream) = TcpStream::connect(&address)
                && stay_once(stream, &key, number, role).is_ok()
            {
                pause = Duration::ZERO;
                continue;
            }
            jitter = jitter.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            pause = (pause * 2).clamp(PAUSE, PAUSE_MAX);
            thread::park_timeout(pause.mul_f64(0.5 + (jitter >> 40) as f64 / (1 << 25) as f64));
        }
    })
}

/// Introduces itself, and reads until the connection ends.
fn stay_once(stream: TcpStream, key: &Key, number: u64, role: Role) -> Result<(), Refusal> {
    if role == Role::Worker {
        let mut peer = WirePeer::<ToWorker>::over(stream, key, role)?;
        peer.say(FromWorker::Register(Box::new(register(number))));
        while peer.hear().is_some() {}
    } else {
        let mut peer = WireClient::over(stream, key, role)?;
        peer.say(ToManager::Open(Open { client: "storm".into(), ..Open::of(secret(number)) }));
        while peer.hear().is_some() {}
    }
    Ok(())
}

fn secret(number: u64) -> Secret {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Secret::new(bytes)
}

/// A worker of one slot, which runs nothing.
fn register(number: u64) -> Register {
    Register {
        host: "".into(),
        name: format!("w{number}").into(),
        pid: 0,
        previous: None,
        release: "".into(),
        run_as: None,
        paused: None,
        sandbox: None,
        runtimes: [].into(),
        slots: 1,
        worker: WorkerId::of(&secret(number)),
        secret: secret(number),
    }
}

#[test]
fn five_hundred_workers_and_five_hundred_clients_are_back_after_a_restart() {
    let mut cluster = Cluster::start();
    let key: Key = std::fs::read_to_string(cluster.key()).unwrap().parse().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let peers: Vec<JoinHandle<()>> = (0..PEERS)
        .flat_map(|number| [(2 * number + 1, Role::Worker), (2 * number + 2, Role::Client)])
        .map(|(number, role)| {
            stay(cluster.address().to_owned(), key.clone(), number, role, Arc::clone(&is_over))
        })
        .collect();
    let all_there = |status: &serde_json::Value| {
        status["workers"] == PEERS && status["clients"].as_u64().is_some_and(|clients| clients >= PEERS)
    };
    cluster.wait_for_status("everybody to have come", all_there);
    for _ in 0..2 {
        cluster.kill_manager();
        cluster.start_manager();
        cluster.wait_for_status("everybody to be back", all_there);
    }
    is_over.store(true, Ordering::Release);
    cluster.kill_manager();
    peers.into_iter().for_each(|peer| peer.join().unwrap());
}

#[test]
fn real_workers_and_clients_in_number_come_back_and_lose_nothing() {
    let mut cluster = Cluster::with_workers(&[1; 6]);
    let clients: Vec<_> = (0..6).map(|_| cluster.start_perl(&many_tasks(40, "0.05"))).collect();
    cluster.wait_for_status("the clients to be busy", |status| status["totals"]["ok"].as_u64() > Some(40));
    cluster.kill_manager();
    cluster.start_manager();
    for client in clients {
        assert_eq!(client.finish(Duration::from_secs(30)).stdout, sum(40));
    }
    let runs = counts(&cluster, "ran");
    assert!(runs.len() == 40 && runs.values().all(|count| *count == 6), "{runs:?}");
}
