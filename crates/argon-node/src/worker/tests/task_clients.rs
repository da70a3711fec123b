//! Clients inside of tasks, against a manager of a few lines.

use argon_proto::conversation::child::ChildOpen;
use argon_proto::conversation::worker::Lent;
use argon_proto::frame::Frames;
use argon_proto::handshake::{self, Listener, PLAIN_CHANNEL, Welcome};
use argon_proto::key::Key;
use argon_proto::kind;
use bytes::{BufMut, BytesMut};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;
use crate::worker::config::ManagerAccess;

const PROOF: &str = "print $ENV{ARGON_WORKER_SOCKET}, q{ }, $ENV{ARGON_TASK_TOKEN};";
const SESSION: &str = "07070707070707070707070707070709";

/// A stream of frames.
struct Peer<S> {
    stream: S,
    frames: Frames,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    fn new(stream: S) -> Self {
        Self { stream, frames: Frames::default() }
    }

    async fn send(&mut self, kind: u8, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_u32(body.len() as u32 + 1);
        frame.put_u8(kind);
        frame.put_slice(body);
        self.stream.write_all(&frame).await.expect("written");
    }

    /// The next frame that is not a sign of life; none at the end.
    async fn next(&mut self) -> Option<(u8, Bytes)> {
        loop {
            match self.frames.next_frame(1 << 20).expect("a frame") {
                Some((kind::PING, _)) => {}
                Some(frame) => return Some(frame),
                None => {
                    let read = within("a frame", self.stream.read_buf(self.frames.buffer())).await;
                    if read.expect("read") == 0 {
                        return None;
                    }
                }
            }
        }
    }

    async fn body(&mut self, wanted: u8) -> Bytes {
        let (kind, body) = self.next().await.expect("a frame");
        assert_eq!(kind::name(kind), kind::name(wanted), "{}", String::from_utf8_lossy(&body));
        body
    }

    async fn is_closed(&mut self) -> bool {
        self.next().await.is_none()
    }
}

impl Worker {
    async fn lent(&mut self) -> Lent {
        self.hear("LENT", |message| match message {
            FromWorker::Lent(lent) => Some(*lent),
            _ => None,
        })
        .await
    }
}

/// Accepts the worker as a manager does.
async fn accept(listener: &TcpListener, key: &Key) -> Peer<TcpStream> {
    let (stream, _) = within("a connection", listener.accept()).await.expect("accepted");
    let mut peer = Peer::new(stream);
    let mut magic = [0; 4];
    peer.stream.read_exact(&mut magic).await.expect("the opening");
    assert_eq!(magic, handshake::MAGIC);
    let hello = peer.body(kind::HELLO).await;
    let listening = Listener::challenge(std::slice::from_ref(key), &hello, [9; 32], &PLAIN_CHANNEL);
    let (listening, challenge) = listening.expect("a good hello");
    peer.send(kind::CHALLENGE, &challenge).await;
    let proof = peer.body(kind::PROOF).await;
    let welcome = Welcome { credit_tasks: 11, credit_bytes: 22, ..Welcome::default() };
    let (proven, welcome) = listening.welcome(&proof, &welcome).expect("the right key");
    assert_eq!(proven.role.name(), "worker");
    peer.send(kind::WELCOME, &welcome).await;
    peer
}

/// A worker whose tasks have clients, its manager's listener and key.
async fn worker() -> (Worker, TcpListener, Key, watch::Sender<Option<String>>) {
    worker_that(|_| ()).await
}

async fn worker_that(
    change: impl FnOnce(&mut WorkerConfig),
) -> (Worker, TcpListener, Key, watch::Sender<Option<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let key = Key::cluster([5; 32]);
    let address = listener.local_addr().expect("bound").to_string();
    let (current, address) = watch::channel(Some(address));
    let manager = Some(ManagerAccess {
        key: std::rc::Rc::new(key.clone().into()),
        trust: argon_net::Trust::default(),
        address,
    });
    let mut config = WorkerConfig { manager, ..config() };
    change(&mut config);
    (Worker::start(config).await, listener, key, current)
}

/// Starts a task that runs this body when it has printed its socket and token: returns them.
async fn start(worker: &mut Worker, body: &str) -> (AttemptId, String, String) {
    let attempt = worker.run(&format!("$| = 1; {PROOF} {body}"));
    let printed = worker.output_of(attempt).await;
    let (socket, token) = printed.split_once(' ').expect("a socket and a token");
    (attempt, socket.to_owned(), token.to_owned())
}

async fn connect(socket: &str, token: &str, attempt: AttemptId) -> Peer<UnixStream> {
    let mut client = Peer::new(UnixStream::connect(socket).await.expect("connected"));
    let child = json!({"token": token, "task": attempt.task.to_string(), "attempt": attempt.attempt.0});
    client.send(kind::CHILD, child.to_string().as_bytes()).await;
    client
}

async fn refusal(mut client: Peer<UnixStream>) -> (String, String) {
    let refused: serde_json::Value = serde_json::from_slice(&client.body(kind::REFUSED).await).expect("JSON");
    assert!(client.is_closed().await);
    let text = |name: &str| refused[name].as_str().expect("text").to_owned();
    (text("code"), text("message"))
}

#[test]
fn a_client_inside_of_a_task_talks_to_the_manager_until_the_attempt_ends() {
    on_one_thread(async {
        let (mut worker, listener, key, _current) = worker().await;
        let (attempt, socket, token) = start(&mut worker, "sleep 1000").await;
        let mut client = connect(&socket, &token, attempt).await;
        let mut manager = accept(&listener, &key).await;
        let credit = client.body(kind::CREDIT).await;
        assert_eq!(credit, [11_u64.to_be_bytes(), 22_u64.to_be_bytes()].concat());
        let open = json!({"session": SESSION, "secret": "5e".repeat(32), "client": "inner", "pid": 3});
        client.send(kind::OPEN, open.to_string().as_bytes()).await;
        let opened: ChildOpen = serde_json::from_slice(&manager.body(kind::CHILD_OPEN).await).expect("JSON");
        assert_eq!((opened.worker, opened.task), (worker.config_id, attempt.task));
        assert_eq!((opened.attempt, opened.client.as_str()), (attempt.attempt, "inner"));
        assert_eq!(opened.session.to_string(), SESSION);
        client.send(kind::WAITS, &[1]).await;
        client.send(kind::ACK, b"up").await;
        assert_eq!(manager.body(kind::ACK).await, b"up"[..]);
        manager.send(kind::CREDIT, b"down").await;
        assert_eq!(client.body(kind::CREDIT).await, b"down"[..]);
        worker.say(ToWorker::Stop(vec![attempt]));
        assert!(client.is_closed().await && manager.is_closed().await);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn an_attempt_that_waits_lends_its_slot_until_it_goes_on_or_its_client_is_gone() {
    on_one_thread(async {
        let (mut worker, listener, key, _current) = worker().await;
        let (attempt, socket, token) = start(&mut worker, "sleep 1000").await;
        for ends_with_the_connection in [false, true] {
            let mut client = connect(&socket, &token, attempt).await;
            let mut manager = accept(&listener, &key).await;
            client.body(kind::CREDIT).await;
            client
                .send(
                    kind::OPEN,
                    json!({"session": SESSION, "secret": "5e".repeat(32)}).to_string().as_bytes(),
                )
                .await;
            manager.body(kind::CHILD_OPEN).await;
            client.send(kind::WAITS, &[1]).await;
            assert_eq!(worker.lent().await, Lent { attempt, waits: true });
            // The only slot is free for another task.
            assert_eq!(worker.value_of("'meanwhile'").await, "meanwhile");
            if !ends_with_the_connection {
                client.send(kind::WAITS, &[0]).await;
                assert_eq!(worker.lent().await, Lent { attempt, waits: false });
            }
            drop(client);
            assert!(manager.is_closed().await);
            if ends_with_the_connection {
                assert_eq!(worker.lent().await, Lent { attempt, waits: false });
            }
        }
        worker.say(ToWorker::Stop(vec![attempt]));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn an_attempt_waits_while_one_of_its_connections_does() {
    on_one_thread(async {
        let (mut worker, listener, key, _current) = worker().await;
        let (attempt, socket, token) = start(&mut worker, "sleep 1000").await;
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = connect(&socket, &token, attempt).await;
            let mut manager = accept(&listener, &key).await;
            client.body(kind::CREDIT).await;
            client
                .send(
                    kind::OPEN,
                    json!({"session": SESSION, "secret": "5e".repeat(32)}).to_string().as_bytes(),
                )
                .await;
            manager.body(kind::CHILD_OPEN).await;
            client.send(kind::WAITS, &[1]).await;
            clients.push((client, manager));
        }
        assert!(worker.lent().await.waits);
        clients[0].0.send(kind::WAITS, &[0]).await;
        assert_eq!(worker.value_of("'meanwhile'").await, "meanwhile");
        clients[1].0.send(kind::WAITS, &[0]).await;
        assert!(!worker.lent().await.waits);
        worker.say(ToWorker::Stop(vec![attempt]));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn one_attempt_more_than_may_wait_ends_with_a_sentence_that_names_the_option() {
    on_one_thread(async {
        let (mut worker, listener, key, _current) = worker_that(|config| config.waiting_max = 0).await;
        let (attempt, socket, token) = start(&mut worker, "sleep 1000").await;
        let mut client = connect(&socket, &token, attempt).await;
        let mut manager = accept(&listener, &key).await;
        client.body(kind::CREDIT).await;
        client
            .send(kind::OPEN, json!({"session": SESSION, "secret": "5e".repeat(32)}).to_string().as_bytes())
            .await;
        manager.body(kind::CHILD_OPEN).await;
        client.send(kind::WAITS, &[1]).await;
        let outcome = worker.outcome(attempt).await;
        assert_eq!(outcome.head.status, Status::Died);
        assert!(report(&outcome).message.contains("--waiting-max"), "{outcome:?}");
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_client_is_refused_in_words() {
    on_one_thread(async {
        let (mut worker, _listener, _key, current) = worker().await;
        let (attempt, socket, token) = start(&mut worker, "sleep 1000").await;
        let (code, message) = refusal(connect(&socket, &"0".repeat(32), attempt).await).await;
        assert_eq!(code, "key", "{message}");
        let other = AttemptId { attempt: Attempt(2), ..attempt };
        let (code, message) = refusal(connect(&socket, &token, other).await).await;
        assert_eq!(code, "session", "{message}");
        assert!(message.contains("does not run in this process"), "{message}");
        current.send_replace(None);
        let (code, message) = refusal(connect(&socket, &token, attempt).await).await;
        assert_eq!(code, "busy", "{message}");
        assert!(message.contains("has no manager now"), "{message}");
        let mut client = Peer::new(UnixStream::connect(&socket).await.expect("connected"));
        client.send(kind::OPEN, b"{}").await;
        let (code, message) = refusal(client).await;
        assert_eq!((code.as_str(), message.as_str()), ("frame", "CHILD was due, not OPEN"));
        worker.say(ToWorker::Stop(vec![attempt]));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn connections_of_an_attempt_are_bounded_and_end_with_it() {
    on_one_thread(async {
        let (mut worker, listener, key, _current) = worker().await;
        let (attempt, socket, token) = start(&mut worker, "sleep 1000").await;
        let mut clients = Vec::new();
        for _ in 0..64 {
            let mut client = connect(&socket, &token, attempt).await;
            let manager = accept(&listener, &key).await;
            client.body(kind::CREDIT).await;
            clients.push((client, manager));
        }
        let (code, message) = refusal(connect(&socket, &token, attempt).await).await;
        assert_eq!(code, "busy");
        assert!(message.contains("64 connections"), "{message}");
        drop(clients.pop());
        // The end of the one that was closed is on its way.
        loop {
            let mut client = connect(&socket, &token, attempt).await;
            tokio::select! {
                manager = accept(&listener, &key) => {
                    client.body(kind::CREDIT).await;
                    clients.push((client, manager));
                    break;
                }
                refused = client.next() => assert!(matches!(refused, Some((kind::REFUSED, _)))),
            }
        }
        worker.say(ToWorker::Stop(vec![attempt]));
        for (mut client, _) in clients {
            assert!(client.is_closed().await);
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn the_socket_is_for_this_user_alone_and_gone_with_the_worker() {
    use std::os::unix::fs::MetadataExt;
    on_one_thread(async {
        let (mut worker, _listener, _key, _current) = worker().await;
        let (attempt, socket, _token) = start(&mut worker, "sleep 1000").await;
        let folder = std::path::Path::new(&socket).parent().expect("a folder").to_owned();
        assert_eq!(std::fs::metadata(&folder).expect("a folder").mode() & 0o777, 0o700);
        worker.say(ToWorker::Stop(vec![attempt]));
        worker.end(StopLevel::Drain).await;
        assert!(!folder.exists());
    });
}
