//! Reaching a manager: connect, prove the key, check that the manager holds it too. One try; the caller decides about
//! another.

use std::io;
use std::path::Path;

use argon_proto::conversation::child::{Child, FromChild};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::{Credit, WholePayload};
use argon_proto::frame::{Frames, Outbox};
use argon_proto::handshake::{Dialler, MAGIC, Refusal, RefusalCode, Welcome};
use argon_proto::key::{Key, Pin, Role};
use argon_proto::kind;
use argon_proto::limit::{DIAL_WITHIN, FRAME_BYTES};
use argon_proto::{DecodeError, Message};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use crate::handshake::{Opening, OpeningError};
use crate::identity::expected_pin;
use crate::random;
use crate::segments;
use crate::stream::{Stream, set_options};
use crate::tls;
use crate::trust::Trust;

const NOT_A_WORKER: &str = "it does not answer as the worker of a task";
const NO_PIN: &str = "this key does not say which manager to trust, because an older release made it: make it anew with \
                      'argon key --role ROLE' on the manager's machine, or name the CA of the manager's certificate with \
                      --tls-ca";
pub(crate) const NOT_ARGON: &str = "it does not speak the Argon protocol; is that a manager's port?";

/// A manager that has proven the key.
#[derive(Debug)]
pub struct Connected {
    /// The address under which it was reached.
    pub address: String,
    /// The connection.
    pub stream: Stream,
    /// Bytes that were read behind the handshake.
    pub frames: Frames,
    /// The manager's first message.
    pub welcome: Welcome,
}

/// Why a manager was not reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No connection was made, or it broke.
    #[error("the manager at {address} cannot be reached: {why}")]
    Unreachable {
        /// The address that was dialled.
        address: String,
        /// The reason, for people.
        why: String,
    },
    /// One side refused the other.
    #[error("the manager at {address} was not joined: {refusal}")]
    Refused {
        /// The address that was dialled.
        address: String,
        /// The reason.
        refusal: Refusal,
    },
    /// The key does not open the role.
    #[error("this key does not open the role {0}")]
    Role(&'static str),
}

/// Reaches the manager at `address` in the given role.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(address: &str, key: &Key, role: Role, trust: &Trust) -> Result<Connected, DialError> {
    let unreachable = |why: String| DialError::Unreachable { address: address.to_owned(), why };
    // Before it connects: the manager learns nothing of a key that does not fit.
    let nonce = random::bytes().map_err(|error| unreachable(error.to_string()))?;
    let (dialler, hello) = Dialler::hello(key, role, nonce).ok_or(DialError::Role(role.name()))?;
    in_time(address, open(address, key, trust, dialler, &hello)).await
}

/// Reaches the machine at `address` and, if `trust` demands it, encrypts the connection to a manager whose certificate has
/// this pin. Nothing is proven or sent.
///
/// # Errors
/// See [`DialError`].
pub async fn reach(address: &str, pin: Option<Pin>, trust: &Trust) -> Result<Stream, DialError> {
    in_time(address, connect(address, trust, || pin)).await
}

pub(crate) async fn in_time<T>(
    address: &str,
    opening: impl Future<Output = Result<T, OpeningError>>,
) -> Result<T, DialError> {
    match tokio::time::timeout(DIAL_WITHIN, opening).await {
        Ok(opened) => opened.map_err(|error| failed(address, error)),
        Err(_) => {
            let why = format!("it did not answer within {} s", DIAL_WITHIN.as_secs());
            Err(DialError::Unreachable { address: address.to_owned(), why })
        }
    }
}

/// The error of a handshake with the manager at `address`.
pub(crate) fn failed(address: &str, error: OpeningError) -> DialError {
    let address = address.to_owned();
    match error {
        OpeningError::Broken(error) => DialError::Unreachable { address, why: error.to_string() },
        OpeningError::Refused(refusal) => DialError::Refused { address, refusal: with_remedy(refusal) },
    }
}

/// Reaches the manager through the worker of a task, over the worker's socket for its tasks.
///
/// # Errors
/// See [`DialError`]; a worker without a manager refuses with the code `busy`.
pub async fn dial_through_worker(socket: &Path, child: &Child) -> Result<Connected, DialError> {
    let address = format!("{} (the socket of this task's worker)", socket.display());
    let unreachable = |why: String| DialError::Unreachable { address: address.clone(), why };
    match tokio::time::timeout(DIAL_WITHIN, open_at_worker(socket, child)).await {
        Ok(Ok((opening, credit))) => {
            let Credit { tasks: credit_tasks, bytes: credit_bytes } = credit;
            let welcome = Welcome { credit_tasks, credit_bytes, ..Welcome::default() };
            Ok(Connected { address, stream: opening.stream, frames: opening.frames, welcome })
        }
        Ok(Err(OpeningError::Broken(error))) => Err(unreachable(error.to_string())),
        Ok(Err(OpeningError::Refused(refusal))) => Err(DialError::Refused { address, refusal }),
        Err(_) => Err(unreachable(format!("it did not answer within {} s", DIAL_WITHIN.as_secs()))),
    }
}

/// A peer of another version has words of its own, which may not be what helps here.
fn with_remedy(mut refusal: Refusal) -> Refusal {
    const REMEDY: &str = "install the same release of Argon on both sides";
    if refusal.code == RefusalCode::Version && !refusal.message.contains(REMEDY) {
        refusal.message = format!("{} ({REMEDY})", refusal.message);
    }
    refusal
}

async fn open_at_worker(socket: &Path, child: &Child) -> Result<(Opening, Credit), OpeningError> {
    let stream = UnixStream::connect(socket).await?;
    let mut opening = Opening::new(stream.into(), FRAME_BYTES, usize::MAX, NOT_A_WORKER);
    let mut out = Outbox::default();
    out.push(&FromChild::Child(child.clone()));
    opening.send(&mut out).await?;
    let body = opening.frame(kind::CREDIT).await?;
    let message = ToClient::decode(kind::CREDIT, body, &mut WholePayload::default());
    let ToClient::Credit(credit) = message.map_err(|error| not_a_worker(&error))? else {
        return Err(Refusal::new(RefusalCode::Frame, NOT_A_WORKER).into());
    };
    Ok((opening, credit))
}

fn not_a_worker(error: &DecodeError) -> Refusal {
    Refusal::new(RefusalCode::Frame, format!("{NOT_A_WORKER}: {error}"))
}

async fn open(
    address: &str,
    key: &Key,
    trust: &Trust,
    dialler: Dialler,
    hello: &[u8],
) -> Result<Connected, OpeningError> {
    let stream = connect(address, trust, || expected_pin(key)).await?;
    open_on(stream, address, dialler, hello).await
}

/// Proves the key on a connection, and checks the manager's proof.
pub(crate) async fn open_on(
    stream: Stream,
    address: &str,
    mut dialler: Dialler,
    hello: &[u8],
) -> Result<Connected, OpeningError> {
    let channel = stream.channel();
    let mut opening = Opening::new(stream, FRAME_BYTES, usize::MAX, NOT_ARGON);
    let mut out = Outbox::default();
    out.push_raw(&MAGIC);
    out.push_frame(kind::HELLO, hello);
    opening.send(&mut out).await?;
    let challenge = opening.frame(kind::CHALLENGE).await?;
    out.push_frame(kind::PROOF, &dialler.proof(&challenge, &channel)?);
    opening.send(&mut out).await?;
    let welcome = dialler.check(&opening.frame(kind::WELCOME).await?)?;
    Ok(Connected { address: address.to_owned(), stream: opening.stream, frames: opening.frames, welcome })
}

/// A connection that carries bytes, encrypted if `trust` demands that.
pub(crate) async fn connect(
    address: &str,
    trust: &Trust,
    pin: impl FnOnce() -> Option<Pin>,
) -> Result<Stream, OpeningError> {
    let stream = if segments::are_small(address) {
        connect_small(address).await?
    } else {
        TcpStream::connect(address).await?
    };
    if !trust.encrypts(stream.peer_addr()?.ip()) {
        return Ok(stream.into());
    }
    let expected = trust.expected(pin).ok_or_else(|| Refusal::new(RefusalCode::Key, NO_PIN))?;
    let config = trust.config(&expected);
    set_options(&stream);
    Ok(Stream::Tls(tls::connect::connect(stream, host_of(address), &expected, config).await?))
}

/// The host of `HOST:PORT`, an IPv6 address without its brackets.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The size is set before the connection begins, so that the peer hears of it and sends small segments too.
async fn connect_small(address: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket_address in tokio::net::lookup_host(address).await? {
        let socket = if socket_address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        SockRef::from(&socket).set_tcp_mss(segments::SMALL_BYTES)?;
        match socket.connect(socket_address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_of_the_first_version_is_left_with_the_remedy() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let error = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound").to_string();
            let first_version = async {
                let mut stream: Stream = listener.accept().await.expect("accepted").0.into();
                let words = "the peer speaks protocol 2 to 2, this side 1 to 1; use releases of argon that are neighbours";
                let mut out = Outbox::default();
                out.push_frame(kind::REFUSED, &Refusal::new(RefusalCode::Version, words).to_json());
                stream.write_all(&mut out).await.expect("written");
                stream
            };
            let (key, trust) = (Key::cluster([5; 32]), Trust::default());
            let (refused, _stream) = tokio::join!(dial(&address, &key, Role::Worker, &trust), first_version);
            refused.expect_err("it cannot serve us").to_string()
        });
        let ending =
            "use releases of argon that are neighbours (install the same release of Argon on both sides)";
        assert!(error.ends_with(ending), "{error}");
    }
}
