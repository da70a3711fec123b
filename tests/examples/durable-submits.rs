//! Measures how many detached tasks a second a manager with the disk store accepts from several clients.
//!
//! `cargo run --release -p argon-tests --example durable-submits [CLIENTS] [TASKS-EACH]`, after
//! `cargo build --release -p argon-node`. A task counts when its ACCEPTED has come: it is on the disk then.

use std::time::Instant;

use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::key::Role;
use argon_proto::{Codec, Flags, Payload, Runtime, Secret, SessionId, Task, TaskHead, TaskId};
use argon_tests::{Cluster, WireClient};
use bytes::Bytes;

const PAYLOAD_BYTES: usize = 100;
/// Tasks that one client has under way.
const AHEAD: u64 = 2000;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse().expect("a number"));
    let clients: u8 =
        numbers.next().map_or(4, |number: u64| u8::try_from(number).expect("at most 255 clients"));
    let each: u64 = numbers.next().unwrap_or(20_000);
    let folder = std::env::current_dir().expect("a current folder");
    let store = folder.join(format!("durable-submits-{}.redb", std::process::id()));
    let path = store.display().to_string();
    let mut cluster = Cluster::start_with(&["--store", &path, "--queue-size", "10000000"]);
    let (address, key) = (cluster.address().to_owned(), cluster.key());

    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 1..=clients {
            let (address, key) = (&address, &key);
            scope.spawn(move || submit_all(WireClient::connect(address, key, Role::Client), number, each));
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    let all = u64::from(clients) * each;
    println!(
        "{clients} clients, {all} detached tasks of {PAYLOAD_BYTES} bytes: {seconds:.2} s, {:.0} a second",
        {
            #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
            let all = all as f64;
            all / seconds
        }
    );
    assert_eq!(cluster.status()["tasks_queued"], all);
    drop(cluster);
    let _ = std::fs::remove_file(store);
}

fn submit_all(client: Result<WireClient, argon_proto::handshake::Refusal>, number: u8, count: u64) {
    let mut client = client.expect("the key is right");
    let open = Open::of(Secret::new([number; 32]));
    let session = open.session;
    client.say(ToManager::Open(open));
    client.say(ToManager::Offered);
    let (mut sent, mut accepted) = (0, 0);
    while accepted < count {
        let until = count.min(accepted + AHEAD);
        client.say_all((sent..until).map(|sequence| ToManager::Submit(task(session, sequence))));
        sent = until;
        while sent - accepted > AHEAD / 2 || (sent == count && accepted < count) {
            let message = client.hear().expect("the manager stays");
            if let ToClient::Accepted(tickets) = message {
                accepted += tickets.len() as u64;
            }
        }
    }
}

fn task(session: SessionId, sequence: u64) -> Task {
    let head = TaskHead {
        flags: Flags::DETACHED,
        codec: Codec::Json,
        ..TaskHead::new(TaskId { session, sequence }, Runtime::Perl)
    };
    Task::new(
        head,
        [],
        Bytes::from_static(br#"{"call":"My::Task::run"}"#),
        Payload::from(vec![b'x'; PAYLOAD_BYTES]),
    )
}
