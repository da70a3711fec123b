//! The handshake's frames on a socket, for both sides; what they hold is `argon_proto::handshake`'s.

use std::io;

use argon_proto::frame::{Frames, Outbox};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::kind;
use bytes::{BufMut, Bytes};

use crate::random::NoRandomness;
use crate::stream::Stream;

/// Room that is made for one read, bytes: more than most handshakes need.
const READ_BYTES: usize = 1 << 10;

/// A connection before its proof.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) stream: Stream,
    pub(crate) frames: Frames,
    /// Largest frame that the peer may send, bytes.
    frame_bytes: usize,
    /// Bytes that the peer may still send.
    budget: usize,
    /// Message for a peer whose bytes are not frames.
    not_argon: &'static str,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpeningError {
    /// The connection broke, or ended.
    #[error(transparent)]
    Broken(#[from] io::Error),
    /// One side refused the other.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<NoRandomness> for OpeningError {
    fn from(error: NoRandomness) -> Self {
        Self::Refused(Refusal::new(RefusalCode::Busy, error.to_string()))
    }
}

impl Opening {
    pub(crate) fn new(stream: Stream, frame_bytes: usize, budget: usize, not_argon: &'static str) -> Self {
        Self { stream, frames: Frames::default(), frame_bytes, budget, not_argon }
    }

    pub(crate) async fn send(&mut self, out: &mut Outbox) -> Result<(), OpeningError> {
        Ok(self.stream.write_all(out).await?)
    }

    /// Limits the bytes that the peer may send from now on.
    #[cfg(feature = "listen")]
    pub(crate) fn with_budget(self, budget: usize) -> Self {
        Self { budget, ..self }
    }

    /// The body of the next frame, which must be of the kind that is `due`.
    pub(crate) async fn frame(&mut self, due: u8) -> Result<Bytes, OpeningError> {
        match self.next_frame().await? {
            (kind, body) if kind == due => Ok(body),
            (kind, _) => Err(Self::out_of_place(kind).into()),
        }
    }

    /// The next frame: its kind and body. REFUSED is an error. Nothing is lost if the future is dropped.
    pub(crate) async fn next_frame(&mut self) -> Result<(u8, Bytes), OpeningError> {
        loop {
            let frame = self
                .frames
                .next_frame(self.frame_bytes)
                .map_err(|_| Refusal::new(RefusalCode::Frame, self.not_argon))?;
            match frame {
                Some((kind::REFUSED, body)) => return Err(Refusal::from_json(&body).into()),
                Some(frame) => return Ok(frame),
                None => self.read_more().await?,
            }
        }
    }

    /// Why a frame of this kind ends the handshake.
    pub(crate) fn out_of_place(kind: u8) -> Refusal {
        let why = format!("a frame of kind 0x{kind:02x} has no place in the handshake");
        Refusal::new(RefusalCode::Frame, why)
    }

    /// Reads once.
    pub(crate) async fn read_more(&mut self) -> Result<(), OpeningError> {
        if self.budget == 0 {
            let why = "too much was sent before the key was proven";
            return Err(Refusal::new(RefusalCode::Frame, why).into());
        }
        let buffer = self.frames.buffer();
        buffer.reserve(READ_BYTES.min(self.budget));
        let count = self.stream.read(&mut buffer.limit(self.budget)).await?;
        if count == 0 {
            return Err(io::Error::other("it closed the connection during the handshake").into());
        }
        self.budget -= count;
        Ok(())
    }
}
