//! The background task of a session: reads, writes what callers left to it, keeps time, and comes back after a loss.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argon_proto::DecodeError;
use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::ToClient;
use argon_proto::frame::Decoder;
use argon_session::{Disposition, ErrorKind};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Shared;
use super::dial::Seeker;
use crate::dial::Reached;

/// A manager from which nothing came for so long is dead.
const SILENCE: Duration = Duration::from_secs(15);
/// Tasks that a caller sends by itself wake nobody, so whether one waits is looked at after this time.
const LOOK: Duration = Duration::from_secs(1);
/// Room that is made for one read, bytes.
const READ_BYTES: usize = 128 << 10;
/// A manager that refuses so often in a row, after it has let us in, will not change its mind.
const REFUSALS: u32 = 5;

/// Why a connection ended.
enum End {
    Lost,
    Refused(String),
}

/// Runs until the session is over.
pub(super) async fn run(shared: Arc<Shared>, mut seeker: Seeker, first: Connection) {
    let _guard = Guard(Arc::clone(&shared));
    let mut refusals = 0;
    let mut connection = Some(first);
    loop {
        if let Some(mut connection) = connection.take() {
            let end = connection.converse().await;
            if shared.disconnected() {
                return;
            }
            match end {
                End::Lost => {
                    if connection.has_served {
                        refusals = 0;
                    }
                }
                End::Refused(why) => {
                    refusals = if connection.has_served { 1 } else { refusals + 1 };
                    if refusals >= REFUSALS {
                        let message = format!("the manager refuses this client again and again: {why}");
                        return shared.end(ErrorKind::Unreachable, &message);
                    }
                    seeker.refused();
                    tokio::time::sleep(seeker.pause()).await;
                }
            }
        }
        tokio::select! {
            reached = seeker.again() => {
                match reached {
                    Ok(reached) => connection = Some(Connection::begin(&shared, reached)),
                    Err(why) => shared.away(Instant::now(), why),
                }
            }
            () = shared.wake.notified() => {}
        }
        if shared.is_over() {
            return;
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
pub(super) struct Connection {
    shared: Arc<Shared>,
    reader: OwnedReadHalf,
    writer: Arc<OwnedWriteHalf>,
    decoder: Decoder<Incoming<ToClient>>,
    messages: Vec<Incoming<ToClient>>,
    heard_at: Instant,
    has_served: bool,
}

impl Connection {
    /// Tells the session, which offers what is unfinished again.
    pub(super) fn begin(shared: &Arc<Shared>, reached: Reached) -> Self {
        let (reader, writer) = reached.stream.into_split();
        let writer = Arc::new(writer);
        shared.connected(Arc::clone(&writer), &reached.welcome, reached.address);
        Self {
            shared: Arc::clone(shared),
            reader,
            writer,
            decoder: reached.frames.into(),
            messages: Vec::new(),
            heard_at: Instant::now(),
            has_served: false,
        }
    }

    async fn converse(&mut self) -> End {
        let timer = tokio::time::sleep(SILENCE);
        tokio::pin!(timer);
        let mut timer_at = None;
        if let Err(end) = self.deliver() {
            return end;
        }
        loop {
            let now = Instant::now();
            let Ok(next) = self.shared.turn(now) else {
                return End::Lost;
            };
            if next.is_over && !next.is_blocked {
                return End::Lost;
            }
            let silent_at = self.heard_at + SILENCE;
            let look_at = now + LOOK;
            if now >= silent_at {
                return End::Lost;
            }
            let wake_at = next.pass_at.map_or(look_at, |at| at.min(look_at)).min(silent_at);
            // The timer is moved only forwards in haste: one that rings too early costs less than moving it each time.
            if timer_at.is_none_or(|at| wake_at < at || at <= now) {
                timer.as_mut().reset(wake_at.into());
                timer_at = Some(wake_at);
            }
            let Self { shared, reader, writer, decoder, .. } = &mut *self;
            let mut room = decoder.room(READ_BYTES);
            tokio::select! {
                count = reader.read_buf(&mut room) => {
                    if let Err(end) = self.take_in(count) {
                        // Last words go out if they can.
                        let _ = self.shared.turn(now);
                        return end;
                    }
                }
                ready = writer.writable(), if next.is_blocked => {
                    if ready.is_err() {
                        return End::Lost;
                    }
                }
                () = shared.wake.notified() => {}
                () = &mut timer => timer_at = None,
            }
        }
    }

    /// Takes in what was read.
    fn take_in(&mut self, count: io::Result<usize>) -> Result<(), End> {
        match count {
            Ok(0) | Err(_) => Err(End::Lost),
            Ok(_) => {
                self.heard_at = Instant::now();
                self.deliver()
            }
        }
    }

    fn deliver(&mut self) -> Result<(), End> {
        loop {
            match self.decoder.next() {
                Ok(Some(message)) => {
                    self.has_served |=
                        matches!(message, Incoming::Message(ToClient::Outcome(_) | ToClient::Reply(_)));
                    self.messages.push(message);
                }
                Ok(None) => break,
                // It takes this client for something else, and will again.
                Err(error @ DecodeError::Misplaced(_)) => return Err(End::Refused(error.to_string())),
                Err(_) => return Err(End::Lost),
            }
        }
        if self.messages.is_empty() {
            return Ok(());
        }
        match self.shared.hear(self.heard_at, &mut self.messages) {
            Disposition::Fine => Ok(()),
            Disposition::Refused(why) => Err(End::Refused(why)),
            Disposition::Goodbye => Err(End::Lost),
        }
    }
}
