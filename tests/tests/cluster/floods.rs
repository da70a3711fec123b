//! Holders of a key that send without end, or take nothing: the manager's memory stays within its bound, and other clients
//! are served.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use argon_proto::conversation::admin::Question;
use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::conversation::{Blob, Control};
use argon_proto::frame::Outbox;
use argon_proto::key::{Key, Role};
use argon_proto::{
    BlobHash, Flags, Message, Payload, Runtime, Secret, SessionId, Task, TaskHead, TaskId, Ticket,
    TicketToken, kind, limit,
};
use argon_tests::{Cluster, WireClient};
use bytes::Bytes;

use crate::support::peak_memory_mib;

/// Bound of the manager.
const MEMORY: &str = "128M";
/// Limit with what the program needs besides: itself, reads and writes under way, and memory that its allocator keeps.
const RESIDENT_MIB: u64 = 128 + 96;
/// Bytes that each connection of a flood sends at most.
const SENT_MAX: usize = 48 << 20;
/// A connection that takes nothing for this time is full.
const FULL_AFTER: Duration = Duration::from_millis(300);

/// A connection with a key that sends what it likes and reads nothing.
struct Flooder {
    stream: TcpStream,
    session: SessionId,
}

impl Flooder {
    fn connect(cluster: &Cluster, number: u8) -> Self {
        let key: Key = std::fs::read_to_string(cluster.key()).unwrap().parse().unwrap();
        let stream = TcpStream::connect(cluster.address()).unwrap();
        let mut peer = WireClient::over(stream.try_clone().unwrap(), &key, Role::Client).unwrap();
        let open = Open::of(Secret::new([number; 32]));
        let session = open.session;
        peer.say(ToManager::Open(open));
        peer.say(ToManager::Offered);
        stream.set_write_timeout(Some(FULL_AFTER)).unwrap();
        Self { stream, session }
    }

    /// Writes pieces until one is not taken, the connection ends, or enough was sent.
    fn pour(&mut self, mut piece: impl FnMut(u64) -> Vec<u8>) {
        let mut sent = 0;
        for number in 0.. {
            let bytes = piece(number);
            sent += bytes.len();
            match self.stream.write_all(&bytes) {
                Ok(()) if sent < SENT_MAX => {}
                Ok(()) => return,
                Err(error) => {
                    let is_full = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    let is_refused =
                        matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
                    assert!(is_full || is_refused, "{error}");
                    return;
                }
            }
        }
    }
}

/// A task that ends as soon as it starts, because it names no executable.
fn task(
    session: SessionId,
    sequence: u64,
    blobs: impl IntoIterator<Item = BlobHash>,
    payload: usize,
) -> Task {
    let head = TaskHead::new(TaskId { session, sequence }, Runtime::Native);
    Task::new(head, blobs, Bytes::new(), Payload::from(vec![7; payload]))
}

fn bytes_of(messages: impl IntoIterator<Item = impl Message>) -> Vec<u8> {
    let mut out = Outbox::default();
    messages.into_iter().for_each(|message| out.push(&message));
    out.into_bytes()
}

fn hash(number: u64) -> BlobHash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    BlobHash(hash)
}

/// Lets some connections flood the manager while a client works, and looks at both.
fn flood(connections: u8, flood: impl Fn(&mut Flooder) + Sync) {
    let mut cluster = Cluster::start_with(&["--memory", MEMORY]);
    cluster.add_worker(&["--workers", "2"]);
    assert_eq!(cluster.perl("print $client->queue(sub { 'before' })"), "before");
    let manager = cluster.manager.as_ref().unwrap().pid();
    let mut flooders: Vec<Flooder> =
        (1..=connections).map(|number| Flooder::connect(&cluster, number)).collect();
    std::thread::scope(|scope| {
        let floods: Vec<_> = flooders.iter_mut().map(|flooder| scope.spawn(|| flood(flooder))).collect();
        while floods.iter().any(|flood| !flood.is_finished()) {
            let begun = Instant::now();
            assert_eq!(cluster.perl("print $client->queue(sub { 'beside' })"), "beside");
            assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
        }
    });
    // All of it is there now, and nothing was taken.
    assert_eq!(cluster.perl("print $client->queue(sub { 'behind' })"), "behind");
    let most = peak_memory_mib(manager);
    let status = cluster.status();
    assert!(most <= RESIDENT_MIB, "the manager used {most} MiB: {}", status["memory"]);
    drop(flooders);
    cluster.wait_for_status("the floods to be gone", |status| status["clients"] == 0);
}

#[test]
fn heartbeats_whose_answers_nobody_reads() {
    let pings = bytes_of((0..5000).map(Control::Ping));
    flood(4, |flooder| flooder.pour(|_| pings.clone()));
}

#[test]
fn questions_whose_answers_nobody_reads() {
    let questions = bytes_of((0..1000).map(|n| ToManager::Request(Question::Status.numbered(n))));
    flood(4, |flooder| flooder.pour(|_| questions.clone()));
}

#[test]
fn outcomes_that_are_asked_for_and_not_read() {
    flood(4, |flooder| {
        let tickets = |number: u64| {
            let sequences = number * 10_000..(number + 1) * 10_000;
            let ids = sequences.map(|sequence| TaskId { session: SessionId([99; 16]), sequence });
            ids.map(|id| Ticket { id, token: TicketToken([0; 16]) }).collect()
        };
        flooder.pour(|number| bytes_of([ToManager::Collect(tickets(number))]));
    });
}

#[test]
fn tasks_whose_blobs_never_come() {
    flood(16, |flooder| {
        for number in 0..20 {
            let tasks = (0..1000).map(|place| {
                let sequence = number * 1000 + place;
                ToManager::Submit(task(
                    flooder.session,
                    sequence,
                    (0..16).map(|n| hash(sequence * 16 + n)),
                    1000,
                ))
            });
            if flooder.stream.write_all(&bytes_of(tasks)).is_err() {
                return;
            }
        }
    });
}

#[test]
fn payloads_that_never_end() {
    flood(8, |flooder| {
        // A blob of 1 MiB, of which the last byte is missing.
        flooder.pour(|number| {
            let stream = (number as u32 + 1).to_be_bytes();
            let mut out = Outbox::default();
            out.push_frame(
                kind::BLOB,
                &[&hash(number).0[..], &stream, &(1_u64 << 20).to_be_bytes()].concat(),
            );
            for part in [limit::INLINE_BYTES; 3].into_iter().chain([limit::INLINE_BYTES - 1]) {
                out.push_frame(kind::CHUNK, &[&stream[..], &vec![1; part]].concat());
            }
            out.into_bytes()
        });
    });
}

#[test]
fn blobs_that_no_task_names() {
    flood(8, |flooder| {
        let session = flooder.session.0[0];
        flooder.pour(|number| {
            let mut bytes = vec![session; 200_000];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            let payload = Payload::from(bytes);
            bytes_of([ToManager::Blob(Blob { hash: BlobHash::of(payload.parts()), payload })])
        });
    });
}

#[test]
fn tiny_tasks_between_long_frames_that_are_not_kept() {
    flood(8, |flooder| {
        // What a read brings stays in memory as long as a part of it does.
        let ids: Vec<TaskId> =
            (0..2500).map(|sequence| TaskId { session: SessionId([98; 16]), sequence }).collect();
        let acks = bytes_of([ToManager::Ack(ids)]);
        let session = flooder.session;
        flooder.pour(|sequence| {
            let task = bytes_of([ToManager::Submit(task(session, sequence, [], 10))]);
            [task, acks.clone()].concat()
        });
    });
}

#[test]
fn big_tasks_of_many_sessions() {
    flood(16, |flooder| {
        let tasks: Vec<Task> = (0..60).map(|sequence| task(flooder.session, sequence, [], 240_000)).collect();
        let pieces: Vec<Vec<u8>> =
            tasks.iter().map(|task| bytes_of([ToManager::Submit(task.clone())])).collect();
        for piece in pieces {
            if flooder.stream.write_all(&piece).is_err() {
                return;
            }
        }
    });
}

#[test]
fn results_that_many_sessions_do_not_take() {
    flood(16, |flooder| {
        let tasks = (0..200).map(|sequence| {
            let id = TaskId { session: flooder.session, sequence };
            let mut head = TaskHead::new(id, Runtime::Exec);
            head.flags = Flags::CAPTURE;
            let meta = Bytes::from_static(br#"{"argv":["head","-c","1000000","/dev/zero"]}"#);
            ToManager::Submit(Task::new(head, [], meta, Payload::default()))
        });
        let bytes = bytes_of(tasks);
        let _ = flooder.stream.write_all(&bytes);
    });
}
