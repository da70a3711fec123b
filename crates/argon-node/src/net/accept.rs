//! Letting peers in: bounded in number, time and bytes until they have proven the key.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use argon_proto::frame::{Frames, Outbox};
use argon_proto::handshake::{Listener as Proof, MAGIC, PLAIN_CHANNEL, Refusal, RefusalCode, Welcome};
use argon_proto::key::{Key, Role};
use argon_proto::kind;
use argon_proto::limit::FRAME_BYTES_BEFORE_PROOF;
use bytes::Buf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, unconstrained};
use tokio::time::Instant;

use crate::random;

/// How long a peer may take to prove the key.
const PROVE_WITHIN: Duration = Duration::from_secs(5);
/// Bytes that a peer may send until it has proven the key.
const PROVE_BYTES: usize = FRAME_BYTES_BEFORE_PROOF + 64;
/// Peers that may be proving the key at once; one more, and the one that has been at it longest is closed. Who
/// holds the key proves it within milliseconds, so a flood of strangers drives out strangers.
const PENDING_AT_MOST: usize = 4096;
/// Nobody is closed for another's sake before that time: when thousands of workers come back at once, each holds the key,
/// and the next ones wait better in the kernel's queue.
const PENDING_AT_LEAST: Duration = Duration::from_secs(1);
/// Peers that are accepted before others get their turn: under load that comes seldom, and thousands may be waiting.
const ACCEPT_TURN: u32 = 512;
/// Between two looks for room.
const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// Pause when the process has no descriptor left for another peer.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A peer that has proven the key.
#[derive(Debug)]
pub struct Admitted {
    /// Its connection.
    pub stream: TcpStream,
    /// What was read behind the handshake.
    pub frames: Frames,
    /// What it may do.
    pub role: Role,
    /// Where it comes from.
    pub from: SocketAddr,
}

/// Accepts for ever; hands on the peers that prove the key.
pub async fn serve(
    listener: TcpListener,
    key: Key,
    welcome: Welcome,
    admit: impl Fn(Admitted) + Clone + 'static,
) {
    let mut pending = Pending::default();
    let mut was_exhausted = false;
    let mut turn = 0;
    loop {
        pending.make_room().await;
        turn += 1;
        if turn == ACCEPT_TURN {
            turn = 0;
            tokio::task::yield_now().await;
        }
        let (stream, from) = match unconstrained(listener.accept()).await {
            Ok(accepted) => accepted,
            Err(error) => {
                if !was_exhausted {
                    tracing::warn!("accepting pauses until there is room again: {error}");
                }
                was_exhausted = true;
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
                continue;
            }
        };
        was_exhausted = false;
        let (key, welcome, admit) = (key.clone(), welcome.clone(), admit.clone());
        let proving = async move {
            match tokio::time::timeout(PROVE_WITHIN, prove(stream, from, &key, &welcome)).await {
                Ok(Ok(admitted)) => admit(admitted),
                Ok(Err(why)) => tracing::info!("a connection from {from} was refused: {why}"),
                Err(_) => tracing::info!(
                    "a connection from {from} was refused: it did not prove the key within 5 s"
                ),
            }
        };
        pending.add(tokio::task::spawn_local(proving).abort_handle());
    }
}

/// The peers that are proving the key, the oldest first; some may have finished.
#[derive(Default)]
struct Pending {
    proving: VecDeque<(Instant, AbortHandle)>,
}

impl Pending {
    fn add(&mut self, task: AbortHandle) {
        self.proving.push_back((Instant::now(), task));
    }

    /// Waits until one more may be proving the key.
    async fn make_room(&mut self) {
        while self.proving.len() >= PENDING_AT_MOST {
            self.proving.retain(|(_, task)| !task.is_finished());
            if self.proving.len() < PENDING_AT_MOST {
                return;
            }
            match self.proving.pop_front_if(|(since, _)| since.elapsed() >= PENDING_AT_LEAST) {
                Some((_, oldest)) => oldest.abort(),
                None => tokio::time::sleep(ROOM_PAUSE).await,
            }
        }
    }
}

async fn prove(
    mut stream: TcpStream,
    from: SocketAddr,
    key: &Key,
    welcome: &Welcome,
) -> Result<Admitted, String> {
    argon::dial::prepare(&stream);
    let mut opening = Opening { frames: Frames::default(), read: 0 };
    opening.magic(&mut stream).await?;
    let shaken = shake(&mut stream, &mut opening, key, welcome).await;
    match shaken {
        Ok(role) => Ok(Admitted { stream, frames: opening.frames, role, from }),
        Err(refusal) => {
            let mut out = Outbox::default();
            out.push_frame(kind::REFUSED, &refusal.to_json());
            // The peer may be gone already.
            let _ = write_all(&mut stream, &mut out).await;
            Err(refusal.message)
        }
    }
}

async fn shake(
    stream: &mut TcpStream,
    opening: &mut Opening,
    key: &Key,
    welcome: &Welcome,
) -> Result<Role, Refusal> {
    let hello = opening.frame(stream, kind::HELLO).await?;
    let nonce = random::bytes().map_err(|failure| Refusal::new(RefusalCode::Busy, failure.to_string()))?;
    let (proof, challenge) = Proof::challenge(key, &hello, nonce, &PLAIN_CHANNEL)?;
    let mut out = Outbox::default();
    out.push_frame(kind::CHALLENGE, &challenge);
    write_all(stream, &mut out).await?;
    let proven = opening.frame(stream, kind::PROOF).await?;
    let (role, body) = proof.welcome(&proven, welcome)?;
    out.push_frame(kind::WELCOME, &body);
    write_all(stream, &mut out).await?;
    Ok(role)
}

/// What a peer says before it is known.
struct Opening {
    frames: Frames,
    read: usize,
}

impl Opening {
    async fn magic(&mut self, stream: &mut TcpStream) -> Result<(), String> {
        while self.frames.buffer().len() < MAGIC.len() {
            self.read_more(stream).await.map_err(|refusal| refusal.message)?;
            let start = self.frames.buffer();
            let length = start.len().min(MAGIC.len());
            if start[..length] != MAGIC[..length] {
                return Err(answer_stranger(stream, start).await);
            }
        }
        self.frames.buffer().advance(MAGIC.len());
        Ok(())
    }

    async fn frame(&mut self, stream: &mut TcpStream, wanted: u8) -> Result<bytes::Bytes, Refusal> {
        loop {
            let frame = self
                .frames
                .next_frame(FRAME_BYTES_BEFORE_PROOF)
                .map_err(|error| Refusal::new(RefusalCode::Frame, error.to_string()))?;
            match frame {
                Some((kind, body)) if kind == wanted => return Ok(body),
                Some((kind, _)) => {
                    return Err(Refusal::new(
                        RefusalCode::Frame,
                        format!("kind 0x{kind:02x} has no place in the handshake"),
                    ));
                }
                None => self.read_more(stream).await?,
            }
        }
    }

    async fn read_more(&mut self, stream: &mut TcpStream) -> Result<(), Refusal> {
        let room = PROVE_BYTES.saturating_sub(self.read);
        if room == 0 {
            return Err(Refusal::new(RefusalCode::Frame, "too much was sent before the key was proven"));
        }
        let mut bytes = [0; PROVE_BYTES];
        let count = stream
            .read(&mut bytes[..room])
            .await
            .map_err(|error| Refusal::new(RefusalCode::Frame, error.to_string()))?;
        if count == 0 {
            return Err(Refusal::new(
                RefusalCode::Frame,
                "it closed the connection before it had proven the key",
            ));
        }
        self.read += count;
        self.frames.buffer().extend_from_slice(&bytes[..count]);
        Ok(())
    }
}

/// Tells an HTTP client in its own tongue that it is wrong here; says what the stranger seems to be.
async fn answer_stranger(stream: &mut TcpStream, start: &[u8]) -> String {
    match start.first() {
        Some(0x16) => "it began a TLS connection, which this release does not serve".to_owned(),
        Some(letter) if letter.is_ascii_uppercase() => {
            let answer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
                          This port speaks the Argon protocol, not HTTP. See 'argon status'.\n";
            let _ = stream.write_all(answer.as_bytes()).await;
            "it does not speak the Argon protocol (perhaps HTTP)".to_owned()
        }
        Some(_) | None => "it does not speak the Argon protocol".to_owned(),
    }
}

/// Writes everything that waits in `out`.
///
/// # Errors
/// If the connection broke.
pub async fn write_all(stream: &mut TcpStream, out: &mut Outbox) -> Result<(), Refusal> {
    while !out.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 16];
        let count = out.slices(&mut slices);
        let written = stream
            .write_vectored(&slices[..count])
            .await
            .map_err(|error| Refusal::new(RefusalCode::Frame, format!("the connection broke: {error}")))?;
        out.advance(written);
    }
    Ok(())
}
