//! Letting peers in: bounded in number, time and bytes until they have proven the key.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use argon_proto::frame::{Frames, Outbox};
use argon_proto::handshake::{Listener as Proof, MAGIC, Welcome};
use argon_proto::key::{Key, Role};
use argon_proto::kind;
use argon_proto::limit::{DIAL_WITHIN, FRAME_BYTES_BEFORE_PROOF};
use bytes::Buf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, unconstrained};
use tokio::time::Instant;

use crate::handshake::{Opening, OpeningError};
use crate::random;
use crate::stream::Stream;

/// Bytes that a peer may send until it has proven the key.
const PROVE_BYTES: usize = FRAME_BYTES_BEFORE_PROOF + 64;
/// Peers that may prove the key at the same time. One more, and the one that began first is closed. A holder of the key
/// needs milliseconds, so a flood of strangers drives out strangers.
const PENDING_MAX: usize = 4096;
/// Time before which no peer is closed for another. When thousands of workers come back at once, each holds the key, and
/// the next ones wait better in the kernel's queue.
const PENDING_FOR_MIN: Duration = Duration::from_secs(1);
/// Peers that are accepted before other tasks get their turn. Under load that comes seldom, and thousands may be waiting.
const ACCEPT_TURN: u32 = 512;
/// Time between two looks for room.
const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// Pause when the process has no descriptor left for another peer.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

const NOT_ARGON: &str = "that is not the Argon protocol";

/// A peer that has proven the key.
#[derive(Debug)]
pub struct Admitted {
    /// Its connection.
    pub stream: Stream,
    /// Bytes that were read behind the handshake.
    pub frames: Frames,
    /// The role that it has proven.
    pub role: Role,
    /// Its address.
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
            match tokio::time::timeout(DIAL_WITHIN, prove(stream, from, &key, &welcome)).await {
                Ok(Ok(admitted)) => admit(admitted),
                Ok(Err(why)) => tracing::info!("a connection from {from} was refused: {why}"),
                Err(_) => tracing::info!(
                    "a connection from {from} was refused: it did not prove the key within {} s",
                    DIAL_WITHIN.as_secs()
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
        while self.proving.len() >= PENDING_MAX {
            self.proving.retain(|(_, task)| !task.is_finished());
            if self.proving.len() < PENDING_MAX {
                return;
            }
            match self.proving.pop_front_if(|(since, _)| since.elapsed() >= PENDING_FOR_MIN) {
                Some((_, oldest)) => oldest.abort(),
                None => tokio::time::sleep(ROOM_PAUSE).await,
            }
        }
    }
}

async fn prove(
    stream: TcpStream,
    from: SocketAddr,
    key: &Key,
    welcome: &Welcome,
) -> Result<Admitted, String> {
    let stream = secure(stream);
    let mut opening = Opening::new(stream, FRAME_BYTES_BEFORE_PROOF, PROVE_BYTES, NOT_ARGON);
    take_magic(&mut opening).await?;
    let refusal = match shake(&mut opening, key, welcome).await {
        Ok(role) => {
            return Ok(Admitted { stream: opening.stream, frames: opening.frames, role, from });
        }
        Err(OpeningError::Refused(refusal)) => refusal,
        Err(OpeningError::Broken(error)) => return Err(error.to_string()),
    };
    let mut out = Outbox::default();
    out.push_frame(kind::REFUSED, &refusal.to_json());
    // The peer may be gone already.
    let _ = opening.send(&mut out).await;
    Err(refusal.message)
}

/// A connection that carries bytes. Encryption begins here on this side.
fn secure(stream: TcpStream) -> Stream {
    stream.into()
}

async fn shake(opening: &mut Opening, key: &Key, welcome: &Welcome) -> Result<Role, OpeningError> {
    let channel = opening.stream.channel();
    let hello = opening.frame(kind::HELLO).await?;
    let (proof, challenge) = Proof::challenge(key, &hello, random::bytes()?, &channel)?;
    let mut out = Outbox::default();
    out.push_frame(kind::CHALLENGE, &challenge);
    opening.send(&mut out).await?;
    let (role, body) = proof.welcome(&opening.frame(kind::PROOF).await?, welcome)?;
    out.push_frame(kind::WELCOME, &body);
    opening.send(&mut out).await?;
    Ok(role)
}

async fn take_magic(opening: &mut Opening) -> Result<(), String> {
    while opening.frames.buffer().len() < MAGIC.len() {
        opening.read_more().await.map_err(|error| error.to_string())?;
        let start = opening.frames.buffer();
        let length = start.len().min(MAGIC.len());
        if start[..length] != MAGIC[..length] {
            let start = start.split().freeze();
            return Err(answer_stranger(opening, &start).await);
        }
    }
    opening.frames.buffer().advance(MAGIC.len());
    Ok(())
}

/// Answers HTTP requests with 400, and returns what the stranger seems to be.
async fn answer_stranger(opening: &mut Opening, start: &[u8]) -> String {
    match start.first() {
        Some(0x16) => "it began a TLS connection, which this release does not serve".to_owned(),
        Some(letter) if letter.is_ascii_uppercase() => {
            let answer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
                          This port speaks the Argon protocol, not HTTP. See 'argon status'.\n";
            let mut out = Outbox::default();
            out.push_raw(answer.as_bytes());
            let _ = opening.send(&mut out).await;
            "it does not speak the Argon protocol (perhaps HTTP)".to_owned()
        }
        Some(_) | None => "it does not speak the Argon protocol".to_owned(),
    }
}
