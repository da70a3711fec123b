//! From messages to the bytes of a stream: coalesces small ones, interleaves big payloads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind, IoSlice};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::conversation::Message;
use crate::payload::Payload;
use crate::{kind, limit};

/// Payloads up to this size are copied behind their head; larger ones are written from where they lie.
const COPY_BYTES: u64 = 4 << 10;
/// While this much waits, small payloads are not copied, either: each is kept already by its sender.
const COPIED_MAX: usize = 1 << 20;
/// Bytes that a part of a payload occupies while it waits, besides those that it refers to.
const PART_BYTES: u64 = 48;
/// Bytes that a stream costs besides its content.
const STREAM_BYTES: u64 = 256;
/// Chunks of big payloads are queued only while less than this waits to be written.
const READY_BYTES: usize = 64 << 10;

/// Slices that one write takes at the most.
const SLICES: usize = 64;

/// Messages that one connection has not sent yet.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Encoded and in order; `tail` comes after it.
    ready: VecDeque<Piece>,
    /// Encoded small frames, not yet frozen.
    tail: BytesMut,
    ready_bytes: usize,
    /// Big payloads under way, by number: in the order in which they came.
    streams: BTreeMap<u64, Stream>,
    /// Streams by the bytes that are left of them.
    by_left: BTreeSet<(u64, u64)>,
    stream_bytes: u64,
    /// Bytes of heads and copies that were queued and not written.
    own_bytes: usize,
    /// Whose turn it is: the first one's, or that of the one with least left.
    is_turn_of_first: bool,
    last_stream: u64,
    /// Messages behind a big one that is under way, in their order.
    behind: Option<VecDeque<Behind>>,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    /// Heads and copies; otherwise a part of a payload, which its owner keeps anyway.
    is_own: bool,
}

/// An encoded message that waits for the streams before it.
#[derive(Debug)]
struct Behind {
    head: BytesMut,
    /// The stream of its payload; 0 if that is inline.
    stream: u64,
    payload: Payload,
}

#[derive(Debug)]
struct Stream {
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
            put_head(message, stream as u32, payload, &mut head);
            return behind.push_back(Behind { head, stream, payload: payload.clone() });
        }
        let head_bytes = put_head(message, stream as u32, payload, &mut self.tail);
        self.note_own(head_bytes);
        self.put_payload(stream, payload);
    }

    /// Queues one raw frame: the handshake's, which are no messages.
    pub fn push_frame(&mut self, kind: u8, body: &[u8]) {
        self.tail.put_u32(body.len() as u32 + 1);
        self.tail.put_u8(kind);
        self.tail.put_slice(body);
        self.note_own(body.len() + 5);
    }

    /// Queues bytes that are no frame: the opening `ARGN`, a runner's program.
    pub fn push_raw(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
        self.note_own(bytes.len());
    }

    /// True if everything has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready_bytes == 0 && self.streams.is_empty()
    }

    /// Bytes that wait to be written, those of messages that wait for their turn not counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ready_bytes as u64 + self.stream_bytes
    }

    /// Memory that what waits occupies beside payloads that it refers to, bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.own_bytes as u64
            + self.ready.len() as u64 * PART_BYTES
            + self.streams.len() as u64 * STREAM_BYTES
    }

    /// Fills `slices` with what to write next and returns how many were filled.
    pub fn slices<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        while self.ready_bytes < READY_BYTES && self.queue_chunk() {}
        self.freeze_tail();
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.ready) {
            *slice = IoSlice::new(&piece.bytes);
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
            let count = front.bytes.len().min(written);
            if front.is_own {
                self.own_bytes -= count;
            }
            if count < front.bytes.len() {
                return front.bytes.advance(count);
            }
            written -= count;
            self.ready.pop_front();
        }
    }

    /// Counts bytes that were appended to the tail.
    fn note_own(&mut self, bytes: usize) {
        self.ready_bytes += bytes;
        self.own_bytes += bytes;
    }

    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            self.ready.push_back(Piece { bytes: self.tail.split().freeze(), is_own: true });
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

    /// All waiting bytes, in one piece.
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

    /// Streams are numbered on, and 0 is none on the wire.
    fn next_stream(&mut self) -> u64 {
        self.last_stream += if self.last_stream as u32 == u32::MAX { 2 } else { 1 };
        self.last_stream
    }

    /// Appends a payload to the frame that ends the tail, or begins its stream.
    fn put_payload(&mut self, stream: u64, payload: &Payload) {
        let bytes = payload.len();
        if stream != 0 {
            self.stream_bytes += bytes;
            self.by_left.insert((bytes, stream));
            self.streams.insert(stream, Stream { payload: payload.clone(), part: 0, offset: 0, left: bytes });
            return;
        }
        if bytes <= COPY_BYTES && (self.own_bytes < COPIED_MAX || bytes == 0) {
            for part in payload.parts() {
                self.tail.put_slice(part);
            }
            return self.note_own(bytes as usize);
        }
        self.freeze_tail();
        self.ready_bytes += bytes as usize;
        let parts = payload.parts().iter().cloned();
        self.ready.extend(parts.map(|bytes| Piece { bytes, is_own: false }));
    }

    fn put_behind(&mut self, Behind { head, stream, payload }: Behind) {
        self.tail.put_slice(&head);
        self.note_own(head.len());
        self.put_payload(stream, &payload);
    }

    /// Moves one chunk of the stream whose turn it is to the ready bytes.
    fn queue_chunk(&mut self) -> bool {
        let Some(number) = self.next_turn() else {
            return false;
        };
        let Some(stream) = self.streams.get_mut(&number) else {
            return false;
        };
        self.by_left.remove(&(stream.left, number));
        let length = stream.left.min(limit::INLINE_BYTES as u64) as usize;
        self.stream_bytes -= length as u64;
        self.tail.put_u32(length as u32 + 5);
        self.tail.put_u8(kind::CHUNK);
        self.tail.put_u32(number as u32);
        self.ready_bytes += 9 + length;
        self.own_bytes += 9;
        self.ready.push_back(Piece { bytes: self.tail.split().freeze(), is_own: true });
        stream.move_to(&mut self.ready, length);
        if stream.left > 0 {
            self.by_left.insert((stream.left, number));
            return true;
        }
        self.streams.remove(&number);
        while self.streams.is_empty()
            && let Some(behind) = self.behind.as_mut().and_then(VecDeque::pop_front)
        {
            self.put_behind(behind);
        }
        true
    }

    /// The stream that came first and the one with least left go in turns. Streams of one length so follow one another,
    /// and the first is worked on while the next is under way; a short one waits for none that is much longer, and none
    /// waits for ever.
    fn next_turn(&mut self) -> Option<u64> {
        self.is_turn_of_first = !self.is_turn_of_first;
        if self.is_turn_of_first {
            return self.streams.first_key_value().map(|(number, _)| *number);
        }
        self.by_left.first().map(|(_, number)| *number)
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
    fn move_to(&mut self, ready: &mut VecDeque<Piece>, mut length: usize) {
        self.left -= length as u64;
        while length > 0 {
            let part = &self.payload.parts()[self.part];
            let end = part.len().min(self.offset + length);
            length -= end - self.offset;
            ready.push_back(Piece { bytes: part.slice(self.offset..end), is_own: false });
            (self.part, self.offset) = if end == part.len() { (self.part + 1, 0) } else { (self.part, end) };
        }
    }
}
