//! Opens a connection to a manager and proves the key (`spec/protocol.md`, section 2).

use std::time::Duration;

use argon_proto::frame::{Decoder, Outbox};
use argon_proto::handshake::{self, Dialler, PLAIN_CHANNEL, Refusal};
use argon_proto::key::{Key, Role};
use argon_proto::limit;
use argon_proto::message::kind;
use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::pump::Connection;

/// To connect, and again to prove the key.
const STEP_LIMIT: Duration = Duration::from_secs(5);
/// Data that the peer's machine did not take for so long means that it is gone.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// Nobody is there, or the line broke.
    Io(String),
    /// The manager, or this side, does not want it.
    Refused(Refusal),
}

/// A connection on which both sides have proven the key.
pub(super) async fn dial(address: &str, key: &Key) -> Result<Connection, DialError> {
    let stream = within("it did not answer", TcpStream::connect(address)).await?;
    tune(&stream).map_err(|error| DialError::Io(error.to_string()))?;
    match tokio::time::timeout(STEP_LIMIT, prove(stream, key)).await {
        Ok(connection) => connection,
        Err(_) => Err(DialError::Io("it did not prove its key in time".to_owned())),
    }
}

fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

async fn prove(mut stream: TcpStream, key: &Key) -> Result<Connection, DialError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| DialError::Io(error.to_string()))?;
    let Some((mut dialler, hello)) = Dialler::hello(key, Role::Worker, nonce) else {
        let message = "the key of this worker is not a cluster key and not a worker's key";
        return Err(DialError::Refused(Refusal::new("key", message)));
    };
    let mut decoder = Decoder::default();
    let mut opening = handshake::MAGIC.to_vec();
    opening.extend(framed(kind::HELLO, &hello));
    write(&mut stream, &opening).await?;
    let challenge = read_frame(&mut stream, &mut decoder, kind::CHALLENGE).await?;
    let proof = dialler.proof(&challenge, &PLAIN_CHANNEL).map_err(DialError::Refused)?;
    write(&mut stream, &framed(kind::PROOF, &proof)).await?;
    let welcome = read_frame(&mut stream, &mut decoder, kind::WELCOME).await?;
    dialler.check(&welcome).map_err(DialError::Refused)?;
    Ok(Connection::new(stream, decoder, Outbox::default()))
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as u32 + 1).to_be_bytes().to_vec();
    frame.push(kind);
    frame.extend(body);
    frame
}

async fn read_frame(stream: &mut TcpStream, decoder: &mut Decoder, due: u8) -> Result<Bytes, DialError> {
    loop {
        let frame = decoder.next_frame(limit::FRAME_BYTES_BEFORE_PROOF);
        match frame.map_err(|error| DialError::Io(format!("it does not speak Argon's protocol: {error}")))? {
            Some((kind, body)) if kind == due => return Ok(body),
            Some((kind::REFUSED, body)) => return Err(DialError::Refused(Refusal::from_json(&body))),
            Some((kind, _)) => {
                let why =
                    format!("it does not speak Argon's protocol: a frame of kind 0x{kind:02x} came too soon");
                return Err(DialError::Io(why));
            }
            None => {}
        }
        let read = stream.read_buf(decoder.buffer()).await;
        if read.map_err(|error| DialError::Io(error.to_string()))? == 0 {
            return Err(DialError::Io("it closed the connection".to_owned()));
        }
    }
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), DialError> {
    stream.write_all(bytes).await.map_err(|error| DialError::Io(error.to_string()))
}

async fn within<T>(why: &str, what: impl Future<Output = std::io::Result<T>>) -> Result<T, DialError> {
    match tokio::time::timeout(STEP_LIMIT, what).await {
        Ok(done) => done.map_err(|error| DialError::Io(error.to_string())),
        Err(_) => Err(DialError::Io(format!("{why} for {} s", STEP_LIMIT.as_secs()))),
    }
}
