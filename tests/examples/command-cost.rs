//! Measures what a command costs on the pool, beside a bare loop that starts the same command with `posix_spawn` and waits.
//!
//! `cargo run --release -p argon-tests --example command-cost [SLOTS] [COMMANDS]`, after
//! `cargo build --release -p argon-node`. Both run as many at once as there are slots, and in turns, so that what else the
//! machine does weighs on both.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use argon_proto::conversation::Goodbye;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::key::Role;
use argon_proto::{Payload, Runtime, Secret, SessionId, Task, TaskHead, TaskId};
use argon_tests::{Cluster, WireClient};
use bytes::Bytes;

const ROUNDS: u8 = 5;
/// Tasks that are under way at once, for each slot.
const AHEAD: u64 = 64;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse().expect("a number"));
    let slots: u64 = numbers.next().unwrap_or(2);
    let count: u64 = numbers.next().unwrap_or(2000);
    let mut cluster = Cluster::start();
    cluster.add_worker(&["--workers", &slots.to_string()]);
    let few = count / 10;
    println!(
        "one at a time: bare {:.0} us each, on the pool {:.0} us each",
        micros(bare(1, few), few),
        micros(pool(&cluster, Open::of(Secret::new([0xff; 32])), 1, few), few)
    );
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let bare = bare(slots, count);
        let pool = pool(&cluster, Open::of(Secret::new([round; 32])), AHEAD * slots, count);
        let ratio = pool.as_secs_f64() / bare.as_secs_f64();
        println!(
            "{slots} slots, {count} times /bin/true: bare {:.0} us each, on the pool {:.0} us each, ratio {ratio:.2}",
            micros(bare, count),
            micros(pool, count),
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn micros(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

fn bare(slots: u64, count: u64) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..slots {
            scope.spawn(|| {
                for _ in 0..count / slots {
                    let mut command = Command::new("/bin/true");
                    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                    assert!(command.spawn().and_then(|mut child| child.wait()).is_ok());
                }
            });
        }
    });
    begun.elapsed()
}

fn pool(cluster: &Cluster, open: Open, ahead: u64, count: u64) -> Duration {
    let client = WireClient::connect(cluster.address(), &cluster.key(), Role::Client);
    let mut client = client.expect("the key is right");
    let session = open.session;
    client.say(ToManager::Open(open));
    client.say(ToManager::Offered);
    let begun = Instant::now();
    let (mut sent, mut ended) = (0, 0);
    while ended < count {
        let until = count.min(ended + ahead);
        client.say_all((sent..until).map(|sequence| ToManager::Submit(task(session, sequence))));
        sent = until;
        let some = if sent == count { count } else { ended + ahead.div_ceil(2) };
        let mut taken = Vec::new();
        while ended < some {
            if let ToClient::Outcome(outcome) = client.hear().expect("the manager stays") {
                assert_eq!(outcome.head.status, argon_proto::Status::Ok, "{outcome:?}");
                ended += 1;
                taken.push(outcome.head.id);
            }
        }
        client.say(ToManager::Ack(taken));
    }
    let time = begun.elapsed();
    client.say(ToManager::Goodbye(Goodbye::default()));
    time
}

fn task(session: SessionId, sequence: u64) -> Task {
    let head = TaskHead::new(TaskId { session, sequence }, Runtime::Exec);
    Task::new(head, [], Bytes::from_static(br#"{"argv":["/bin/true"]}"#), Payload::default())
}
