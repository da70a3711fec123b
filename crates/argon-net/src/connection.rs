//! A connection for an owner on the same thread: the manager's peers, a worker's manager, a command's question.
//!
//! The owner queues messages with [`Connection::send`] and writes them with [`Connection::flush`], at once and without
//! waking anybody. What the socket does not take is left to [`run`], which also reads, answers heartbeats and sends them.
//!
//! A connection of a manager is charged to a `Ledger`. A peer that does not take what it asked for is not read until it
//! has taken some, and a message that begins to arrive must arrive.

mod charged;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use argon_proto::conversation::{Control, Incoming};
use argon_proto::frame::{Decoder, Frames, Outbox, Room};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::limit::PING_AFTER;
use argon_proto::{BlobHash, DecodeError, Message, kind};
use tokio::sync::Notify;

use crate::carrier::{ConnectionEnd, Endpoint, NextTurn, Receiver, Silence, carry};
use crate::segments;
use crate::stream::{Stream, WriteHalf};
use charged::{Charged, STALLED};

/// Bound on the time that a connection takes to send its last messages when it is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Longest time that a payload of [`Inbox::must_have`] waits for room; nothing else of its peer is read meanwhile.
const ROOM_WITHIN: Duration = Duration::from_secs(10);

/// The sending side of a connection, over which `Out` go.
#[derive(Debug)]
pub struct Connection<Out> {
    writer: WriteHalf,
    outbox: RefCell<Outbox>,
    /// Name of the peer's role.
    peer: &'static str,
    /// Blobs of which a part has arrived.
    arriving: RefCell<HashSet<BlobHash>>,
    /// Blobs that are complete, and that the owner has not taken.
    arrived: RefCell<Vec<BlobHash>>,
    sent_at: Cell<Instant>,
    is_blocked: Cell<bool>,
    close_by: Cell<Option<Instant>>,
    wake: Notify,
    /// Notified when the socket has taken some.
    taken: Notify,
    charged: OnceCell<Charged>,
    sends: std::marker::PhantomData<fn(Out)>,
}

/// Receiver of the messages of a connection.
pub trait Inbox<In> {
    /// Takes the next message.
    ///
    /// # Errors
    /// If the connection ends with it.
    fn take(&mut self, message: In) -> Result<(), ConnectionEnd>;

    /// Takes a message whose payload of `bytes` had no room.
    ///
    /// # Errors
    /// If the connection ends with it.
    fn take_without_payload(&mut self, message: In, bytes: u64) -> Result<(), ConnectionEnd> {
        let _ = bytes;
        self.take(message)
    }

    /// True if a payload waits for room for a while, because its sender cannot offer it again.
    fn must_have(&self, message: &In) -> bool {
        let _ = message;
        false
    }

    /// False while the owner has not taken enough of what was given to it.
    fn has_room(&self) -> bool {
        true
    }

    /// All messages of a read have been taken.
    fn end_read(&mut self) {}

    /// The peer has sent more than one turn, and further ones begin; or it has sent no more than that.
    fn set_behind(&mut self, is_behind: bool) {
        let _ = is_behind;
    }
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
            charged: OnceCell::new(),
            sends: std::marker::PhantomData,
        });
        (connection, Receiver::new(reader, frames, silence))
    }

    /// Looks again whether the owner takes more.
    pub fn resume(&self) {
        self.wake.notify_one();
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

    /// Sends the reason, then ends the connection. One that ends already does so for its first reason.
    pub fn refuse(&self, refusal: &Refusal) {
        if self.close_by.get().is_some() {
            return;
        }
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
        if let Some(charged) = self.charged.get() {
            charged.share.count_sent(before - outbox.len());
            charged.share.set_outgoing(outbox.memory() + self.writer.buffered());
            drop(outbox);
            if charged.holds.get() && !self.is_clogged() {
                charged.holds.set(false);
                (charged.on_drained)();
            }
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
    let mut ours = OurSide { connection, inbox, has_answered: false, receives: std::marker::PhantomData };
    let end = carry(&mut receiver, &connection.writer, &connection.wake, &mut ours).await;
    // Last messages, such as a refusal, go out if they can.
    let _ = connection.write();
    end
}

/// A [`Connection`] with its inbox.
struct OurSide<'a, In, Out, I> {
    connection: &'a Rc<Connection<Out>>,
    inbox: I,
    /// True if a heartbeat was answered and not written.
    has_answered: bool,
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
        let stalls_at = connection.stalls_at(now);
        if close_by.is_none() && stalls_at.is_some_and(|at| now >= at) {
            let why = format!(
                "a message began to arrive and nothing more of it came for {} s; send it again",
                STALLED.as_secs()
            );
            connection.refuse(&Refusal::new(RefusalCode::Busy, why));
        }
        let ping_at = connection.beat(now);
        Ok(NextTurn {
            is_blocked: connection.is_blocked.get(),
            wake_at: [close_by, stalls_at.filter(|at| now < *at)]
                .into_iter()
                .flatten()
                .fold(ping_at, Instant::min),
        })
    }

    fn on_turn(&mut self, is_further: bool) {
        self.inbox.set_behind(is_further);
    }

    fn on_message(&mut self, message: Incoming<In>) -> Result<(), ConnectionEnd> {
        match message {
            Incoming::Message(message) => {
                if let Some(blob) = message.blob() {
                    self.connection.arriving.borrow_mut().remove(&blob.hash);
                    self.connection.arrived.borrow_mut().push(blob.hash);
                }
                self.inbox.take(message)
            }
            Incoming::Control(Control::Ping(token)) => {
                // Written at the end of the read: a call for each would cost more than the read.
                self.connection.outbox.borrow_mut().push(&Control::Pong(token));
                self.has_answered = true;
                Ok(())
            }
            Incoming::Control(Control::Pong(_)) => Ok(()),
            Incoming::Control(Control::Refused(refusal)) => Err(ConnectionEnd::Refused(refusal.message)),
        }
    }

    fn on_message_without_payload(&mut self, message: Incoming<In>, bytes: u64) -> Result<(), ConnectionEnd> {
        match message {
            Incoming::Message(message) => {
                if let Some(blob) = message.blob() {
                    self.connection.arriving.borrow_mut().remove(&blob.hash);
                }
                self.inbox.take_without_payload(message, bytes)
            }
            Incoming::Control(_) => Ok(()),
        }
    }

    fn may_take(&self) -> bool {
        !self.connection.is_clogged() && self.inbox.has_room()
    }

    fn room(&self, message: &Incoming<In>, bytes: u64) -> Room {
        if let Some(blob) = message.blob() {
            self.connection.arriving.borrow_mut().insert(blob.hash);
        }
        let (Some(charged), Incoming::Message(message)) = (self.connection.charged.get(), message) else {
            return Room::Here;
        };
        if !self.inbox.must_have(message) {
            return if charged.share.has_fair_room(bytes) { Room::Here } else { Room::Nowhere };
        }
        let now = Instant::now();
        let since = charged.waits_since.get().unwrap_or(now);
        let room = match charged.share.has_room(bytes) {
            true => Room::Here,
            false if now < since + ROOM_WITHIN => Room::Later,
            false => Room::Nowhere,
        };
        charged.waits_since.set((room == Room::Later).then_some(since));
        room
    }

    fn on_bytes(&mut self, count: usize) {
        if let Some(charged) = self.connection.charged.get() {
            charged.share.count_received(count as u64);
        }
    }

    fn on_read(&mut self, now: Instant, decoder: &Decoder<Incoming<In>>) -> Result<(), ConnectionEnd> {
        if std::mem::take(&mut self.has_answered) {
            self.connection.flush();
        }
        if let Some(charged) = self.connection.charged.get() {
            charged.share.set_incoming(decoder.expected_bytes());
            charged.unfinished_since.set(decoder.is_unfinished().then_some(now));
        }
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
mod tests;
