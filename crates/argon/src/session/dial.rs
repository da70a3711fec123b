//! Finding a manager: which address next, the proof of the key, when to give up, how long to pause.
//!
//! The first connection of a client fails soon and in words; one that was lost is sought for ever.

use std::time::{Duration, Instant};

use argon_proto::frame::{Decoder, Outbox};
use argon_proto::handshake::{Dialler, MAGIC, PLAIN_CHANNEL, Refusal, Welcome};
use argon_proto::key::{Key, Role};
use argon_proto::limit::FRAME_BYTES;
use argon_proto::message::kind;
use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{Error, ErrorKind};

/// Connecting and the handshake may take so long.
const DIAL_WITHIN: Duration = Duration::from_secs(5);
/// A first connection is tried for so long.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(2);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// Unanswered bytes end the connection after this.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// A manager that has proven the key.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) stream: TcpStream,
    pub(crate) decoder: Decoder,
    pub(crate) welcome: Welcome,
}

/// The managers of a cluster, and which to try next.
#[derive(Debug)]
pub(crate) struct Seeker {
    addresses: Vec<String>,
    next: usize,
    key: Key,
    patience: Duration,
    tries: u32,
}

#[derive(Debug)]
enum Trouble {
    Io(std::io::Error),
    Refused(Refusal),
    /// The key does not open the role.
    Role,
    Slow,
}

impl Seeker {
    pub(crate) fn new(addresses: Vec<String>, key: Key, patience: Option<Duration>) -> Self {
        Self { addresses, next: 0, key, patience: patience.unwrap_or(FIRST_WITHIN), tries: 0 }
    }

    /// The first connection: an answer for the caller soon, whatever it is.
    pub(crate) async fn first(&mut self) -> Result<Reached, Error> {
        let since = Instant::now();
        loop {
            let address = self.address();
            match self.try_once().await {
                Ok(reached) => return Ok(reached),
                Err(trouble) if trouble.is_for_good() || since.elapsed() >= self.patience => {
                    return Err(Error::new(ErrorKind::Unreachable, trouble.sentence(&address)));
                }
                Err(_) => tokio::time::sleep(self.pause()).await,
            }
        }
    }

    /// One try to come back; a pause is part of a failed one.
    pub(crate) async fn again(&mut self) -> Option<Reached> {
        match self.try_once().await {
            Ok(reached) => Some(reached),
            Err(_) => {
                tokio::time::sleep(self.pause()).await;
                None
            }
        }
    }

    /// The present manager ended the connection in words: not at once again.
    pub(crate) fn refused(&mut self) {
        self.tries += 3;
        self.next += 1;
    }

    fn address(&self) -> String {
        self.addresses[self.next % self.addresses.len()].clone()
    }

    async fn try_once(&mut self) -> Result<Reached, Trouble> {
        let address = self.address();
        let reached = tokio::time::timeout(DIAL_WITHIN, dial(&address, &self.key)).await;
        match reached.unwrap_or(Err(Trouble::Slow)) {
            Ok(reached) => {
                self.tries = 0;
                Ok(reached)
            }
            Err(trouble) => {
                self.tries += 1;
                self.next += 1;
                Err(trouble)
            }
        }
    }

    /// Doubling, and jittered over half of it, so that the clients of a restarted manager do not all come at once.
    pub(crate) fn pause(&self) -> Duration {
        let whole = (PAUSE * 2_u32.pow(self.tries.saturating_sub(1).min(6))).min(PAUSE_MOST);
        let chance = random::<1>().map_or(0.5, |byte| f64::from(byte[0]) / 255.0);
        whole.mul_f64(0.5 + chance / 2.0)
    }
}

impl Trouble {
    /// Another try would not help.
    fn is_for_good(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.code != "busy",
            Self::Role => true,
            Self::Io(_) | Self::Slow => false,
        }
    }

    fn sentence(&self, address: &str) -> String {
        match self {
            Self::Io(why) => format!(
                "the manager at {address} cannot be reached: {why}; is it running, and is the address right?"
            ),
            Self::Slow => {
                format!("the manager at {address} did not answer within {} s", DIAL_WITHIN.as_secs())
            }
            Self::Refused(refusal) => format!("the manager at {address} was not joined: {refusal}"),
            Self::Role => "this key does not open the role client; use the cluster key, or a client's \
                           ('argon key --role client')"
                .to_owned(),
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// `N` random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Unreachable, format!("the system gives no random bytes: {error}"))
    })?;
    Ok(bytes)
}

async fn dial(address: &str, key: &Key) -> Result<Reached, Trouble> {
    let mut stream = TcpStream::connect(address).await.map_err(Trouble::Io)?;
    prepare(&stream);
    let nonce = random().map_err(|error| Refusal::new("busy", error.to_string()))?;
    let (mut dialler, hello) = Dialler::hello(key, Role::Client, nonce).ok_or(Trouble::Role)?;
    let mut decoder = Decoder::default();
    let mut out = Outbox::default();
    out.push_raw(&MAGIC);
    out.push_frame(kind::HELLO, &hello);
    write_all(&mut stream, &mut out).await?;
    let challenge = frame(&mut stream, &mut decoder, kind::CHALLENGE).await?;
    let proof = dialler.proof(&challenge, &PLAIN_CHANNEL)?;
    out.push_frame(kind::PROOF, &proof);
    write_all(&mut stream, &mut out).await?;
    let welcome = frame(&mut stream, &mut decoder, kind::WELCOME).await?;
    let welcome = dialler.check(&welcome)?;
    Ok(Reached { stream, decoder, welcome })
}

async fn write_all(stream: &mut TcpStream, out: &mut Outbox) -> Result<(), Trouble> {
    while !out.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 4];
        let count = out.slices(&mut slices);
        let written = stream.write_vectored(&slices[..count]).await.map_err(Trouble::Io)?;
        out.advance(written);
    }
    Ok(())
}

async fn frame(stream: &mut TcpStream, decoder: &mut Decoder, wanted: u8) -> Result<Bytes, Trouble> {
    loop {
        let next = decoder.next_frame(FRAME_BYTES).map_err(|_| {
            Refusal::new("frame", "it does not speak the Argon protocol; is that a manager's port?")
        })?;
        match next {
            Some((kind, body)) if kind == wanted => return Ok(body),
            Some((kind::REFUSED, body)) => return Err(Refusal::from_json(&body).into()),
            Some(_) => return Err(Refusal::new("frame", "its handshake is out of order").into()),
            None => {
                let count = stream.read_buf(decoder.buffer()).await.map_err(Trouble::Io)?;
                if count == 0 {
                    let why = "it closed the connection during the handshake";
                    return Err(Trouble::Io(std::io::Error::other(why)));
                }
            }
        }
    }
}

/// No delay, keepalive, and a bound on unanswered bytes. What a kernel lacks is left out.
fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(3);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}
