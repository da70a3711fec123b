//! Moves messages over a proven connection, with signs of life, until it ends.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::pin;
use std::time::Duration;

use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::conversation::{Control, Goodbye, Incoming};
use argon_proto::frame::{Decoder, Frames, Outbox};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::worker::uplink::LinkEvent;

/// A PING goes out when nothing else did for so long.
const PING_AFTER: Duration = Duration::from_secs(5);
/// A manager that was not heard for so long is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// The last words of a worker are written within that time.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);
/// Messages taken from the worker at once.
const BATCH: usize = 1024;
/// Room that is made for one read.
const READ_BYTES: usize = 64 << 10;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The worker has dropped its end, and all it said is written.
    WorkerGone,
    /// The manager is gone.
    Lost {
        /// Whether it had known this worker.
        was_registered: bool,
        /// What happened.
        why: String,
    },
}

/// A connection with its half-read and half-written messages.
#[derive(Debug)]
pub(super) struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    decoder: Decoder<Incoming<ToWorker>>,
    pub(super) outbox: Outbox,
    last_sent: Instant,
    last_heard: Instant,
    is_registered: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, frames: Frames) -> Self {
        let now = Instant::now();
        let (reader, writer) = stream.into_split();
        Self {
            reader,
            writer,
            decoder: frames.into(),
            outbox: Outbox::default(),
            last_sent: now,
            last_heard: now,
            is_registered: false,
        }
    }

    /// Pumps until the connection ends. `on_registered` is called when the manager knows the worker.
    pub(super) async fn pump(
        mut self,
        events: &mpsc::UnboundedSender<LinkEvent>,
        from_worker: &mut mpsc::UnboundedReceiver<FromWorker>,
        on_registered: impl FnMut(),
    ) -> Ended {
        match self.pump_until_lost(events, from_worker, on_registered).await {
            Ok(()) => Ended::WorkerGone,
            Err(why) => Ended::Lost { was_registered: self.is_registered, why },
        }
    }

    async fn pump_until_lost(
        &mut self,
        events: &mpsc::UnboundedSender<LinkEvent>,
        from_worker: &mut mpsc::UnboundedReceiver<FromWorker>,
        mut on_registered: impl FnMut(),
    ) -> Result<(), String> {
        let mut batch = Vec::with_capacity(BATCH);
        let alarm = sleep_until(self.next_check());
        tokio::pin!(alarm);
        // What came with the last frame of the handshake.
        self.take_messages(events, &mut on_registered)?;
        loop {
            self.write()?;
            let mut buffer = self.decoder.room(READ_BYTES);
            tokio::select! {
                // In this order: a question for a blob is looked at before what is left of that blob is read.
                biased;
                () = &mut alarm => {
                    self.check_life()?;
                    alarm.as_mut().reset(self.next_check());
                }
                count = from_worker.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return self.write_last_words().await;
                    }
                    batch.drain(..).for_each(|message| self.push(message));
                }
                // A read that fills its room only in part has emptied the socket, and tokio knows that too.
                read = poll_fn(|context| pin!(self.reader.read_buf(&mut buffer)).poll(context)) => {
                    self.on_read(read.map_err(words)?, events, &mut on_registered)?;
                }
                ready = self.writer.writable(), if !self.outbox.is_empty() => ready.map_err(words)?,
            }
        }
    }

    fn push(&mut self, mut message: FromWorker) {
        if let FromWorker::NeedBlob(hashes) = &mut message {
            // The bytes of a blob may still be coming while the task that names it is here.
            hashes.retain(|hash| !self.decoder.is_arriving(*hash));
            if hashes.is_empty() {
                return;
            }
        }
        self.outbox.push(&message);
    }

    fn on_read(
        &mut self,
        count: usize,
        events: &mpsc::UnboundedSender<LinkEvent>,
        on_registered: &mut impl FnMut(),
    ) -> Result<(), String> {
        let now = Instant::now();
        if now >= self.last_heard + SILENCE_LIMIT {
            // This process stood still. What the manager had said before it gave this worker up must not be obeyed.
            return Err(silence());
        }
        if count == 0 {
            return Err("it closed the connection".to_owned());
        }
        self.take_messages(events, on_registered)?;
        self.last_heard = now;
        let _ = events.send(LinkEvent::Heard);
        Ok(())
    }

    fn take_messages(
        &mut self,
        events: &mpsc::UnboundedSender<LinkEvent>,
        on_registered: &mut impl FnMut(),
    ) -> Result<(), String> {
        while let Some(message) = self.decoder.next().map_err(|error| error.to_string())? {
            let message = match message {
                Incoming::Control(Control::Ping(token)) => {
                    self.outbox.push(&Control::Pong(token));
                    continue;
                }
                Incoming::Control(Control::Pong(_)) => continue,
                Incoming::Control(Control::Refused(refusal)) => return Err(refusal.message),
                Incoming::Message(ToWorker::Goodbye(goodbye)) => return Err(farewell(goodbye)),
                Incoming::Message(message) => message,
            };
            if let ToWorker::Registered(_) = message {
                self.is_registered = true;
                on_registered();
            }
            let _ = events.send(LinkEvent::Message(message));
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), String> {
        while !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 64];
            let count = self.outbox.slices(&mut slices);
            match self.writer.try_write_vectored(&slices[..count]) {
                Ok(written) => self.outbox.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(words(error)),
            }
            self.last_sent = Instant::now();
        }
        Ok(())
    }

    async fn write_last_words(&mut self) -> Result<(), String> {
        let write = async {
            while !self.outbox.is_empty() {
                self.writer.writable().await.map_err(words)?;
                self.write()?;
            }
            Ok(())
        };
        timeout(LAST_WORDS_LIMIT, write).await.unwrap_or(Ok(()))
    }

    fn next_check(&self) -> Instant {
        (self.last_sent + PING_AFTER).min(self.last_heard + SILENCE_LIMIT)
    }

    fn check_life(&mut self) -> Result<(), String> {
        let now = Instant::now();
        if now >= self.last_heard + SILENCE_LIMIT {
            return Err(silence());
        }
        if now >= self.last_sent + PING_AFTER {
            self.outbox.push(&Control::Ping(0));
            // Also when the socket is full: the next one is due as long after this one.
            self.last_sent = now;
        }
        Ok(())
    }
}

fn silence() -> String {
    format!("it was silent for {} s", SILENCE_LIMIT.as_secs())
}

fn words(error: io::Error) -> String {
    error.to_string()
}

fn farewell(goodbye: Goodbye) -> String {
    if goodbye.reason.is_empty() { "it said goodbye".to_owned() } else { goodbye.reason }
}

#[cfg(test)]
mod tests {
    use argon_proto::conversation::Blob;
    use argon_proto::{BlobHash, Payload};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_blob_whose_last_bytes_wait_to_be_read_is_not_asked_for_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // What is ready at once is looked at in an order that must not be left to chance.
        for _ in 0..32 {
            runtime.block_on(ask_for_a_blob_that_is_all_but_here());
        }
    }

    async fn ask_for_a_blob_that_is_all_but_here() {
        let payload = Payload::from(vec![7; 300 << 10]);
        let hash = BlobHash::of(payload.parts());
        let mut outbox = Outbox::default();
        outbox.push(&ToWorker::Blob(Blob { hash, payload }));
        let mut bytes = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = outbox.slices(&mut slices);
            let shown: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
            outbox.advance(shown.len());
            bytes.extend(shown);
        }
        let (begun, rest) = bytes.split_at(280 << 10);

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        let (mut manager, _) = listener.accept().await.expect("accepted");
        manager.write_all(rest).await.expect("written");
        stream.readable().await.expect("readable");
        let (to_worker, mut events) = mpsc::unbounded_channel();
        let (worker, mut from_worker) = mpsc::unbounded_channel();
        worker.send(FromWorker::NeedBlob(vec![hash])).expect("the link runs");
        let mut link = Connection::new(stream, Frames::default());
        link.decoder.buffer().extend_from_slice(begun);
        assert_eq!(link.decoder.next(), Ok(None));
        let pumping = link.pump(&to_worker, &mut from_worker, || {});
        let ending = async {
            while !matches!(events.recv().await, Some(LinkEvent::Message(ToWorker::Blob(_)))) {}
            drop(worker);
        };
        let (ended, ()) = tokio::join!(pumping, ending);
        assert!(matches!(ended, Ended::WorkerGone));
        let mut said = Vec::new();
        manager.read_to_end(&mut said).await.expect("read");
        assert_eq!(said, b"", "the link asked for the blob");
    }
}
