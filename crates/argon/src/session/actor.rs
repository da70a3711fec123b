//! The background task of a session: dials, reads, writes what callers left to it, and keeps time.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::ToClient;
use argon_proto::frame::Decoder;
use argon_proto::limit::SILENCE;
use argon_proto::{DecodeError, Time};
use argon_session::Input;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::dial::ManagerList;
use super::{Orders, Shared};
use crate::dial::Reached;

/// Room that is made for one read, bytes.
const READ_BYTES: usize = 128 << 10;
/// The longest sleep: a deadline is there while the session is open.
const SLEEP_MAX: Duration = SILENCE;

/// The background task.
pub(super) struct Actor {
    shared: Arc<Shared>,
    managers: ManagerList,
    /// The machine wants this manager to be dialled.
    dial: Option<usize>,
    connection: Option<Connection>,
}

impl Actor {
    pub(super) fn new(shared: Arc<Shared>, managers: ManagerList) -> Self {
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
    async fn reach(&self, address: usize) -> Option<Result<Reached, Input>> {
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

/// A runtime that is shut down drops the task: nobody may wait for it then.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.dropped();
    }
}

/// A connection at work.
struct Connection {
    shared: Arc<Shared>,
    reader: OwnedReadHalf,
    writer: Arc<OwnedWriteHalf>,
    decoder: Decoder<Incoming<ToClient>>,
    inputs: Vec<Input>,
}

impl Connection {
    fn begin(shared: &Arc<Shared>, reached: Reached) -> Self {
        let Reached { stream, frames, welcome, address } = reached;
        let (reader, writer) = stream.into_split();
        let writer = Arc::new(writer);
        shared.connected(Arc::clone(&writer), Input::Connected { welcome, address });
        Self { shared: Arc::clone(shared), reader, writer, decoder: frames.into(), inputs: Vec::new() }
    }

    /// Moves bytes until the connection is lost or given up; what to do then.
    async fn converse(&mut self) -> Orders {
        let mut timer = pin!(tokio::time::sleep(SLEEP_MAX));
        let mut timer_at = None;
        let mut over_since = None;
        // What the manager sent behind the handshake.
        if let Some(orders) = self.deliver() {
            return orders;
        }
        loop {
            let Ok(next) = self.shared.turn() else {
                return self.shared.step([Input::ConnectionLost]);
            };
            let now = Instant::now();
            if next.orders.disconnect {
                return next.orders;
            }
            if next.is_over {
                // The last frames are worth a wait, but not for ever.
                let since = *over_since.get_or_insert(now);
                if !next.is_blocked || now >= since + SILENCE {
                    return Orders::default();
                }
            }
            let wake_at = self.shared.instant(next.deadline, now + SLEEP_MAX);
            // The timer is moved only to an earlier time: one that rings too early costs less than moving it each time.
            if timer_at.is_none_or(|at| wake_at < at || at <= now) {
                timer.as_mut().reset(wake_at.into());
                timer_at = Some(wake_at);
            }
            let Self { shared, reader, writer, decoder, .. } = &mut *self;
            let mut room = decoder.room(READ_BYTES);
            tokio::select! {
                count = reader.read_buf(&mut room) => {
                    if let Some(orders) = self.on_read(count) {
                        return orders;
                    }
                }
                ready = writer.writable(), if next.is_blocked => {
                    if ready.is_err() {
                        return self.shared.step([Input::ConnectionLost]);
                    }
                }
                () = shared.wake.notified() => {}
                () = &mut timer => timer_at = None,
            }
        }
    }

    /// Takes in what was read; what to do if the connection is over.
    fn on_read(&mut self, count: io::Result<usize>) -> Option<Orders> {
        match count {
            Ok(0) | Err(_) => Some(self.shared.step([Input::ConnectionLost])),
            Ok(_) => self.deliver(),
        }
    }

    fn deliver(&mut self) -> Option<Orders> {
        self.inputs.push(Input::BytesReceived);
        let is_lost = loop {
            match self.decoder.next() {
                Ok(Some(message)) => self.inputs.push(Input::MessageReceived(message)),
                Ok(None) => break false,
                Err(error @ DecodeError::Misplaced(_)) => {
                    self.inputs.push(Input::MisplacedFrameReceived { why: error.to_string() });
                    break false;
                }
                Err(_) => {
                    self.inputs.push(Input::ConnectionLost);
                    break true;
                }
            }
        };
        let orders = self.shared.step(self.inputs.drain(..));
        (is_lost || orders.disconnect).then_some(orders)
    }
}

impl Shared {
    /// The moment of a deadline; `latest` if that is earlier.
    fn instant(&self, deadline: Option<Time>, latest: Instant) -> Instant {
        deadline.map_or(latest, |time| (self.epoch + Duration::from_micros(time.0)).min(latest))
    }
}
