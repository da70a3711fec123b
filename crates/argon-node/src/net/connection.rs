//! A connection after the handshake: frames both ways, heartbeats, one task.
//!
//! The owner queues messages with [`Connection::send`] and writes them with [`Connection::flush`], at once and
//! without waking anybody; only what the socket does not take is left to the connection's own task, [`run`].

use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use argon_proto::conversation::{Control, Incoming};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::key::Role;
use argon_proto::{BlobHash, DecodeError, Message};
use bytes::BufMut;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::accept::Admitted;

/// A peer is sent a PING when it was sent nothing for so long.
const PING_AFTER: Duration = Duration::from_secs(5);
/// A peer that owes life signs and was silent for so long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// Room that is made for one read, bytes.
const READ_BYTES: usize = 64 << 10;
/// Bytes read before others get their turn: about as many small messages as the manager takes in one batch.
const READ_TURN: usize = 128 << 10;
/// How long a connection that is being closed may take to send its last words.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// One connection, over which `In` come and `Out` go.
#[derive(Debug)]
pub struct Connection<In, Out> {
    reader: RefCell<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    outbox: RefCell<Outbox>,
    decoder: RefCell<Decoder<Incoming<In>>>,
    /// Blobs that are complete, and that the owner has not taken.
    arrived: RefCell<Vec<BlobHash>>,
    role: Role,
    from: SocketAddr,
    last_sent: Cell<Instant>,
    last_heard: Cell<Instant>,
    is_blocked: Cell<bool>,
    close_by: Cell<Option<Instant>>,
    wake: Notify,
    sends: PhantomData<fn(Out)>,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum End {
    /// The peer closed it, or it broke.
    Lost(String),
    /// The peer was silent for too long.
    Silent,
    /// This side closed it.
    Closed,
}

impl<In: Message, Out: Message> Connection<In, Out> {
    /// The connection of a peer that was admitted.
    #[must_use]
    pub fn new(admitted: Admitted) -> Rc<Self> {
        let now = Instant::now();
        let (reader, writer) = admitted.stream.into_split();
        Rc::new(Self {
            reader: RefCell::new(reader),
            writer,
            outbox: RefCell::default(),
            decoder: RefCell::new(admitted.frames.into()),
            arrived: RefCell::default(),
            role: admitted.role,
            from: admitted.from,
            last_sent: Cell::new(now),
            last_heard: Cell::new(now),
            is_blocked: Cell::new(false),
            close_by: Cell::new(None),
            wake: Notify::new(),
            sends: PhantomData,
        })
    }

    /// Queues a message; [`Connection::flush`] sends it.
    pub fn send(&self, message: &Out) {
        self.outbox.borrow_mut().push(message);
    }

    /// Writes what the socket takes now; the rest goes out by itself.
    pub fn flush(&self) {
        if !self.is_blocked.get() && self.write_some().is_err() {
            // The reading side finds the same, and tells the owner.
            self.wake.notify_one();
        }
        if self.is_blocked.get() {
            self.wake.notify_one();
        }
    }

    /// Ends the connection once everything queued is sent, or after a moment.
    pub fn close(&self) {
        self.close_by.set(Some(Instant::now() + CLOSE_WITHIN));
        self.flush();
        self.wake.notify_one();
    }

    /// Says why, then ends the connection.
    pub fn refuse(&self, refusal: &Refusal) {
        self.outbox.borrow_mut().push(&Control::Refused(refusal.clone()));
        self.close();
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.outbox.borrow().len()
    }

    /// Whether a blob has begun to arrive and was not taken by the owner yet: it may wait behind smaller messages.
    #[must_use]
    pub fn is_arriving(&self, hash: BlobHash) -> bool {
        self.decoder.borrow().is_arriving(hash) || self.arrived.borrow().contains(&hash)
    }

    /// The owner has taken a blob.
    pub fn forget_arrival(&self, hash: BlobHash) {
        self.arrived.borrow_mut().retain(|arrived| *arrived != hash);
    }

    fn write_some(&self) -> io::Result<()> {
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 64];
            let count = outbox.slices(&mut slices);
            match self.writer.try_write_vectored(&slices[..count]) {
                Ok(written) => {
                    outbox.advance(written);
                    self.last_sent.set(Instant::now());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked.set(true);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.is_blocked.set(false);
        Ok(())
    }

    /// Waits until something is there and reads it. `false` when the socket has no more for now. A read that fills its
    /// room only in part has emptied the socket: tokio knows that too, and asks the kernel before it comes here again.
    fn poll_read(&self, context: &mut Context<'_>, inbox: &mut impl FnMut(In)) -> Poll<Result<bool, End>> {
        let mut reader = self.reader.borrow_mut();
        let mut turn = 0;
        while turn < READ_TURN {
            let mut decoder = self.decoder.borrow_mut();
            let mut buffer = decoder.room(READ_BYTES);
            let room = buffer.remaining_mut();
            let poll = pin!(reader.read_buf(&mut buffer)).poll(context);
            let count = match poll {
                Poll::Pending if turn > 0 => return Poll::Ready(Ok(false)),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return lost("the peer closed the connection".to_owned()),
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return lost(error.to_string()),
            };
            self.last_heard.set(Instant::now());
            turn += count;
            self.deliver(decoder, inbox)?;
            if count < room {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Ready(Ok(true))
    }

    fn deliver(
        &self,
        mut decoder: RefMut<'_, Decoder<Incoming<In>>>,
        inbox: &mut impl FnMut(In),
    ) -> Result<(), End> {
        loop {
            match decoder.next() {
                Ok(None) => return Ok(()),
                Ok(Some(Incoming::Message(message))) => {
                    if let Some(blob) = message.blob() {
                        self.arrived.borrow_mut().push(blob.hash);
                    }
                    inbox(message);
                }
                Ok(Some(Incoming::Control(control))) => self.on_control(control),
                Err(error) => return Err(self.refuse_frame(&error)),
            }
        }
    }

    fn on_control(&self, control: Control) {
        match control {
            Control::Ping(token) => {
                self.outbox.borrow_mut().push(&Control::Pong(token));
                self.flush();
            }
            Control::Pong(_) => {}
            Control::Refused(refusal) => {
                tracing::warn!("{} {} refuses this manager: {refusal}", self.role.name(), self.from);
            }
        }
    }

    /// Refuses a peer for what it sent.
    fn refuse_frame(&self, error: &DecodeError) -> End {
        if let DecodeError::Misplaced(_) = error {
            let why = format!("a {} may not say that", self.role.name());
            self.refuse(&Refusal::new(RefusalCode::Role, why.clone()));
            return End::Lost(why);
        }
        self.refuse(&Refusal::new(error.refusal_code(), error.to_string()));
        End::Lost(format!("it sent what is no message: {error}"))
    }

    /// Sends a PING if one is due and says when to look again.
    fn beat(&self) -> Result<Instant, End> {
        let now = Instant::now();
        let owes_life = self.role == Role::Worker;
        if owes_life && now >= self.last_heard.get() + DEAD_AFTER {
            return Err(End::Silent);
        }
        if now >= self.last_sent.get() + PING_AFTER {
            self.outbox.borrow_mut().push(&Control::Ping(0));
            self.flush();
            self.last_sent.set(now);
        }
        let ping_at = self.last_sent.get() + PING_AFTER;
        Ok(if owes_life { ping_at.min(self.last_heard.get() + DEAD_AFTER) } else { ping_at })
    }
}

/// Keeps a connection going until it ends; `inbox` is given every message of the conversation.
pub async fn run<In: Message, Out: Message>(
    connection: Rc<Connection<In, Out>>,
    mut inbox: impl FnMut(In),
) -> End {
    // What came behind the handshake is there already.
    let decoder = connection.decoder.borrow_mut();
    if let Err(end) = connection.deliver(decoder, &mut inbox) {
        return end;
    }
    let beat = tokio::time::sleep(PING_AFTER);
    tokio::pin!(beat);
    loop {
        if let Some(close_by) = connection.close_by.get()
            && (connection.outbox.borrow().is_empty() || Instant::now() >= close_by)
        {
            return End::Closed;
        }
        let close_by = connection.close_by.get();
        tokio::select! {
            read = poll_fn(|context| connection.poll_read(context, &mut inbox)) => match read {
                Ok(false) => {}
                Ok(true) => tokio::task::yield_now().await,
                Err(end) => {
                    // Last words, such as a refusal, go out if they can.
                    let _ = connection.write_some();
                    return end;
                }
            },
            ready = connection.writer.writable(), if connection.is_blocked.get() => {
                if let Err(error) = ready.and_then(|()| connection.write_some()) {
                    return End::Lost(error.to_string());
                }
            }
            () = connection.wake.notified() => {}
            () = sleep_until(close_by), if close_by.is_some() => {}
            () = &mut beat => match connection.beat() {
                Ok(next) => beat.as_mut().reset(next),
                Err(end) => return end,
            },
        }
    }
}

fn lost(why: String) -> Poll<Result<bool, End>> {
    Poll::Ready(Err(End::Lost(why)))
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
