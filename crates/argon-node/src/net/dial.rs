//! Calling a manager: connect, prove the key, check that it holds the key too.

use std::time::Duration;

use argon_proto::frame::{Decoder, Outbox};
use argon_proto::handshake::{Dialler, MAGIC, PLAIN_CHANNEL, Refusal, Welcome};
use argon_proto::key::{Key, Role};
use argon_proto::limit::FRAME_BYTES;
use argon_proto::message::kind;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::accept::write_all;
use super::socket;
use crate::exit::{Failure, Kind};
use crate::random;

/// How long connecting and the handshake may take.
const DIAL_WITHIN: Duration = Duration::from_secs(5);

/// A manager that has proven the key.
#[derive(Debug)]
pub struct Reached {
    /// The connection.
    pub stream: TcpStream,
    /// What was read behind the handshake.
    pub decoder: Decoder,
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
    socket::prepare(&stream);
    let nonce = random::bytes().map_err(|failure| Refusal::new("busy", failure.to_string()))?;
    let (mut dialler, hello) = Dialler::hello(key, role, nonce).ok_or(Trouble::Role)?;
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

async fn frame(stream: &mut TcpStream, decoder: &mut Decoder, wanted: u8) -> Result<bytes::Bytes, Trouble> {
    loop {
        let next = decoder.next_frame(FRAME_BYTES).map_err(|_| {
            Refusal::new("frame", "the peer does not speak the Argon protocol; is that a manager's port?")
        })?;
        match next {
            Some((kind, body)) if kind == wanted => return Ok(body),
            Some((kind::REFUSED, body)) => return Err(Refusal::from_json(&body).into()),
            Some(_) => return Err(Refusal::new("frame", "the peer's handshake is out of order").into()),
            None => {
                let count = stream.read_buf(decoder.buffer()).await.map_err(Trouble::Io)?;
                if count == 0 {
                    let error = std::io::Error::other("the peer closed the connection during the handshake");
                    return Err(Trouble::Io(error));
                }
            }
        }
    }
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Self {
        let (kind, advice) = match &error {
            DialError::Unreachable { .. } => (Kind::Reach, "; is it running, and is the address right?"),
            DialError::Refused { refusal, .. } if refusal.code == "key" => (Kind::Key, ""),
            DialError::Refused { .. } => (Kind::Reach, ""),
            DialError::Role(_) => {
                (Kind::Key, "; use the cluster key, or that role's ('argon key --role NAME')")
            }
        };
        Self::new(kind, format!("{error}{advice}"))
    }
}
