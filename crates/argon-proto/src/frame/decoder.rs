//! From the bytes of a stream to messages; collects payloads that travel in chunks.

use std::collections::HashMap;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::arrival::{Arrival, Room};
use super::check::{Check, Checked};
use super::collected::{Arriving, Collected};
use super::fence::Fence;
use crate::conversation::{Message, WholePayload};
use crate::error::DecodeError;
use crate::id::BlobHash;
use crate::{kind, limit};

/// Least free room of the buffer that is worth a read, bytes.
const ROOM_LEAST: usize = 4 << 10;
/// Longer frames have memory of their own.
const LONG_BYTES: usize = 64 << 10;
/// Bytes that an unfinished stream occupies besides its payload, about.
const STREAM_BYTES: u64 = 512;
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
    /// Bytes that the unfinished streams occupy.
    unfinished_bytes: u64,
    /// Bytes of kept streams once all of them has arrived.
    expected_bytes: u64,
    /// A stream that begins when there is room.
    waiting: Option<(M, WholePayload)>,
    /// A blob of which a part has been hashed.
    checking: Option<Check<M>>,
    fence: Option<Box<Fence<M>>>,
}

impl Frames {
    /// Buffer to which the reader appends bytes.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Buffer to which the reader appends, with room for one read: the rest of the long frame that has begun, or `usual`
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

    /// Gives the memory for reads back while nothing is unread.
    pub fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
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
        let mut body = self.buffer.split_to(4 + length).freeze();
        let kind = body[4];
        body.advance(5);
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
        Self {
            frames,
            arriving: HashMap::new(),
            unfinished_bytes: 0,
            expected_bytes: 0,
            waiting: None,
            checking: None,
            fence: None,
        }
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

    /// Bytes that are kept of messages that have not arrived whole: of unfinished streams, and of a frame that has begun.
    #[must_use]
    pub fn unfinished_bytes(&self) -> u64 {
        self.unfinished_bytes + self.frames.buffer.len() as u64
    }

    /// Number of streams that have begun and not ended.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.arriving.len()
    }

    /// Bytes held once the kept streams are whole.
    #[must_use]
    pub fn expected_bytes(&self) -> u64 {
        self.expected_bytes + self.frames.buffer.len() as u64
    }

    /// True while a stream waits for [`Room::Here`].
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// True while a blob has arrived and [`Decoder::next_step`] has hashed a part of it.
    #[must_use]
    pub fn is_checking(&self) -> bool {
        self.checking.is_some()
    }

    /// True while a stream or a frame has begun and not ended.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        !self.arriving.is_empty() || !self.frames.buffer.is_empty()
    }

    /// See [`Frames::release`].
    pub fn release(&mut self) {
        self.frames.release();
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
        let next = self.next_as(|_, _| Room::Here, |message| message, Arrival::into_message)?;
        if next.is_some() { Ok(next) } else { Ok(self.check_all()?.map(Arrival::into_message)) }
    }

    /// As [`Decoder::next`], for a receiver of limited memory. When a stream begins, `room` decides by its message and its length
    /// whether the payload is kept. It is asked again at the next call after [`Room::Later`].
    ///
    /// # Errors
    /// As [`Decoder::next`].
    pub fn next_arrival(
        &mut self,
        room: impl FnMut(&M, u64) -> Room,
    ) -> Result<Option<Arrival<M>>, DecodeError> {
        let next = self.next_as(room, Arrival::Whole, |arrival| arrival)?;
        if next.is_some() { Ok(next) } else { self.check_all() }
    }

    /// As [`Decoder::next_arrival`], for a receiver whose other peers wait meanwhile: it hashes at most [`CHECKED_AT_ONCE`](super::CHECKED_AT_ONCE) bytes of a blob
    /// in one call. While [`Decoder::is_checking`] is true after a `None`, the next call continues.
    ///
    /// # Errors
    /// As [`Decoder::next`].
    pub fn next_step(
        &mut self,
        room: impl FnMut(&M, u64) -> Room,
    ) -> Result<Option<Arrival<M>>, DecodeError> {
        match self.checking.take() {
            Some(check) => self.go_on_checking(check),
            None => self.next_as(room, Arrival::Whole, |arrival| arrival),
        }
    }

    /// Shared by both: a message of one frame, as nearly all are, becomes what the caller wants without a stop.
    #[inline]
    fn next_as<T>(
        &mut self,
        mut room: impl FnMut(&M, u64) -> Room,
        of_message: impl FnOnce(M) -> T,
        of_arrival: impl FnOnce(Arrival<M>) -> T,
    ) -> Result<Option<T>, DecodeError> {
        if self.waiting.is_some()
            && let Some((message, whole)) = self.waiting.take()
        {
            let arrival = self.begin_stream(message, whole, &mut room)?;
            if arrival.is_some() || self.waiting.is_some() {
                return Ok(arrival.map(of_arrival));
            }
        }
        if let Some(fence) = self.fence.take_if(|fence| fence.is_open()) {
            return Ok(Some(of_message(fence.into_message())));
        }
        while self.checking.is_none()
            && let Some((kind, body)) = self.frames.next_frame(limit::FRAME_BYTES)?
        {
            if kind != kind::CHUNK {
                let mut whole = WholePayload::default();
                let message = M::decode(kind, body, &mut whole)?;
                if whole.stream == 0 {
                    if kind == kind::OFFERED && !self.arriving.is_empty() {
                        match Fence::new(message, &self.arriving) {
                            Ok(fence) => self.fence = Some(fence),
                            Err(message) => return Ok(Some(of_message(message))),
                        }
                        continue;
                    }
                    if message.blob().is_none() {
                        return Ok(Some(of_message(message)));
                    }
                    return Ok(self.go_on_checking(Check::new(message))?.map(of_arrival));
                }
                let arrival = self.take_beginning(message, whole, &mut room)?;
                if arrival.is_some() || self.waiting.is_some() {
                    return Ok(arrival.map(of_arrival));
                }
            } else if let Some(arrival) = self.take_chunk(body)? {
                return Ok(Some(of_arrival(arrival)));
            }
        }
        Ok(None)
    }

    #[cold]
    fn take_beginning(
        &mut self,
        mut message: M,
        whole: WholePayload,
        room: &mut impl FnMut(&M, u64) -> Room,
    ) -> Result<Option<Arrival<M>>, DecodeError> {
        // It stays for as long as its sender likes, and must not keep the memory of other frames alive.
        message.compact();
        self.begin_stream(message, whole, room)
    }

    fn begin_stream(
        &mut self,
        mut message: M,
        whole: WholePayload,
        room: &mut impl FnMut(&M, u64) -> Room,
    ) -> Result<Option<Arrival<M>>, DecodeError> {
        let WholePayload { stream, length: payload_length } = whole;
        let is_kept = match room(&message, payload_length) {
            Room::Here => true,
            Room::Nowhere => false,
            Room::Later => {
                self.waiting = Some((message, whole));
                return Ok(None);
            }
        };
        let first = message.payload_mut().map(std::mem::take).unwrap_or_default();
        let mut arriving = Arriving {
            missing: payload_length - first.len(),
            collected: is_kept.then(Collected::default),
            payload_bytes: payload_length,
            message,
        };
        if let Some(collected) = &mut arriving.collected {
            first.parts().iter().for_each(|part| collected.push(part.clone()));
        }
        if arriving.missing == 0 {
            return self.finish(arriving);
        }
        self.unfinished_bytes += STREAM_BYTES + arriving.kept_bytes();
        self.expected_bytes += STREAM_BYTES + arriving.expected_bytes();
        if self.arriving.insert(stream, arriving).is_some() {
            return Err(DecodeError::Chunk(stream));
        }
        if self.arriving.len() > limit::STREAMS_AT_ONCE {
            return Err(DecodeError::Streams(self.arriving.len(), limit::STREAMS_AT_ONCE));
        }
        Ok(None)
    }

    fn take_chunk(&mut self, mut body: Bytes) -> Result<Option<Arrival<M>>, DecodeError> {
        let stream = body.try_get_u32().map_err(|_| DecodeError::Short("chunk"))?;
        let arriving = self.arriving.get_mut(&stream).ok_or(DecodeError::Chunk(stream))?;
        let length = body.len() as u64;
        if length == 0 {
            return Err(DecodeError::EmptyChunk(stream));
        }
        arriving.missing = arriving.missing.checked_sub(length).ok_or(DecodeError::Chunk(stream))?;
        if let Some(collected) = &mut arriving.collected {
            collected.push(body);
            self.unfinished_bytes += length;
        }
        if arriving.missing > 0 {
            return Ok(None);
        }
        let Some(arrived) = self.arriving.remove(&stream) else {
            return Err(DecodeError::Chunk(stream));
        };
        self.unfinished_bytes -= STREAM_BYTES + arrived.kept_bytes();
        self.expected_bytes -= STREAM_BYTES + arrived.expected_bytes();
        if let Some(fence) = &mut self.fence {
            fence.pass(stream);
        }
        self.finish(arrived)
    }

    fn finish(&mut self, arrived: Arriving<M>) -> Result<Option<Arrival<M>>, DecodeError> {
        let Arriving { mut message, collected, payload_bytes, .. } = arrived;
        let Some(collected) = collected else {
            return Ok(Some(Arrival::WithoutPayload { message, payload_bytes }));
        };
        if let Some(payload) = message.payload_mut() {
            *payload = collected.into_payload();
        }
        if message.blob().is_none() {
            return Ok(Some(Arrival::Whole(message)));
        }
        self.go_on_checking(Check::new(message))
    }

    #[cold]
    fn go_on_checking(&mut self, check: Check<M>) -> Result<Option<Arrival<M>>, DecodeError> {
        match check.go_on()? {
            Checked::Whole(message) => Ok(Some(Arrival::Whole(message))),
            Checked::Partly(check) => {
                self.checking = Some(check);
                Ok(None)
            }
        }
    }

    /// Hashes what is left of the blob that has arrived, if there is one.
    fn check_all(&mut self) -> Result<Option<Arrival<M>>, DecodeError> {
        while let Some(check) = self.checking.take() {
            let arrival = self.go_on_checking(check)?;
            if arrival.is_some() {
                return Ok(arrival);
            }
        }
        Ok(None)
    }
}
