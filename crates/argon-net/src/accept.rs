//! Letting peers in: bounded in number, time and bytes until they have proven the key. The first byte tells TLS from plain
//! text, and the first bytes inside an HTTP request from the protocol.

mod admission;
mod counts;
mod http;
mod newcomers;

pub use admission::{Admission, InForce, OpenKeys};
pub use counts::DoorCounts;
pub use http::{HttpAnswer, HttpDoor, HttpMethod, HttpRequest, NoPages};
pub use newcomers::{Closed, Entrance, WaitingConnection, WaitingPeer};

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use argon_proto::frame::{Frames, Outbox};
use argon_proto::handshake::{Listener as Proof, MAGIC, Proven, Refusal, RefusalCode};
use argon_proto::kind;
use argon_proto::limit::{DIAL_WITHIN, FRAME_BYTES_BEFORE_PROOF};
use bytes::Buf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, unconstrained};
use tokio::time::Instant;

use self::counts::TurnedAway;
use crate::handshake::{Opening, OpeningError};
use crate::random;
use crate::stream::Stream;
use crate::tls::accept as tls;

/// Bytes that a peer may send until it has proven the key.
const PROVE_BYTES: usize = FRAME_BYTES_BEFORE_PROOF + 64;
/// Peers that may prove the key at the same time. One more, and the one that has been silent for longest is closed. A
/// holder of the key needs milliseconds, so a flood of strangers drives out strangers.
const PENDING_MAX: usize = 4096;
/// Silence before which no peer is closed for another. When thousands of workers come back at once, each holds the key, and
/// the next ones wait better in the kernel's queue. A peer that waits for us is not silent.
const SILENT_FOR_MIN: Duration = Duration::from_secs(1);
/// Peers that are accepted before other tasks get their turn. Under load that comes seldom, and thousands may be waiting.
const ACCEPT_TURN: u32 = 512;
/// Time between two looks for room.
const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// Pause when the process has no descriptor left for another peer.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// TLS handshakes that are worked on before other tasks get their turn: each costs a tenth of a millisecond or more.
const HANDSHAKES_TURN: usize = 8;
/// The first byte of a TLS connection.
const TLS_FIRST: u8 = 0x16;

const PLAINTEXT: &str = "this manager takes encrypted connections only from other machines; use a release of Argon that \
                         encrypts, without --insecure-plaintext or ARGON_INSECURE_PLAINTEXT. Through a proxy or a forwarded \
                         port of this machine, set ARGON_TLS=always";
/// Refusal of a peer whose cluster key was replaced while it was connected: it may have the new one by now.
pub const RETIRED: &str =
    "the cluster key of this connection was retired; the next connection needs the new one";
const INNER_TLS: &str = "it began a TLS connection inside of another";
const NOT_ARGON: &str = "that is not the Argon protocol";

/// A peer that has proven the key.
#[derive(Debug)]
pub struct Admitted {
    /// Its connection.
    pub stream: Stream,
    /// Bytes that were read behind the handshake.
    pub frames: Frames,
    /// Role and holder that it has proven. The number of its cluster key counts those that were retired before.
    pub proven: Proven,
    /// Its address.
    pub from: SocketAddr,
}

/// Accepts for ever; hands on the peers that prove the key.
pub async fn serve(listener: TcpListener, admission: Admission, admit: impl Fn(Admitted) + Clone + 'static) {
    let admission = Rc::new(admission);
    let turns = Turns::new();
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
        let (admission, admit) = (Rc::clone(&admission), admit.clone());
        let silence = PeerSilence::begin();
        let turn = HandshakeTurn { turns: turns.clone(), silence: silence.clone() };
        let place = pending.place();
        let proving = async move {
            let _place = place;
            match tokio::time::timeout(DIAL_WITHIN, prove(stream, from, &admission, &turn)).await {
                Ok(Ok(Some(admitted))) => admit(admitted),
                Ok(Ok(None)) => {}
                Ok(Err(TurnedAway { reason, why })) => {
                    admission.counts.count(reason);
                    tracing::info!("a connection from {from} was refused: {why}");
                }
                Err(_) => {
                    admission.counts.count("silent");
                    let within = DIAL_WITHIN.as_secs();
                    tracing::info!(
                        "a connection from {from} was refused: it did not prove the key within {within} s"
                    );
                }
            }
        };
        pending.add(tokio::task::spawn_local(proving).abort_handle(), silence);
    }
}

/// The peers that are proving the key.
#[derive(Default)]
struct Pending {
    /// Among them some that have finished.
    proving: Vec<(AbortHandle, PeerSilence)>,
    count: Rc<Cell<usize>>,
}

/// Counts one peer while it proves the key.
struct PendingPlace(Rc<Cell<usize>>);

impl Drop for PendingPlace {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Pending {
    fn place(&self) -> PendingPlace {
        self.count.set(self.count.get() + 1);
        PendingPlace(Rc::clone(&self.count))
    }

    fn add(&mut self, task: AbortHandle, silence: PeerSilence) {
        self.proving.push((task, silence));
        if self.proving.len() >= 2 * PENDING_MAX {
            self.proving.retain(|(task, _)| !task.is_finished());
        }
    }

    /// Waits until one more may be proving the key.
    async fn make_room(&mut self) {
        while self.count.get() >= PENDING_MAX {
            self.proving.retain(|(task, _)| !task.is_finished());
            let silent = self.proving.iter().enumerate();
            let silent = silent.filter_map(|(index, (_, silence))| Some((silence.since()?, index)));
            match silent.min().filter(|(since, _)| since.elapsed() >= SILENT_FOR_MIN) {
                // Its place is free as soon as its task has been dropped.
                Some((_, index)) => {
                    self.proving.swap_remove(index).0.abort();
                    tokio::task::yield_now().await;
                }
                None => tokio::time::sleep(ROOM_PAUSE).await,
            }
        }
    }
}

/// The time since which a peer has been expected to say something; none while it waits for us.
#[derive(Clone)]
struct PeerSilence(Rc<Cell<Option<Instant>>>);

impl PeerSilence {
    fn begin() -> Self {
        Self(Rc::new(Cell::new(Some(Instant::now()))))
    }

    fn since(&self) -> Option<Instant> {
        self.0.get()
    }

    fn pause(&self) {
        self.0.set(None);
    }

    fn restart(&self) {
        self.0.set(Some(Instant::now()));
    }
}

/// The turn of one peer.
struct HandshakeTurn {
    turns: Turns,
    silence: PeerSilence,
}

impl HandshakeTurn {
    async fn take(&self) {
        self.silence.pause();
        self.turns.take().await;
        self.silence.restart();
    }
}

/// Turns at the work of TLS handshakes, first come, first served. A flood of them delays strangers, not the manager.
#[derive(Clone)]
struct Turns {
    free: Rc<Semaphore>,
    spent: Rc<Cell<usize>>,
}

impl Turns {
    fn new() -> Self {
        Self { free: Rc::new(Semaphore::new(HANDSHAKES_TURN)), spent: Rc::default() }
    }

    /// Waits for a turn.
    async fn take(&self) {
        if let Ok(turn) = self.free.acquire().await {
            turn.forget();
        }
        if self.spent.replace(self.spent.get() + 1) == 0 {
            let Self { free, spent } = self.clone();
            tokio::task::spawn_local(async move {
                tokio::task::yield_now().await;
                free.add_permits(spent.take());
            });
        }
    }
}

async fn prove(
    stream: TcpStream,
    from: SocketAddr,
    admission: &Admission,
    turn: &HandshakeTurn,
) -> Result<Option<Admitted>, TurnedAway> {
    let mut opening = opening_of(stream.into());
    opening.read_more().await.map_err(TurnedAway::broken)?;
    let is_encrypted = opening.frames.buffer().first() == Some(&TLS_FIRST);
    if is_encrypted {
        opening = encrypted(opening, admission, turn).await?;
    }
    let may_speak = is_encrypted || admission.allows_plaintext || from.ip().to_canonical().is_loopback();
    if take_magic(&mut opening).await? == Begins::Http {
        http::serve(opening, &*admission.pages, from, may_speak, || turn.silence.pause()).await?;
        return Ok(None);
    }
    let refusal = match shake(&mut opening, admission, may_speak, from).await {
        Ok(Shaken::Proven(proven)) => {
            return Ok(Some(Admitted { stream: opening.stream, frames: opening.frames, proven, from }));
        }
        Ok(Shaken::WithoutKey(begun)) => {
            begun.end(opening, &*admission.entrance, from).await;
            return Ok(None);
        }
        Err(OpeningError::Refused(refusal)) => refusal,
        Err(error @ OpeningError::Broken(_)) => return Err(TurnedAway::broken(error)),
    };
    let mut out = Outbox::default();
    out.push_frame(kind::REFUSED, &refusal.to_json());
    // The peer may be gone already.
    let _ = opening.send(&mut out).await;
    Err(refusal.into())
}

fn opening_of(stream: Stream) -> Opening {
    Opening::new(stream, FRAME_BYTES_BEFORE_PROOF, PROVE_BYTES, NOT_ARGON)
}

/// Continues inside the TLS connection that the peer has begun.
async fn encrypted(
    mut opening: Opening,
    admission: &Admission,
    turn: &HandshakeTurn,
) -> Result<Opening, TurnedAway> {
    let start = opening.frames.buffer().split();
    let Stream::Tcp(stream) = opening.stream else { return Err(TurnedAway::stranger(INNER_TLS)) };
    // Those of this moment: they may change while the peer takes its time.
    let certificates = admission.keys.borrow().certificates.clone();
    let stream = tls::accept(stream, &start, &certificates, turn.take()).await;
    let stream = stream.map_err(|why| TurnedAway { reason: "tls", why })?;
    Ok(opening_of(Stream::Tls(stream)))
}

enum Shaken {
    Proven(Proven),
    WithoutKey(newcomers::Begun),
}

async fn shake(
    opening: &mut Opening,
    admission: &Admission,
    may_speak: bool,
    from: SocketAddr,
) -> Result<Shaken, OpeningError> {
    let channel = opening.stream.channel();
    let hello = opening.frame(kind::HELLO).await?;
    if !may_speak {
        return Err(Refusal::new(RefusalCode::Plaintext, PLAINTEXT).into());
    }
    let shown = |channel: &[u8; 32]| admission.keys.borrow().shown(channel);
    if let Some(begun) = newcomers::begin(opening, &hello, &*admission.entrance, from, shown).await? {
        return Ok(Shaken::WithoutKey(begun));
    }
    let nonce = random::bytes()?;
    let (challenged, retired) = {
        let held = admission.keys.borrow();
        (Proof::challenge(&held.keys, &hello, nonce, &channel), held.retired)
    };
    let (proof, challenge) = challenged?;
    let mut out = Outbox::default();
    out.push_frame(kind::CHALLENGE, &challenge);
    opening.send(&mut out).await?;
    let (mut proven, body) = proof.welcome(&opening.frame(kind::PROOF).await?, &admission.welcome)?;
    proven.key += retired;
    if proven.key < admission.keys.borrow().retired {
        return Err(Refusal::new(RefusalCode::Busy, RETIRED).into());
    }
    (admission.in_force.0)(&proven)?;
    out.push_frame(kind::WELCOME, &body);
    opening.send(&mut out).await?;
    Ok(Shaken::Proven(proven))
}

/// What a peer speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Argon,
    Http,
}

/// Reads the first bytes, and takes them if they are those of the protocol. Those of a request stay.
async fn take_magic(opening: &mut Opening) -> Result<Begins, TurnedAway> {
    loop {
        let start = opening.frames.buffer();
        let length = start.len().min(MAGIC.len());
        if start[..length] == MAGIC[..length] {
            if length == MAGIC.len() {
                start.advance(length);
                return Ok(Begins::Argon);
            }
        } else {
            match http::is_request(start) {
                Some(true) => return Ok(Begins::Http),
                Some(false) if start.first() == Some(&TLS_FIRST) => {
                    return Err(TurnedAway::stranger(INNER_TLS));
                }
                Some(false) => {
                    return Err(TurnedAway::stranger("it does not speak the Argon protocol"));
                }
                None => {}
            }
        }
        opening.read_more().await.map_err(TurnedAway::broken)?;
    }
}
