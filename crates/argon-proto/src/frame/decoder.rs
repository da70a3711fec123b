//! From the bytes of a stream to messages; collects payloads that travel in chunks.

use std::collections::HashMap;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::conversation::{Blob, Message};
use crate::error::DecodeError;
use crate::id::BlobHash;
use crate::payload::Payload;
use crate::{kind, limit};

/// Least free room of the buffer that is worth a read, bytes.
const ROOM_LEAST: usize = 4 << 10;
/// Longer frames have memory of their own.
const LONG_BYTES: usize = 64 << 10;
/// The head of a chunk: its length, kind and stream.
const CHUNK_HEAD_BYTES: usize = 9;

/// Cuts a byte stream into raw frames. The handshake reads these; what is left behind it goes to a [`Decoder`].
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
}

/// Cuts a byte stream into the messages `M` of one direction. What it returns shares the memory that was read into.
#[derive(Debug)]
pub struct Decoder<M> {
    frames: Frames,
    arriving: HashMap<u32, Arriving<M>>,
}

#[derive(Debug)]
struct Arriving<M> {
    message: M,
    parts: Vec<Bytes>,
    missing: u64,
}

impl Frames {
    /// Where the reader appends what it read.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Where the reader appends, with room for one read: what is missing of the long frame that has begun, or `usual`
    /// bytes. The bytes of a long frame are so read to where they stay, and nothing small that comes behind them keeps
    /// their memory alive: of the next frame only the length is read.
    pub fn room(&mut self, usual: usize) -> Limit<&mut BytesMut> {
        let missing = self.missing_of_long();
        if missing > 0 {
            let room = missing + CHUNK_HEAD_BYTES;
            self.buffer.reserve(room);
            return (&mut self.buffer).limit(room);
        }
        if self.buffer.capacity() - self.buffer.len() < ROOM_LEAST {
            self.buffer.reserve(usual);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        (&mut self.buffer).limit(room)
    }

    /// Bytes that are yet to come of a long frame; 0 if none has begun.
    #[must_use]
    pub fn missing_of_long(&self) -> usize {
        let length = self.buffer.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
        if length <= LONG_BYTES { 0 } else { (4 + length).saturating_sub(self.buffer.len()) }
    }

    /// The next raw frame of at most `limit` bytes: its kind and body. The handshake uses this.
    ///
    /// # Errors
    /// For a length of 0 or above the limit.
    pub fn next_frame(&mut self, limit: usize) -> Result<Option<(u8, Bytes)>, DecodeError> {
        let Some(length) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 || length > limit {
            return Err(DecodeError::Frame(length as u64, limit as u64));
        }
        if self.buffer.len() < 4 + length {
            // Room for the rest of this frame, so that it arrives in one piece, and for what is read with it.
            self.buffer.reserve(4 + length - self.buffer.len() + CHUNK_HEAD_BYTES);
            return Ok(None);
        }
        self.buffer.advance(4);
        let mut body = self.buffer.split_to(length).freeze();
        let kind = body.get_u8();
        Ok(Some((kind, body)))
    }
}

impl<M> Default for Decoder<M> {
    fn default() -> Self {
        Self::new(Frames::default())
    }
}

impl<M> From<Frames> for Decoder<M> {
    fn from(frames: Frames) -> Self {
        Self::new(frames)
    }
}

impl<M> Decoder<M> {
    /// Continues where a handshake ended.
    #[must_use]
    pub fn new(frames: Frames) -> Self {
        Self { frames, arriving: HashMap::new() }
    }

    /// See [`Frames::buffer`].
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.frames.buffer()
    }

    /// See [`Frames::room`].
    pub fn room(&mut self, usual: usize) -> Limit<&mut BytesMut> {
        self.frames.room(usual)
    }

    /// See [`Frames::missing_of_long`].
    #[must_use]
    pub fn missing_of_long(&self) -> usize {
        self.frames.missing_of_long()
    }
}

impl<M: Message> Decoder<M> {
    /// Blobs whose stream has begun and not ended.
    pub fn arriving_blobs(&self) -> impl Iterator<Item = BlobHash> {
        self.arriving.values().filter_map(|arriving| arriving.message.blob()).map(|blob| blob.hash)
    }

    /// The next whole message, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// For bytes that are no message; the connection cannot be used after that.
    #[allow(clippy::should_implement_trait, reason = "an iterator could not be fed between two items")]
    pub fn next(&mut self) -> Result<Option<M>, DecodeError> {
        while let Some((kind, body)) = self.frames.next_frame(limit::FRAME_BYTES)? {
            if let Some(message) = self.take_frame(kind, body)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn take_frame(&mut self, kind: u8, body: Bytes) -> Result<Option<M>, DecodeError> {
        if kind == kind::CHUNK {
            return self.take_chunk(body);
        }
        let beginning = M::decode(kind, body)?;
        if beginning.stream == 0 {
            return checked(beginning.message).map(Some);
        }
        let first = beginning.message.payload().cloned().unwrap_or_default();
        let arriving = Arriving {
            missing: beginning.payload_length - first.len(),
            parts: first.parts().to_vec(),
            message: beginning.message,
        };
        if arriving.missing == 0 {
            return checked(arriving.message).map(Some);
        }
        if self.arriving.insert(beginning.stream, arriving).is_some() {
            return Err(DecodeError::Chunk(beginning.stream));
        }
        Ok(None)
    }

    fn take_chunk(&mut self, mut body: Bytes) -> Result<Option<M>, DecodeError> {
        let stream = body.try_get_u32().map_err(|_| DecodeError::Short("chunk"))?;
        let arriving = self.arriving.get_mut(&stream).ok_or(DecodeError::Chunk(stream))?;
        arriving.missing =
            arriving.missing.checked_sub(body.len() as u64).ok_or(DecodeError::Chunk(stream))?;
        arriving.parts.push(body);
        if arriving.missing > 0 {
            return Ok(None);
        }
        let Some(mut arrived) = self.arriving.remove(&stream) else {
            return Err(DecodeError::Chunk(stream));
        };
        if let Some(payload) = arrived.message.payload_mut() {
            *payload = Payload::from_parts(arrived.parts);
        }
        checked(arrived.message).map(Some)
    }
}

fn checked<M: Message>(message: M) -> Result<M, DecodeError> {
    if let Some(Blob { hash, payload }) = message.blob()
        && BlobHash::of(payload.parts()) != *hash
    {
        return Err(DecodeError::BlobHash(*hash));
    }
    Ok(message)
}
