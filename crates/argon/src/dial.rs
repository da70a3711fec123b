//! Calling a manager: connect, prove the key, check that it holds the key too. One try; who calls decides whether to try again.
//!
//! For clients, and for workers and commands, which dial in other roles.

use std::time::Duration;

use argon_proto::frame::{Frames, Outbox};
use argon_proto::handshake::{Dialler, MAGIC, PLAIN_CHANNEL, Refusal, RefusalCode, Welcome};
use argon_proto::key::{Key, Role};
use argon_proto::kind;
use argon_proto::limit::FRAME_BYTES;
use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connecting and the handshake may take so long.
const DIAL_WITHIN: Duration = Duration::from_secs(5);
/// Silence after which keepalive asks the peer's kernel.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// Between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// Unanswered bytes end the connection after this.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// A manager that has proven the key.
#[derive(Debug)]
pub struct Reached {
    /// The address under which it was reached.
    pub address: String,
    /// The connection.
    pub stream: TcpStream,
    /// What was read behind the handshake.
    pub frames: Frames,
    /// What the manager said.
    pub welcome: Welcome,
}

/// Why a manager was not reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No connection, or it broke.
    #[error("the manager at {address} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// One side refused the other in words.
    #[error("the manager at {address} was not joined: {refusal}")]
    Refused {
        /// Where.
        address: String,
        /// The words.
        refusal: Refusal,
    },
    /// The key does not open the role.
    #[error("this key does not open the role {0}")]
    Role(&'static str),
}

/// Reaches the manager at `address` in the given role.
///
/// # Errors
/// As told by [`DialError`].
pub async fn dial(address: &str, key: &Key, role: Role) -> Result<Reached, DialError> {
    let unreachable = |why: String| DialError::Unreachable { address: address.to_owned(), why };
    match tokio::time::timeout(DIAL_WITHIN, dial_now(address, key, role)).await {
        Ok(Ok(reached)) => Ok(reached),
        Ok(Err(Trouble::Io(error))) => Err(unreachable(error.to_string())),
        Ok(Err(Trouble::Refused(refusal))) => {
            Err(DialError::Refused { address: address.to_owned(), refusal })
        }
        Ok(Err(Trouble::Role)) => Err(DialError::Role(role.name())),
        Err(_) => Err(unreachable("it did not answer within 5 s".to_owned())),
    }
}

enum Trouble {
    Io(std::io::Error),
    Refused(Refusal),
    Role,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn dial_now(address: &str, key: &Key, role: Role) -> Result<Reached, Trouble> {
    let mut stream = TcpStream::connect(address).await.map_err(Trouble::Io)?;
    prepare(&stream);
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| {
        Refusal::new(RefusalCode::Busy, format!("the system gives no random bytes: {error}"))
    })?;
    let (mut dialler, hello) = Dialler::hello(key, role, nonce).ok_or(Trouble::Role)?;
    let mut frames = Frames::default();
    let mut out = Outbox::default();
    out.push_raw(&MAGIC);
    out.push_frame(kind::HELLO, &hello);
    write_all(&mut stream, &mut out).await?;
    let challenge = frame(&mut stream, &mut frames, kind::CHALLENGE).await?;
    let proof = dialler.proof(&challenge, &PLAIN_CHANNEL)?;
    out.push_frame(kind::PROOF, &proof);
    write_all(&mut stream, &mut out).await?;
    let welcome = frame(&mut stream, &mut frames, kind::WELCOME).await?;
    let welcome = dialler.check(&welcome)?;
    Ok(Reached { address: address.to_owned(), stream, frames, welcome })
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

async fn frame(stream: &mut TcpStream, frames: &mut Frames, wanted: u8) -> Result<Bytes, Trouble> {
    loop {
        let next = frames.next_frame(FRAME_BYTES).map_err(|_| {
            Refusal::new(
                RefusalCode::Frame,
                "it does not speak the Argon protocol; is that a manager's port?",
            )
        })?;
        match next {
            Some((kind, body)) if kind == wanted => return Ok(body),
            Some((kind::REFUSED, body)) => return Err(Refusal::from_json(&body).into()),
            Some(_) => return Err(Refusal::new(RefusalCode::Frame, "its handshake is out of order").into()),
            None => {
                let count = stream.read_buf(frames.buffer()).await.map_err(Trouble::Io)?;
                if count == 0 {
                    let why = "it closed the connection during the handshake";
                    return Err(Trouble::Io(std::io::Error::other(why)));
                }
            }
        }
    }
}

/// No delay, keepalive, and a bound on unanswered bytes. What a kernel lacks is left out.
pub fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(3);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}
