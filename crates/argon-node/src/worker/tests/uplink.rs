//! The TCP link against a manager of a few lines.

use argon_net::Trust;
use argon_proto::conversation::worker::{FromWorker, Registered, ToWorker};
use argon_proto::conversation::{Blob, Control, Goodbye, Incoming};
use argon_proto::frame::{Decoder, Frames, Outbox};
use argon_proto::handshake::{self, Listener, PLAIN_CHANNEL, Welcome};
use argon_proto::key::Key;
use argon_proto::{Message, OutcomeHead, kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::worker::{LinkEnd, keep_link};

fn end(events: mpsc::UnboundedSender<LinkEvent>, outbox: mpsc::UnboundedReceiver<FromWorker>) -> LinkEnd {
    LinkEnd { events, outbox, current: watch::channel(None).0 }
}

/// One connection of the manager.
struct Peer {
    stream: TcpStream,
    decoder: Decoder<Incoming<FromWorker>>,
    is_registered: bool,
}

impl Peer {
    /// Accepts and proves the key; `None` if the proof was refused.
    async fn accept(listener: &TcpListener, key: &Key) -> Option<Self> {
        let (mut stream, _) = within("a connection", listener.accept()).await.expect("accepted");
        let mut frames = Frames::default();
        let mut magic = [0; 4];
        stream.read_exact(&mut magic).await.expect("the opening");
        assert_eq!(magic, handshake::MAGIC);
        let hello = frame(&mut stream, &mut frames, kind::HELLO).await;
        let (state, challenge) =
            Listener::challenge(std::slice::from_ref(key), &hello, [9; 32], &PLAIN_CHANNEL)
                .expect("a good hello");
        write_frame(&mut stream, kind::CHALLENGE, &challenge).await;
        let proof = frame(&mut stream, &mut frames, kind::PROOF).await;
        match state.welcome(&proof, &Welcome::default()) {
            Ok((_, welcome)) => write_frame(&mut stream, kind::WELCOME, &welcome).await,
            Err(refusal) => {
                write_frame(&mut stream, kind::REFUSED, &refusal.to_json()).await;
                return None;
            }
        }
        Some(Self { stream, decoder: frames.into(), is_registered: false })
    }

    /// Accepts, and registers the worker.
    async fn register(listener: &TcpListener, key: &Key) -> Self {
        let mut peer = Self::accept(listener, key).await.expect("the right key");
        assert!(matches!(peer.message().await, Some(FromWorker::Register(_))));
        peer.is_registered = true;
        peer.say(ToWorker::Registered(Registered::default())).await;
        peer
    }

    /// The next frame; that a registered worker has found more runtimes is none.
    async fn incoming(&mut self) -> Option<Incoming<FromWorker>> {
        loop {
            match self.decoder.next().expect("a message") {
                Some(Incoming::Message(FromWorker::Register(_))) if self.is_registered => continue,
                Some(incoming) => return Some(incoming),
                None => {}
            }
            let read = within("a message", self.stream.read_buf(self.decoder.buffer())).await;
            if read.expect("read") == 0 {
                return None;
            }
        }
    }

    async fn message(&mut self) -> Option<FromWorker> {
        match self.incoming().await? {
            Incoming::Message(message) => Some(message),
            Incoming::Control(control) => panic!("a message was due, not {control:?}"),
        }
    }

    async fn say(&mut self, message: impl Message) {
        let mut outbox = Outbox::default();
        outbox.push(&message);
        write(&mut self.stream, outbox).await;
    }
}

async fn frame(stream: &mut TcpStream, frames: &mut Frames, due: u8) -> Bytes {
    loop {
        if let Some((kind, body)) = frames.next_frame(512).expect("a frame") {
            assert_eq!(kind, due);
            return body;
        }
        within("a frame", stream.read_buf(frames.buffer())).await.expect("read");
    }
}

async fn write_frame(stream: &mut TcpStream, kind: u8, body: &[u8]) {
    let mut outbox = Outbox::default();
    outbox.push_frame(kind, body);
    write(stream, outbox).await;
}

async fn write(stream: &mut TcpStream, outbox: Outbox) {
    stream.write_all(&outbox.into_bytes()).await.expect("written");
}

fn introduction() -> Introduction {
    let config = config();
    let register = crate::worker::uplink::register::register(&config, &[]);
    Introduction { held: Vec::new(), register }
}

/// A link that is kept, and the worker's end of it.
struct Kept {
    listener: TcpListener,
    events: mpsc::UnboundedReceiver<LinkEvent>,
    outbox: mpsc::UnboundedSender<FromWorker>,
    _stop: watch::Sender<StopLevel>,
    handle: JoinHandle<()>,
}

async fn kept(key: Key) -> Kept {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    // The first address leads nowhere: its listener is closed at once.
    let nowhere = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let addresses = vec![nowhere.to_string(), listener.local_addr().expect("bound").to_string()];
    let (to_worker, events) = mpsc::unbounded_channel();
    let (outbox, from_worker) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(StopLevel::Run);
    let id = config().id();
    let handle = tokio::task::spawn_local(keep_link(
        addresses,
        (key, Trust::default()),
        id,
        end(to_worker, from_worker),
        stopped,
        |_| {},
    ));
    Kept { listener, events, outbox, _stop: stop, handle }
}

impl Kept {
    /// The manager's end, when the worker is registered there.
    async fn registered(&mut self) -> Peer {
        let key = key();
        let Self { listener, events, .. } = self;
        let (peer, ()) = tokio::join!(Peer::register(listener, &key), async {
            loop {
                match within("REGISTERED", events.recv()).await.expect("the link runs") {
                    LinkEvent::WantRegister(reply) => {
                        reply.send(introduction()).expect("wanted");
                    }
                    LinkEvent::Message(ToWorker::Registered(_)) => return,
                    _ => {}
                }
            }
        });
        peer
    }

    async fn event(&mut self) -> LinkEvent {
        loop {
            match within("an event", self.events.recv()).await.expect("the link runs") {
                LinkEvent::Heard => {}
                LinkEvent::WantRegister(reply) => reply.send(introduction()).expect("wanted"),
                other => return other,
            }
        }
    }
}

fn key() -> Key {
    Key::cluster([3; 32])
}

#[test]
fn a_link_registers_pumps_both_ways_and_comes_back() {
    on_one_thread(async {
        let mut link = kept(key()).await;
        for round in 0..3 {
            let mut peer = link.registered().await;
            peer.say(Control::Ping(round)).await;
            assert_eq!(peer.incoming().await, Some(Incoming::Control(Control::Pong(round))));
            peer.say(ToWorker::Recall(7)).await;
            assert!(matches!(link.event().await, LinkEvent::Message(ToWorker::Recall(7))));
            for _ in 0..3000 {
                link.outbox.send(FromWorker::Returned(vec![attempt(round)])).expect("runs");
            }
            for _ in 0..3000 {
                assert_eq!(peer.message().await, Some(FromWorker::Returned(vec![attempt(round)])));
            }
            drop(peer);
            assert!(matches!(link.event().await, LinkEvent::Lost));
        }
    });
}

#[test]
fn the_last_words_of_a_worker_are_written() {
    on_one_thread(async {
        let mut link = kept(key()).await;
        let mut peer = link.registered().await;
        let big = Payload::from(vec![5; 3 << 20]);
        let AttemptId { task: id, attempt } = attempt(1);
        let head =
            OutcomeHead { id, attempt, status: Status::Ok, codec: Codec::Own, run_us: 1, leaves: false };
        let outcome = Outcome { head, report: Bytes::new(), payload: big };
        link.outbox.send(FromWorker::Outcome(outcome)).expect("runs");
        link.outbox.send(FromWorker::Goodbye(Goodbye::because("it ends"))).expect("runs");
        drop(link.outbox);
        let said = [peer.message().await, peer.message().await];
        assert!(said.contains(&Some(FromWorker::Goodbye(Goodbye::because("it ends")))));
        assert!(said.iter().any(|message| matches!(message, Some(FromWorker::Outcome(_)))));
        assert_eq!(peer.message().await, None);
        within("the end", link.handle).await.expect("no panic");
    });
}

#[test]
fn a_refused_worker_keeps_trying_and_gets_in_when_the_key_is_right() {
    on_one_thread(async {
        let mut link = kept(key()).await;
        assert!(Peer::accept(&link.listener, &Key::cluster([4; 32])).await.is_none());
        link.registered().await;
    });
}

#[test]
fn a_real_worker_runs_a_task_over_tcp() {
    on_one_thread(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (to_worker, events) = mpsc::unbounded_channel();
        let (outbox, from_worker) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(StopLevel::Run);
        let config = config();
        tokio::task::spawn_local(keep_link(
            vec![address],
            (key(), Trust::default()),
            config.id(),
            end(to_worker, from_worker),
            stopped.clone(),
            |_| {},
        ));
        let worker =
            tokio::task::spawn_local(crate::worker::run(config, ManagerChannel { events, outbox }, stopped));
        let mut peer = Peer::register(&listener, &key()).await;
        let (hash, payload) = shipment("'hello'");
        peer.say(ToWorker::Blob(Blob { hash, payload })).await;
        peer.say(run_of(task(1, "'hello'"))).await;
        let Some(FromWorker::Outcome(outcome)) = peer.message().await else {
            panic!("an outcome was due");
        };
        assert_eq!(value(&outcome), "hello");
        peer.say(ToWorker::Settled(vec![attempt(1)])).await;
        stop.send(StopLevel::Drain).expect("runs");
        assert!(matches!(peer.message().await, Some(FromWorker::Draining(_))));
        assert!(matches!(peer.message().await, Some(FromWorker::Goodbye(_))));
        assert_eq!(peer.message().await, None);
        within("the end", worker).await.expect("no panic").expect("a good end");
    });
}
