//! The loop of every connection: reads frames, waits until the socket takes more, notices silence.
//!
//! [`carry`] owns the reading side and the clock of one connection. What to send, and what to do with messages, is up to
//! its [`Endpoint`]: a client's session, or a [`crate::Connection`]. An endpoint writes by itself, from whichever thread
//! its owner is on, so that a lone message wakes no other task; it wakes the loop for what the socket did not take.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use argon_proto::conversation::Incoming;
use argon_proto::frame::{Arrival, CHECKED_AT_ONCE, Decoder, Frames, Room};
use argon_proto::{DecodeError, Message, limit};
use bytes::BufMut;
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::stream::{ReadHalf, WriteHalf};
use crate::turns::{self, Extent, Further, ReadTurns};

/// Room that is made for one read, bytes.
const READ_BYTES: usize = 64 << 10;
/// Pause between two looks whether there is room for a payload that waits.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// Why a connection ended.
#[derive(Debug)]
pub enum ConnectionEnd {
    /// The peer closed it, or it broke.
    Lost(String),
    /// The peer was silent for [`limit::SILENCE`].
    Silent,
    /// The peer refused this side, or sent messages of another conversation.
    Refused(String),
    /// This side closed it.
    Closed,
}

/// Meaning of a peer's silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Silence {
    /// None: a client may compute for an hour between two calls.
    Allowed,
    /// The peer is dead, unless something of it waits to be read.
    Ends,
    /// The peer has given this side up: what waits to be read was sent before that, and is not to be obeyed.
    Voids,
}

/// One side of a connection, as [`carry`] sees it.
pub trait Endpoint {
    /// Messages that the peer sends.
    type In: Message;

    /// Called before each wait: writes what was left over, and lets time pass.
    ///
    /// # Errors
    /// If the connection ends now.
    fn turn(&mut self, now: Instant) -> Result<NextTurn, ConnectionEnd>;

    /// The first turn of the connection begins, or a further one: its peer has sent more than others wait for.
    fn on_turn(&mut self, is_further: bool) {
        let _ = is_further;
    }

    /// A message has arrived.
    ///
    /// # Errors
    /// If the connection ends with this message.
    fn on_message(&mut self, message: Incoming<Self::In>) -> Result<(), ConnectionEnd>;

    /// Called after a read of this number of bytes.
    fn on_bytes(&mut self, count: usize) {
        let _ = count;
    }

    /// Called after a read whose messages were given to [`Endpoint::on_message`].
    ///
    /// # Errors
    /// If the connection ends now.
    fn on_read(&mut self, now: Instant, decoder: &Decoder<Incoming<Self::In>>) -> Result<(), ConnectionEnd>;

    /// A message has arrived without its payload of `bytes`, because there was no room.
    ///
    /// # Errors
    /// If the connection ends with this message.
    fn on_message_without_payload(
        &mut self,
        message: Incoming<Self::In>,
        bytes: u64,
    ) -> Result<(), ConnectionEnd> {
        let _ = bytes;
        self.on_message(message)
    }

    /// False while messages of the peer wait, and nothing more is read.
    fn may_take(&self) -> bool {
        true
    }

    /// Decides whether the payload of a message that begins is kept.
    fn room(&self, message: &Incoming<Self::In>, bytes: u64) -> Room {
        let _ = (message, bytes);
        Room::Here
    }

    /// The peer sent bytes that are not a message of this conversation.
    fn on_bad_bytes(&mut self, error: &DecodeError) -> ConnectionEnd;
}

/// Turn of a connection: [`carry`] waits for it in addition to the peer.
#[derive(Clone, Copy, Debug)]
pub struct NextTurn {
    /// The socket takes no more for now.
    pub is_blocked: bool,
    /// When the next turn is due at the latest.
    pub wake_at: Instant,
}

/// The reading side of a connection, with the part of a message that has arrived.
#[derive(Debug)]
pub struct Receiver<In> {
    reader: ReadHalf,
    decoder: Decoder<Incoming<In>>,
    silence: Silence,
    read_bytes: usize,
    heard_at: Instant,
    /// Turns of the connections on this thread, if they take turns.
    turns: Option<ReadTurns>,
    /// Rest of the present turn.
    turn: Extent,
}

/// Carries a connection until it ends. `wake` makes the next turn due.
pub async fn carry<E: Endpoint>(
    receiver: &mut Receiver<E::In>,
    writer: &WriteHalf,
    wake: &Notify,
    endpoint: &mut E,
) -> ConnectionEnd {
    match carry_on(receiver, writer, wake, endpoint).await {
        Err(end) => end,
        Ok(never) => match never {},
    }
}

async fn carry_on<E: Endpoint>(
    receiver: &mut Receiver<E::In>,
    writer: &WriteHalf,
    wake: &Notify,
    endpoint: &mut E,
) -> Result<Infallible, ConnectionEnd> {
    // Bytes that were read behind the handshake.
    let mut left = Left::More;
    let mut further = None;
    let mut is_behind = false;
    let mut alarm = pin!(tokio::time::sleep(limit::SILENCE));
    let mut alarm_at = None;
    let mut is_silent = false;
    loop {
        if receiver.is_turn_over() {
            drop(further.take());
            further = receiver.next_turn().await;
            is_behind = true;
            endpoint.on_turn(true);
        }
        let now = Instant::now();
        let turn = endpoint.turn(now)?;
        if left != Left::Nothing {
            left = receiver.deliver(now, endpoint)?;
        }
        if left == Left::More {
            continue;
        }
        let reads = left == Left::Nothing && endpoint.may_take();
        if !reads {
            // Silence cannot be distinguished from messages that are not read. The kernel notices a peer that is dead.
            receiver.heard_at = now;
        }
        let silent_at = receiver.silent_at();
        let room_at = (left == Left::WaitsForRoom).then(|| now + ROOM_PAUSE);
        let wake_at = [silent_at, room_at].into_iter().flatten().fold(turn.wake_at, Instant::min);
        // The alarm is moved only to an earlier time: one that rings too early costs less than moving it each time.
        if alarm_at.is_none_or(|at| wake_at < at || at <= now) {
            alarm.as_mut().reset(wake_at.into());
            alarm_at = Some(wake_at);
        }
        let mut woken = pin!(wake.notified());
        let event = poll_fn(|context| {
            let is_due = poll_alarm(alarm.as_mut(), &mut alarm_at, context)
                | woken.as_mut().poll(context).is_ready()
                | (turn.is_blocked && is_writable(writer, context)?);
            let read = if reads { receiver.poll_read(context, endpoint, &mut left)? } else { Poll::Pending };
            match read {
                Poll::Ready(()) => return Poll::Ready(Ok(Event::Due)),
                Poll::Pending if reads && left == Left::Nothing => {
                    receiver.begin_turn();
                    further = None;
                    if std::mem::take(&mut is_behind) {
                        endpoint.on_turn(false);
                    }
                }
                Poll::Pending => further = None,
            }
            match is_due {
                _ if silent_at.is_some_and(|at| now >= at) => Poll::Ready(Ok(Event::Silent)),
                true => Poll::Ready(Ok(Event::Due)),
                false => Poll::Pending,
            }
        });
        let was_silent = std::mem::take(&mut is_silent);
        match event.await? {
            Event::Due => {}
            Event::Silent if was_silent => return Err(ConnectionEnd::Silent),
            // This process may have stood still: the runtime asks the kernel before the next look.
            Event::Silent => {
                is_silent = true;
                tokio::task::yield_now().await;
            }
        }
    }
}

/// State of the bytes that were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Left {
    /// No whole message.
    Nothing,
    /// Perhaps more messages: others get their turn first.
    More,
    /// Messages that the endpoint does not take yet.
    Held,
    /// A payload for which there is no room yet.
    WaitsForRoom,
}

/// Event that the loop has waited for.
enum Event {
    /// The next turn is due.
    Due,
    /// Nothing is there to be read, and the peer's time is over.
    Silent,
}

fn poll_alarm(alarm: Pin<&mut Sleep>, alarm_at: &mut Option<Instant>, context: &mut Context<'_>) -> bool {
    let rings = alarm.poll(context).is_ready();
    if rings {
        *alarm_at = None;
    }
    rings
}

fn is_writable(writer: &WriteHalf, context: &mut Context<'_>) -> Result<bool, ConnectionEnd> {
    match writer.poll_ready(context) {
        Poll::Ready(Ok(())) => Ok(true),
        Poll::Ready(Err(error)) => Err(ConnectionEnd::Lost(error.to_string())),
        Poll::Pending => Ok(false),
    }
}

impl<In: Message> Receiver<In> {
    /// The reading side of a connection that has just begun; `frames` has what was read of it already.
    #[must_use]
    pub fn new(reader: ReadHalf, frames: Frames, silence: Silence) -> Self {
        Self {
            reader,
            decoder: frames.into(),
            silence,
            read_bytes: READ_BYTES,
            heard_at: Instant::now(),
            turns: None,
            turn: turns::ALONE,
        }
    }

    /// Takes turns with the other connections that were given `turns`.
    pub fn take_turns(&mut self, turns: &ReadTurns) {
        self.turns = Some(turns.clone());
        self.begin_turn();
    }

    /// Makes room for `bytes` for each read, in place of 64 KiB.
    #[must_use]
    pub fn with_room(self, bytes: usize) -> Self {
        Self { read_bytes: bytes, ..self }
    }

    /// When the peer counts as dead, if it ever does.
    fn silent_at(&self) -> Option<Instant> {
        match self.silence {
            Silence::Allowed => None,
            Silence::Ends | Silence::Voids => Some(self.heard_at + limit::SILENCE),
        }
    }

    fn begin_turn(&mut self) {
        self.turn = if self.turns.is_some() { turns::SHARED } else { turns::ALONE };
    }

    fn is_turn_over(&self) -> bool {
        self.turn.messages == 0 || self.turn.bytes == 0
    }

    /// Waits for the next turn.
    async fn next_turn(&mut self) -> Option<Further> {
        let further = match &self.turns {
            Some(turns) => turns.further().await,
            None => {
                tokio::task::yield_now().await;
                None
            }
        };
        self.begin_turn();
        further
    }

    /// Reads what is there, until the turn is over.
    fn poll_read<E: Endpoint<In = In>>(
        &mut self,
        context: &mut Context<'_>,
        endpoint: &mut E,
        left: &mut Left,
    ) -> Poll<Result<(), ConnectionEnd>> {
        let mut has_read = false;
        while !self.is_turn_over() {
            let mut buffer = self.decoder.room(self.read_bytes).limit(self.turn.bytes);
            let room = buffer.remaining_mut();
            let count = match self.reader.poll_read_buf(context, &mut buffer) {
                Poll::Pending if has_read => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(ConnectionEnd::Lost(
                        "the peer closed the connection".to_owned(),
                    )));
                }
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(ConnectionEnd::Lost(error.to_string()))),
            };
            let now = Instant::now();
            if self.silence == Silence::Voids && now >= self.heard_at + limit::SILENCE {
                return Poll::Ready(Err(ConnectionEnd::Silent));
            }
            self.heard_at = now;
            has_read = true;
            self.turn.bytes -= count;
            endpoint.on_bytes(count);
            *left = self.deliver(now, endpoint)?;
            if *left != Left::Nothing {
                return Poll::Ready(Ok(()));
            }
            if count < room {
                self.decoder.release();
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn deliver<E: Endpoint<In = In>>(
        &mut self,
        now: Instant,
        endpoint: &mut E,
    ) -> Result<Left, ConnectionEnd> {
        let mut left = Left::More;
        while left == Left::More && self.turn.messages > 0 {
            if !endpoint.may_take() {
                left = Left::Held;
                break;
            }
            match self.decoder.next_step(|message, bytes| endpoint.room(message, bytes)) {
                Ok(Some(Arrival::Whole(message))) => endpoint.on_message(message)?,
                Ok(Some(Arrival::WithoutPayload { message, payload_bytes })) => {
                    endpoint.on_message_without_payload(message, payload_bytes)?;
                }
                Ok(None) if self.decoder.is_checking() => {
                    self.turn.bytes = self.turn.bytes.saturating_sub(CHECKED_AT_ONCE);
                    if self.turn.bytes == 0 {
                        break;
                    }
                }
                Ok(None) if self.decoder.is_waiting() => left = Left::WaitsForRoom,
                Ok(None) => left = Left::Nothing,
                Err(error) => return Err(endpoint.on_bad_bytes(&error)),
            }
            self.turn.messages -= usize::from(left == Left::More);
        }
        endpoint.on_read(now, &self.decoder)?;
        Ok(left)
    }
}

#[cfg(test)]
mod tests;
