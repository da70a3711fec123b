//! The background task of a session: dials, reads, writes what callers left to it, and keeps time.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argon_net::carrier::{ConnectionEnd, Endpoint, NextTurn, Receiver, Silence, carry};
use argon_net::{Connected, WriteHalf, segments};
use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::ToClient;
use argon_proto::frame::Decoder;
use argon_proto::limit::SILENCE;
use argon_proto::{DecodeError, Time};
use argon_session::Input;

use super::dial::ManagerList;
use super::{Orders, SharedSession};

/// Room that is made for one read, bytes.
const READ_BYTES: usize = 128 << 10;
/// The longest sleep: a deadline is there while the session is open.
const SLEEP_MAX: Duration = SILENCE;

/// The background task.
pub(super) struct Actor {
    shared: Arc<SharedSession>,
    managers: ManagerList,
    /// The machine wants this manager to be dialled.
    dial: Option<usize>,
    connection: Option<Connection>,
}

impl Actor {
    pub(super) fn new(shared: Arc<SharedSession>, managers: ManagerList) -> Self {
        let dial = shared.step([Input::Started]).dial;
        Self { shared, managers, dial, connection: None }
    }

    /// Runs until the session is over.
    pub(super) async fn run(mut self) {
        let _guard = Guard(Arc::clone(&self.shared));
        loop {
            if let Some(mut connection) = self.connection.take() {
                self.dial = connection.converse().await.dial;
                self.shared.disconnected();
            }
            self.seek().await;
            if self.connection.is_none() {
                return;
            }
        }
    }

    /// Dials when the machine wants it, until there is a connection or the session is over.
    pub(super) async fn seek(&mut self) {
        while !self.shared.is_over() {
            let input = match self.dial.take() {
                Some(address) => match self.reach(address).await {
                    Some(Ok(reached)) => {
                        self.connection = Some(Connection::begin(&self.shared, reached));
                        return;
                    }
                    Some(Err(failed)) => failed,
                    None => return,
                },
                None => {
                    let wake_at = self.shared.next_deadline();
                    let wake_at = self.shared.instant(wake_at, Instant::now() + SLEEP_MAX);
                    tokio::select! {
                        () = tokio::time::sleep_until(wake_at.into()) => {}
                        () = self.shared.wake.notified() => {}
                    }
                    Input::TimePassed
                }
            };
            self.dial = self.shared.step([input]).dial;
        }
    }

    /// Dials; `None` if the session is over before that is done.
    async fn reach(&self, address: usize) -> Option<Result<Connected, Input>> {
        let mut dialling = pin!(self.managers.dial(address));
        loop {
            tokio::select! {
                reached = &mut dialling => return Some(reached),
                () = self.shared.wake.notified() => {
                    if self.shared.is_over() {
                        return None;
                    }
                }
            }
        }
    }
}

/// A runtime that is shut down drops the task: no caller may wait for it then.
struct Guard(Arc<SharedSession>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.dropped();
    }
}

/// A connection at work.
struct Connection {
    shared: Arc<SharedSession>,
    /// As it was dialled.
    address: String,
    writer: Arc<WriteHalf>,
    receiver: Receiver<ToClient>,
    inputs: Vec<Input>,
}

impl Connection {
    fn begin(shared: &Arc<SharedSession>, connected: Connected) -> Self {
        let Connected { stream, frames, welcome, address } = connected;
        let (reader, writer) = stream.split();
        let writer = Arc::new(writer);
        shared.connected(Arc::clone(&writer), Input::Connected { welcome, address: address.clone() });
        // The machine judges the silence of its manager.
        let receiver = Receiver::new(reader, frames, Silence::Allowed).with_room(READ_BYTES);
        Self { shared: Arc::clone(shared), address, writer, receiver, inputs: Vec::new() }
    }

    /// Moves bytes until the connection is lost or given up, and returns what to do then.
    async fn converse(&mut self) -> Orders {
        let Self { shared, address, writer, receiver, inputs } = self;
        let mut ours = OurSide { shared, inputs, orders: Orders::default(), over_since: None };
        let end = carry(receiver, writer, &shared.wake, &mut ours).await;
        // The next dial asks how this one went.
        let _ = segments::note_end(address, writer);
        match end {
            ConnectionEnd::Closed => ours.orders,
            ConnectionEnd::Lost(_) | ConnectionEnd::Silent | ConnectionEnd::Refused(_) => {
                shared.step([Input::ConnectionLost])
            }
        }
    }
}

/// The session, as the loop of its connection sees it. [`ConnectionEnd::Closed`] means that `orders` has what to do next.
struct OurSide<'a> {
    shared: &'a Arc<SharedSession>,
    /// Facts of the present read: the machine takes them with one lock.
    inputs: &'a mut Vec<Input>,
    orders: Orders,
    over_since: Option<Instant>,
}

impl OurSide<'_> {
    fn step(&mut self) -> Result<(), ConnectionEnd> {
        self.orders = self.shared.step(self.inputs.drain(..));
        if self.orders.disconnect { Err(ConnectionEnd::Closed) } else { Ok(()) }
    }
}

impl Endpoint for OurSide<'_> {
    type In = ToClient;

    fn turn(&mut self, now: Instant) -> Result<NextTurn, ConnectionEnd> {
        let next = self.shared.turn().map_err(|error| ConnectionEnd::Lost(error.to_string()))?;
        if next.orders.disconnect {
            self.orders = next.orders;
            return Err(ConnectionEnd::Closed);
        }
        if next.is_over {
            // The last frames are worth a wait, but not for ever.
            let since = *self.over_since.get_or_insert(now);
            if !next.is_blocked || now >= since + SILENCE {
                return Err(ConnectionEnd::Closed);
            }
        }
        let wake_at = self.shared.instant(next.deadline, now + SLEEP_MAX);
        Ok(NextTurn { is_blocked: next.is_blocked, wake_at })
    }

    fn on_message(&mut self, message: Incoming<ToClient>) -> Result<(), ConnectionEnd> {
        self.inputs.push(Input::MessageReceived(message));
        Ok(())
    }

    fn on_read(&mut self, _: Instant, _: &Decoder<Incoming<ToClient>>) -> Result<(), ConnectionEnd> {
        self.inputs.push(Input::BytesReceived);
        self.step()
    }

    fn on_bad_bytes(&mut self, error: &DecodeError) -> ConnectionEnd {
        let is_misplaced = matches!(error, DecodeError::Misplaced(_));
        self.inputs.push(if is_misplaced {
            Input::MisplacedFrameReceived { why: error.to_string() }
        } else {
            Input::ConnectionLost
        });
        // The machine's orders decide what follows.
        let _ = self.step();
        ConnectionEnd::Closed
    }
}

impl SharedSession {
    /// The moment of a deadline; `latest` if that is earlier.
    fn instant(&self, deadline: Option<Time>, latest: Instant) -> Instant {
        deadline.map_or(latest, |time| (self.epoch + Duration::from_micros(time.0)).min(latest))
    }
}
