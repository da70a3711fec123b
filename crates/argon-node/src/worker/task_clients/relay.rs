//! Relays the frames between a task's client and the manager, unchanged but for WAITS and signs of life
//! (`spec/protocol.md`, section 9).

use std::io;
use std::time::Duration;

use argon_proto::frame::Frames;
use argon_proto::{kind, limit};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Room for one read.
const READ_BYTES: usize = 64 << 10;
const PING_TOKEN: u64 = 0;

/// One side of a relayed connection.
#[derive(Debug)]
pub(crate) struct Side<R, W> {
    reader: R,
    frames: Frames,
    /// Locked for the time of one write: its other side and its own pings write here.
    writer: Mutex<W>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Side<R, W> {
    /// A side; `frames` are the bytes that were read already.
    pub(crate) fn new(reader: R, frames: Frames, writer: W) -> Self {
        Self { reader, frames, writer: Mutex::new(writer) }
    }

    /// The next frame; none at the end of the stream.
    ///
    /// # Errors
    /// If reading fails, or for a frame of more than `limit` bytes.
    pub(crate) async fn next_frame(&mut self, limit: usize) -> io::Result<Option<(u8, Bytes)>> {
        loop {
            if let Some(frame) = self.frames.next_frame(limit).map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            if self.reader.read_buf(&mut self.frames.room(READ_BYTES)).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Writes whole frames.
    ///
    /// # Errors
    /// If writing fails.
    pub(crate) async fn write(&self, frames: &[u8]) -> io::Result<()> {
        write(&self.writer, frames).await
    }
}

/// Times that keep a relay to the manager alive, and end it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signs {
    /// Time between two pings to the manager.
    pub(crate) ping_after: Duration,
    /// Time without a byte of the manager after which the relay ends.
    pub(crate) silence: Duration,
}

impl Default for Signs {
    fn default() -> Self {
        Self { ping_after: limit::PING_AFTER, silence: limit::SILENCE }
    }
}

/// Relays until one side ends. `on_waits` gets what the task's client reports of its waiting.
///
/// # Errors
/// If the manager is silent for too long, or a side breaks.
pub(crate) async fn relay<R1, W1, R2, W2>(
    task: &mut Side<R1, W1>,
    manager: &mut Side<R2, W2>,
    signs: Signs,
    on_waits: impl Fn(bool),
) -> io::Result<()>
where
    R1: AsyncRead + Unpin,
    W1: AsyncWrite + Unpin,
    R2: AsyncRead + Unpin,
    W2: AsyncWrite + Unpin,
{
    let Side { reader: task_reader, frames: task_frames, writer: to_task } = task;
    let Side { reader: manager_reader, frames: manager_frames, writer: to_manager } = manager;
    let up = pump(task_reader, task_frames, to_manager, to_task, Duration::MAX, |kind, body| {
        if kind == kind::WAITS {
            on_waits(body.first() == Some(&1));
        }
        kind != kind::WAITS
    });
    let down = pump(manager_reader, manager_frames, to_task, to_manager, signs.silence, |_, _| true);
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
        failed = ping(to_manager, signs.ping_after) => failed,
    }
}

/// Passes frames on in one direction. Answers the pings of the sender over `back`.
async fn pump<R: AsyncRead + Unpin, W: AsyncWrite + Unpin, B: AsyncWrite + Unpin>(
    reader: &mut R,
    frames: &mut Frames,
    forth: &Mutex<W>,
    back: &Mutex<B>,
    silence_limit: Duration,
    is_passed: impl Fn(u8, &Bytes) -> bool,
) -> io::Result<()> {
    let mut passed = BytesMut::new();
    let mut answers = BytesMut::new();
    loop {
        while let Some((kind, body)) = frames.next_frame(limit::FRAME_BYTES).map_err(io::Error::other)? {
            match kind {
                kind::PING => put_frame(&mut answers, kind::PONG, &body),
                kind::PONG => {}
                _ if is_passed(kind, &body) => put_frame(&mut passed, kind, &body),
                _ => {}
            }
        }
        if !answers.is_empty() {
            write(back, &answers).await?;
            answers.clear();
        }
        if !passed.is_empty() {
            write(forth, &passed).await?;
            passed.clear();
        }
        let mut room = frames.room(READ_BYTES);
        let read = timeout(silence_limit, reader.read_buf(&mut room)).await;
        if read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
            return Ok(());
        }
    }
}

/// Sends signs of life for ever.
async fn ping(writer: &Mutex<impl AsyncWrite + Unpin>, after: Duration) -> io::Result<()> {
    let mut frame = BytesMut::new();
    put_frame(&mut frame, kind::PING, &PING_TOKEN.to_be_bytes());
    let mut pause = interval(after);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pause.tick().await;
    loop {
        pause.tick().await;
        write(writer, &frame).await?;
    }
}

async fn write(writer: &Mutex<impl AsyncWrite + Unpin>, bytes: &[u8]) -> io::Result<()> {
    writer.lock().await.write_all(bytes).await
}

/// A message of a connection as a frame.
pub(crate) fn frame_of(kind: u8, body: &impl Serialize) -> BytesMut {
    let mut frame = BytesMut::new();
    put_frame(&mut frame, kind, &serde_json::to_vec(body).unwrap_or_default());
    frame
}

/// Appends a frame.
pub(crate) fn put_frame(out: &mut BytesMut, kind: u8, body: &[u8]) {
    out.put_u32(u32::try_from(body.len() + 1).unwrap_or(u32::MAX));
    out.put_u8(kind);
    out.put_slice(body);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::io::{DuplexStream, ReadHalf, WriteHalf, duplex, split};

    use super::*;

    type Half = Side<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

    fn ends() -> (Half, DuplexStream) {
        let (ours, theirs) = duplex(1 << 20);
        let (reader, writer) = split(ours);
        (Side::new(reader, Frames::default(), writer), theirs)
    }

    fn frames(frames: &[(u8, &[u8])]) -> BytesMut {
        let mut bytes = BytesMut::new();
        frames.iter().for_each(|(kind, body)| put_frame(&mut bytes, *kind, body));
        bytes
    }

    #[tokio::test]
    async fn frames_pass_both_ways_but_for_waits_and_pings() {
        let (mut task, mut client) = ends();
        let (mut manager, mut server) = ends();
        let big = vec![7; 200_000];
        let up: &[(u8, &[u8])] =
            &[(kind::OPEN, b"{}"), (kind::WAITS, &[1]), (kind::PING, &[1; 8]), (kind::CHUNK, &big)];
        client.write_all(&frames(up)).await.expect("written");
        client.write_all(&frames(&[(kind::WAITS, &[0]), (kind::ACK, b"x")])).await.expect("written");
        server.write_all(&frames(&[(kind::PING, &[2; 8]), (kind::CREDIT, b"c")])).await.expect("written");
        let waits = RefCell::new(Vec::new());
        let on_waits = |waits_now| waits.borrow_mut().push(waits_now);
        let relaying = relay(&mut task, &mut manager, Signs::default(), on_waits);
        let reading = async {
            let passed = frames(&[(kind::OPEN, b"{}"), (kind::CHUNK, &big), (kind::ACK, b"x")]);
            let mut at_server = vec![0; passed.len() + 13];
            server.read_exact(&mut at_server).await.expect("read");
            let at_server = BytesMut::from(&at_server[..]);
            let pong = frames(&[(kind::PONG, &[2; 8])]);
            // The answer may come at any place between two frames.
            let at = at_server.windows(13).position(|part| part == pong).expect("a PONG");
            assert_eq!([&at_server[..at], &at_server[at + 13..]].concat(), passed);
            let expected = frames(&[(kind::PONG, &[1; 8])]).len() + frames(&[(kind::CREDIT, b"c")]).len();
            let mut at_client = vec![0; expected];
            client.read_exact(&mut at_client).await.expect("read");
            assert!(at_client.windows(13).any(|part| part == frames(&[(kind::PONG, &[1; 8])])));
            drop(client);
        };
        let (ended, ()) = tokio::join!(relaying, reading);
        ended.expect("an orderly end");
        drop(manager);
        assert_eq!(*waits.borrow(), [true, false]);
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.expect("closed");
        assert_eq!(rest, b"");
    }

    #[tokio::test]
    async fn a_silent_manager_ends_the_connection() {
        let (mut task, _client) = ends();
        let (mut manager, _server) = ends();
        let signs = Signs { silence: Duration::from_millis(1), ..Signs::default() };
        let ended = relay(&mut task, &mut manager, signs, |_| ()).await.expect_err("silence");
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_manager_receives_pings_while_nobody_sends() {
        let (mut task, _client) = ends();
        let (mut manager, mut server) = ends();
        let signs = Signs { ping_after: Duration::from_millis(1), ..Signs::default() };
        let ping = frames(&[(kind::PING, &PING_TOKEN.to_be_bytes())]);
        let mut pings = vec![0; 2 * ping.len()];
        tokio::select! {
            ended = relay(&mut task, &mut manager, signs, |_| ()) => panic!("the relay ended: {ended:?}"),
            read = server.read_exact(&mut pings) => assert_eq!(read.expect("two pings"), pings.len()),
        }
        assert_eq!(pings, [&ping[..], &ping[..]].concat());
    }
}
