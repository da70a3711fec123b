//! From messages to the bytes of a stream: coalesces small ones, interleaves big payloads.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::conversation::Message;
use crate::payload::Payload;
use crate::{kind, limit};

/// Payloads up to this size are copied behind their head; larger ones are written from where they lie.
const COPY_BYTES: u64 = 4 << 10;
/// Chunks of big payloads are queued only while less than this waits to be written.
const READY_BYTES: usize = 64 << 10;

/// Slices that one write takes at the most.
const SLICES: usize = 64;

/// What one connection still has to send.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Encoded and in order; `tail` comes after it.
    ready: VecDeque<Bytes>,
    /// Encoded small frames, not yet frozen.
    tail: BytesMut,
    ready_bytes: usize,
    /// Big payloads under way, in the order in which they came.
    streams: Vec<Stream>,
    stream_bytes: u64,
    /// Whose turn it is: the first one's, or that of the one with least left.
    is_turn_of_first: bool,
    last_stream: u32,
    /// Where messages stay in their order: those behind a big one that is under way.
    behind: Option<VecDeque<Behind>>,
}

/// An encoded message that waits for the streams before it.
#[derive(Debug)]
struct Behind {
    head: BytesMut,
    /// The stream of its payload; 0 if that is inline.
    stream: u32,
    payload: Payload,
}

#[derive(Debug)]
struct Stream {
    number: u32,
    payload: Payload,
    part: usize,
    offset: usize,
    left: u64,
}

impl Outbox {
    /// One from which messages come in their order, whatever their size: to a runner, which takes task after task.
    #[must_use]
    pub fn in_order() -> Self {
        Self { behind: Some(VecDeque::new()), ..Self::default() }
    }

    /// Queues a message. What is small is copied; a big payload is kept, and that is a reference count.
    pub fn push(&mut self, message: &impl Message) {
        let nothing = Payload::default();
        let payload = message.payload().unwrap_or(&nothing);
        let is_inline = payload.len() <= limit::INLINE_BYTES as u64;
        let stream = if is_inline { 0 } else { self.next_stream() };
        if let Some(behind) = &mut self.behind
            && !self.streams.is_empty()
        {
            let mut head = BytesMut::new();
            put_head(message, stream, payload, &mut head);
            return behind.push_back(Behind { head, stream, payload: payload.clone() });
        }
        self.ready_bytes += put_head(message, stream, payload, &mut self.tail);
        self.put_payload(stream, payload);
    }

    /// Queues one raw frame: the handshake's, which are no messages.
    pub fn push_frame(&mut self, kind: u8, body: &[u8]) {
        self.tail.put_u32(body.len() as u32 + 1);
        self.tail.put_u8(kind);
        self.tail.put_slice(body);
        self.ready_bytes += body.len() + 5;
    }

    /// Queues bytes that are no frame: the opening `ARGN`, a runner's program.
    pub fn push_raw(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
        self.ready_bytes += bytes.len();
    }

    /// Whether everything has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready_bytes == 0 && self.streams.is_empty()
    }

    /// Bytes that wait to be written, those of messages that wait for their turn not counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ready_bytes as u64 + self.stream_bytes
    }

    /// Fills `slices` with what to write next and returns how many were filled.
    pub fn slices<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        while self.ready_bytes < READY_BYTES && self.queue_chunk() {}
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.ready.push_back(tail);
        }
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.ready) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// Forgets the first `written` bytes of what [`Outbox::slices`] showed.
    pub fn advance(&mut self, mut written: usize) {
        self.ready_bytes = self.ready_bytes.saturating_sub(written);
        while written > 0 {
            let Some(front) = self.ready.front_mut() else {
                return;
            };
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.ready.pop_front();
        }
    }

    /// Gives what waits to `write`, as often as it takes some, and returns true if nothing is left. `write` returns how
    /// many bytes it took, or [`ErrorKind::WouldBlock`] if the socket takes no more for now.
    ///
    /// # Errors
    /// Every other error of `write`.
    pub fn write_with(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        while !self.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.slices(&mut slices);
            match write(&slices[..count]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Everything that waits, in one piece.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Memory takes all that it is given.
        let _ = self.write_with(|slices| {
            slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
            Ok(slices.iter().map(|slice| slice.len()).sum())
        });
        bytes
    }

    fn next_stream(&mut self) -> u32 {
        self.last_stream = self.last_stream.checked_add(1).unwrap_or(1);
        self.last_stream
    }

    /// Appends a payload to the frame that ends the tail, or begins its stream.
    fn put_payload(&mut self, stream: u32, payload: &Payload) {
        if stream != 0 {
            self.stream_bytes += payload.len();
            let (payload, left) = (payload.clone(), payload.len());
            return self.streams.push(Stream { number: stream, payload, part: 0, offset: 0, left });
        }
        self.ready_bytes += payload.len() as usize;
        if payload.len() <= COPY_BYTES {
            for part in payload.parts() {
                self.tail.put_slice(part);
            }
        } else {
            self.ready.push_back(self.tail.split().freeze());
            self.ready.extend(payload.parts().iter().cloned());
        }
    }

    fn put_behind(&mut self, Behind { head, stream, payload }: Behind) {
        self.tail.put_slice(&head);
        self.ready_bytes += head.len();
        self.put_payload(stream, &payload);
    }

    /// Moves one chunk of the stream whose turn it is to the ready bytes.
    fn queue_chunk(&mut self) -> bool {
        let at = self.next_turn();
        let Some(stream) = self.streams.get_mut(at) else {
            return false;
        };
        let length = stream.left.min(limit::INLINE_BYTES as u64) as usize;
        self.stream_bytes -= length as u64;
        self.tail.put_u32(length as u32 + 5);
        self.tail.put_u8(kind::CHUNK);
        self.tail.put_u32(stream.number);
        self.ready_bytes += 9 + length;
        self.ready.push_back(self.tail.split().freeze());
        stream.move_to(&mut self.ready, length);
        if stream.left == 0 {
            self.streams.remove(at);
            while self.streams.is_empty()
                && let Some(behind) = self.behind.as_mut().and_then(VecDeque::pop_front)
            {
                self.put_behind(behind);
            }
        }
        true
    }

    /// The stream that came first and the one with least left go in turns. Streams of one length so follow one another,
    /// and the first is worked on while the next is under way; a short one waits for none that is much longer, and none
    /// waits for ever.
    fn next_turn(&mut self) -> usize {
        self.is_turn_of_first = !self.is_turn_of_first;
        if self.is_turn_of_first {
            return 0;
        }
        let shortest = self.streams.iter().enumerate().min_by_key(|(_, stream)| stream.left);
        shortest.map_or(0, |(at, _)| at)
    }
}

/// Writes the frame of a message up to its payload, and returns how many bytes that are.
fn put_head(message: &impl Message, stream: u32, payload: &Payload, out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_u32(0);
    message.encode_head(stream, out);
    let head_bytes = out.len() - start;
    let inline_bytes = if stream == 0 { payload.len() as usize } else { 0 };
    let length = (head_bytes - 4 + inline_bytes) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    head_bytes
}

impl Stream {
    /// Moves the next `length` bytes, of as many parts as it takes.
    fn move_to(&mut self, ready: &mut VecDeque<Bytes>, mut length: usize) {
        self.left -= length as u64;
        while length > 0 {
            let part = &self.payload.parts()[self.part];
            let end = part.len().min(self.offset + length);
            length -= end - self.offset;
            ready.push_back(part.slice(self.offset..end));
            (self.part, self.offset) = if end == part.len() { (self.part + 1, 0) } else { (self.part, end) };
        }
    }
}
