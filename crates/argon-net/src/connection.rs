//! A connection for an owner on the same thread: the manager's peers, a worker's manager, a command's question.
//!
//! The owner queues messages with [`Connection::send`] and writes them with [`Connection::flush`], at once and without
//! waking anybody. What the socket does not take is left to [`run`], which also reads, answers heartbeats and sends them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use argon_proto::conversation::{Control, Incoming};
use argon_proto::frame::{Decoder, Frames, Outbox};
use argon_proto::handshake::Refusal;
use argon_proto::limit::PING_AFTER;
use argon_proto::{BlobHash, DecodeError, Message, kind};
use tokio::sync::Notify;

use crate::carrier::{ConnectionEnd, Endpoint, NextTurn, Receiver, Silence, carry};
use crate::segments;
use crate::stream::{Stream, WriteHalf};

/// Bound on the time that a connection takes to send its last messages when it is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// The sending side of a connection, over which `Out` go.
#[derive(Debug)]
pub struct Connection<Out> {
    writer: WriteHalf,
    outbox: RefCell<Outbox>,
    /// Name of the peer's role.
    peer: &'static str,
    /// Blobs of which a part has arrived.
    arriving: RefCell<Vec<BlobHash>>,
    /// Blobs that are complete, and that the owner has not taken.
    arrived: RefCell<Vec<BlobHash>>,
    sent_at: Cell<Instant>,
    is_blocked: Cell<bool>,
    close_by: Cell<Option<Instant>>,
    wake: Notify,
    /// Notified when the socket has taken some.
    taken: Notify,
    sends: std::marker::PhantomData<fn(Out)>,
}

/// What takes the messages of a connection.
pub trait Inbox<In> {
    /// Takes the next message.
    ///
    /// # Errors
    /// If the connection ends with it.
    fn take(&mut self, message: In) -> Result<(), ConnectionEnd>;

    /// All messages of a read have been taken.
    fn end_read(&mut self) {}
}

impl<In, F: FnMut(In)> Inbox<In> for F {
    fn take(&mut self, message: In) -> Result<(), ConnectionEnd> {
        self(message);
        Ok(())
    }
}

impl<Out: Message> Connection<Out> {
    /// Both sides of a connection whose peer has the role `peer`; `frames` has what was read of it already.
    #[must_use]
    pub fn new<In: Message>(
        stream: Stream,
        frames: Frames,
        peer: &'static str,
        silence: Silence,
    ) -> (Rc<Self>, Receiver<In>) {
        let (reader, writer) = stream.split();
        let connection = Rc::new(Self {
            writer,
            outbox: RefCell::default(),
            peer,
            arriving: RefCell::default(),
            arrived: RefCell::default(),
            sent_at: Cell::new(Instant::now()),
            is_blocked: Cell::new(false),
            close_by: Cell::new(None),
            wake: Notify::new(),
            taken: Notify::new(),
            sends: std::marker::PhantomData,
        });
        (connection, Receiver::new(reader, frames, silence))
    }

    /// Queues a message; [`Connection::flush`] writes it.
    pub fn send(&self, message: &Out) {
        self.outbox.borrow_mut().push(message);
    }

    /// Writes what the socket takes now; [`run`] writes the rest.
    pub fn flush(&self) {
        if !self.is_blocked.get() && self.write().is_err() {
            // The reading side finds the same, and reports it.
            self.wake.notify_one();
        }
        if self.is_blocked.get() {
            self.wake.notify_one();
        }
    }

    /// Ends the connection once everything queued is written, or after 2 s.
    pub fn close(&self) {
        self.close_by.set(Some(Instant::now() + CLOSE_WITHIN));
        self.flush();
        self.wake.notify_one();
    }

    /// Sends the reason, then ends the connection.
    pub fn refuse(&self, refusal: &Refusal) {
        self.outbox.borrow_mut().push(&Control::Refused(refusal.clone()));
        self.close();
    }

    /// The connection to `address`, which this side has dialled, is over. True if the next one is the first with small
    /// segments.
    #[must_use]
    pub fn note_end(&self, address: &str) -> bool {
        segments::note_end(address, &self.writer)
    }

    /// True if the peer has dialled with small segments.
    #[must_use]
    pub fn has_small_segments(&self) -> bool {
        self.writer.segment_bytes().is_some_and(|bytes| bytes <= segments::SMALL_BYTES)
    }

    /// Number of bytes that wait to be written.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.outbox.borrow().len()
    }

    /// Waits until fewer than `bytes` wait to be written.
    pub async fn drained(&self, bytes: u64) {
        loop {
            let taken = self.taken.notified();
            if self.backlog() < bytes {
                return;
            }
            taken.await;
        }
    }

    /// True if a blob has begun to arrive and was not taken by the owner yet: it may wait behind smaller messages.
    #[must_use]
    pub fn is_arriving(&self, hash: BlobHash) -> bool {
        self.arriving.borrow().contains(&hash) || self.arrived.borrow().contains(&hash)
    }

    /// The owner has taken a blob.
    pub fn forget_arrival(&self, hash: BlobHash) {
        self.arrived.borrow_mut().retain(|arrived| *arrived != hash);
    }

    fn write(&self) -> std::io::Result<()> {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            self.is_blocked.set(false);
            return Ok(());
        }
        let before = outbox.len();
        let is_all = self.writer.write(&mut outbox)?;
        self.is_blocked.set(!is_all);
        if is_all || outbox.len() < before {
            self.sent_at.set(Instant::now());
            self.taken.notify_waiters();
        }
        Ok(())
    }

    /// Sends a PING if one is due, and returns when the next one is.
    fn beat(&self, now: Instant) -> Instant {
        if now >= self.sent_at.get() + PING_AFTER {
            self.outbox.borrow_mut().push(&Control::Ping(0));
            // Also when the socket is full: the next one is due as long after this one.
            self.sent_at.set(now);
            self.flush();
        }
        self.sent_at.get() + PING_AFTER
    }
}

/// Carries a connection until it ends; `inbox` takes every message of the conversation.
pub async fn run<In: Message, Out: Message>(
    connection: &Rc<Connection<Out>>,
    mut receiver: Receiver<In>,
    inbox: impl Inbox<In>,
) -> ConnectionEnd {
    let mut ours = OurSide { connection, inbox, receives: std::marker::PhantomData };
    let end = carry(&mut receiver, &connection.writer, &connection.wake, &mut ours).await;
    // Last messages, such as a refusal, go out if they can.
    let _ = connection.write();
    end
}

/// A [`Connection`] with its inbox.
struct OurSide<'a, In, Out, I> {
    connection: &'a Rc<Connection<Out>>,
    inbox: I,
    receives: std::marker::PhantomData<fn(In)>,
}

impl<In: Message, Out: Message, I: Inbox<In>> Endpoint for OurSide<'_, In, Out, I> {
    type In = In;

    fn turn(&mut self, now: Instant) -> Result<NextTurn, ConnectionEnd> {
        let connection = self.connection;
        if connection.is_blocked.get() {
            connection.write().map_err(|error| ConnectionEnd::Lost(error.to_string()))?;
        }
        let close_by = connection.close_by.get();
        if close_by.is_some_and(|close_by| now >= close_by || connection.outbox.borrow().is_empty()) {
            return Err(ConnectionEnd::Closed);
        }
        let ping_at = connection.beat(now);
        Ok(NextTurn {
            is_blocked: connection.is_blocked.get(),
            wake_at: close_by.map_or(ping_at, |close_by| close_by.min(ping_at)),
        })
    }

    fn on_message(&mut self, message: Incoming<In>) -> Result<(), ConnectionEnd> {
        match message {
            Incoming::Message(message) => {
                if let Some(blob) = message.blob() {
                    self.connection.arrived.borrow_mut().push(blob.hash);
                }
                self.inbox.take(message)
            }
            Incoming::Control(Control::Ping(token)) => {
                self.connection.outbox.borrow_mut().push(&Control::Pong(token));
                self.connection.flush();
                Ok(())
            }
            Incoming::Control(Control::Pong(_)) => Ok(()),
            Incoming::Control(Control::Refused(refusal)) => Err(ConnectionEnd::Refused(refusal.message)),
        }
    }

    fn on_read(&mut self, _: Instant, decoder: &Decoder<Incoming<In>>) -> Result<(), ConnectionEnd> {
        let mut arriving = self.connection.arriving.borrow_mut();
        arriving.clear();
        arriving.extend(decoder.arriving_blobs());
        drop(arriving);
        self.inbox.end_read();
        Ok(())
    }

    /// Refuses the peer for what it sent.
    fn on_bad_bytes(&mut self, error: &DecodeError) -> ConnectionEnd {
        let why = if let DecodeError::Misplaced(kind) = error {
            format!("a {} may not send {}", self.connection.peer, kind::name(*kind).unwrap_or("that"))
        } else {
            error.to_string()
        };
        self.connection.refuse(&Refusal::new(error.refusal_code(), why.clone()));
        ConnectionEnd::Lost(format!("it was refused: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use argon_proto::conversation::client::{ToClient, ToManager};
    use argon_proto::conversation::{Blob, Credit};
    use argon_proto::handshake::RefusalCode;
    use argon_proto::{Payload, limit};
    use tokio::net::UnixStream;
    use tokio::task::LocalSet;

    use super::*;

    fn on_one_thread(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let bounded = async { tokio::time::timeout(Duration::from_secs(60), test).await.expect("in time") };
        LocalSet::new().block_on(&runtime, bounded);
    }

    /// A client's side and a manager's side of one connection.
    type Pair =
        ((Rc<Connection<ToManager>>, Receiver<ToClient>), (Rc<Connection<ToClient>>, Receiver<ToManager>));

    fn pair() -> Pair {
        let (client, manager) = UnixStream::pair().expect("a pair");
        (
            Connection::new(client.into(), Frames::default(), "manager", Silence::Ends),
            Connection::new(manager.into(), Frames::default(), "client", Silence::Allowed),
        )
    }

    fn blob(bytes: usize) -> Blob {
        let payload = Payload::from(vec![7; bytes]);
        Blob { hash: BlobHash::of(payload.parts()), payload }
    }

    #[test]
    fn a_connection_that_is_closed_writes_what_is_queued_first() {
        on_one_thread(async {
            let ((client, to_client), (manager, to_manager)) = pair();
            let big = blob(16 << 20);
            client.send(&ToManager::Blob(big.clone()));
            client.flush();
            assert!(client.backlog() > 0, "the socket took all at once");
            client.close();
            let mut received = Vec::new();
            let inbox = |message: ToManager| received.push(message);
            let closing = async move {
                let end = run(&client, to_client, |_: ToClient| {}).await;
                drop(client);
                end
            };
            let (closed, lost) = tokio::join!(closing, run(&manager, to_manager, inbox));
            assert!(matches!(closed, ConnectionEnd::Closed), "{closed:?}");
            assert!(matches!(lost, ConnectionEnd::Lost(_)), "{lost:?}");
            let [ToManager::Blob(whole)] = &received[..] else {
                panic!("{} messages came", received.len());
            };
            assert!(whole.payload.to_contiguous() == big.payload.to_contiguous());
        });
    }

    #[test]
    fn a_peer_that_sends_a_message_of_another_role_is_refused_by_its_name() {
        on_one_thread(async {
            let ((client, to_client), (manager, to_manager)) = pair();
            client.outbox.borrow_mut().push(&ToClient::Credit(Credit { tasks: 1, bytes: 1 }));
            client.flush();
            let (refused, refusing) = tokio::join!(
                run(&client, to_client, |_: ToClient| {}),
                run(&manager, to_manager, |_: ToManager| {}),
            );
            assert!(matches!(refused, ConnectionEnd::Refused(why) if why == "a client may not send CREDIT"));
            assert!(matches!(refusing, ConnectionEnd::Lost(why) if why.ends_with("may not send CREDIT")));
            assert_eq!(DecodeError::Misplaced(kind::CREDIT).refusal_code(), RefusalCode::Role);
        });
    }

    #[test]
    fn a_blob_is_arriving_until_its_owner_has_taken_it() {
        on_one_thread(async {
            let ((client, _to_client), (manager, to_manager)) = pair();
            let big = blob(limit::INLINE_BYTES * 8);
            let hash = big.hash;
            let has_come = std::cell::Cell::new(false);
            client.send(&ToManager::Blob(big));
            client.flush();
            let arrives = async {
                while !manager.is_arriving(hash) {
                    tokio::task::yield_now().await;
                }
                assert!(client.backlog() > 0, "only a part has arrived");
                while !has_come.get() {
                    client.write().expect("the connection is there");
                    tokio::task::yield_now().await;
                }
            };
            let inbox = |_: ToManager| has_come.set(true);
            tokio::select! {
                end = run(&manager, to_manager, inbox) => panic!("{end:?}"),
                () = arrives => {}
            }
            assert!(manager.is_arriving(hash), "nobody has taken it");
            manager.forget_arrival(hash);
            assert!(!manager.is_arriving(hash));
        });
    }
}
