//! A connection that has proven the key, and may then send any bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use argon_fuzz::mutate::Chance;
use argon_proto::frame::{Frames, Outbox};
use argon_proto::handshake::{Dialler, MAGIC, PLAIN_CHANNEL};
use argon_proto::key::{Key, Role};
use argon_proto::{kind, limit};
use bytes::Bytes;

/// Bound on one read or write.
const WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Peer {
    stream: TcpStream,
    frames: Frames,
}

impl Peer {
    pub(crate) fn dial(address: &str, key: &Key, role: Role, chance: &mut Chance) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WITHIN))?;
        stream.set_write_timeout(Some(WITHIN))?;
        let mut peer = Self { stream, frames: Frames::default() };
        let nonce = std::array::from_fn(|_| chance.number() as u8);
        let refused = || io::Error::other("the key does not open this role");
        let (mut dialler, hello) = Dialler::hello(key, role, nonce).ok_or_else(refused)?;
        let mut outbox = Outbox::default();
        outbox.push_raw(&MAGIC);
        outbox.push_frame(kind::HELLO, &hello);
        peer.stream.write_all(&outbox.into_bytes())?;
        let challenge = peer.frame_of(kind::CHALLENGE)?;
        let proof = dialler.proof(&challenge, &PLAIN_CHANNEL).map_err(io::Error::other)?;
        let mut outbox = Outbox::default();
        outbox.push_frame(kind::PROOF, &proof);
        peer.stream.write_all(&outbox.into_bytes())?;
        let welcome = peer.frame_of(kind::WELCOME)?;
        dialler.check(&welcome).map_err(io::Error::other)?;
        Ok(peer)
    }

    /// Sends bytes, as far as the other side takes them.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Frames that have come, and come within this time.
    pub(crate) fn receive(&mut self, within: Duration) -> Vec<(u8, Bytes)> {
        let until = Instant::now() + within;
        let mut received = Vec::new();
        loop {
            while let Ok(Some(frame)) = self.frames.next_frame(limit::FRAME_BYTES) {
                received.push(frame);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.read(left).is_err() {
                return received;
            }
        }
    }

    fn frame_of(&mut self, due: u8) -> io::Result<Bytes> {
        loop {
            let frame = self.frames.next_frame(limit::FRAME_BYTES).map_err(io::Error::other)?;
            match frame {
                Some((kind, body)) if kind == due => return Ok(body),
                Some((_, body)) => return Err(io::Error::other(String::from_utf8_lossy(&body).into_owned())),
                None => self.read(WITHIN)?,
            }
        }
    }

    fn read(&mut self, within: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(within.max(Duration::from_millis(1))))?;
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.frames.buffer().extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
