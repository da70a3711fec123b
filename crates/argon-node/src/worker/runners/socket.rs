//! The worker's end of the private socket of a runner or a template. Moves bytes, decides nothing.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll};

use argon_proto::DecodeError;
use argon_proto::conversation::Message;
use argon_proto::frame::{Arrival, Decoder, Outbox, Room};
use bytes::BufMut;
use tokio::io::unix::AsyncFd;

use crate::worker::process::kernel;

/// Most bytes read from a runner that has ended.
const LEFT_BYTES: usize = 4 << 20;

/// Payloads under way at once. A runner sends one outcome after the other.
const STREAMS_MAX: usize = 1;

/// See the module.
#[derive(Debug)]
pub(crate) struct PrivateSocket<In> {
    socket: AsyncFd<UnixStream>,
    /// The socket, watched for room while it takes no more.
    full: Option<AsyncFd<UnixStream>>,
    outbox: Outbox,
    decoder: Decoder<In>,
    /// Nothing more is read.
    is_read_closed: bool,
}

/// Result of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SocketRead {
    /// Bytes; they are in the decoder.
    Bytes,
    /// The process has closed it.
    Closed,
}

impl<In: Message> PrivateSocket<In> {
    /// Takes over a socket; the process reads `preamble` first.
    ///
    /// # Errors
    /// If the socket cannot be watched.
    pub(crate) fn new(socket: UnixStream, preamble: &[u8]) -> io::Result<Self> {
        let mut outbox = Outbox::in_order();
        outbox.push_raw(preamble);
        Ok(Self {
            socket: kernel::watched(socket)?,
            full: None,
            outbox,
            decoder: Decoder::default(),
            is_read_closed: false,
        })
    }

    /// Writes what the socket takes again, and reads once if it `is_read`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        is_read: bool,
    ) -> Option<SocketRead> {
        self.poll_write(cx);
        while is_read
            && !self.is_read_closed
            && let Poll::Ready(Ok(mut guard)) = self.socket.poll_read_ready(cx)
        {
            let (read, room) = read(guard.get_inner(), &mut self.decoder, scratch);
            match read {
                Ok(count @ 1..) => {
                    // A short read has emptied the socket; the next bytes wake us again.
                    if count < room {
                        guard.clear_ready();
                    }
                    return Some(SocketRead::Bytes);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.is_read_closed = true;
                    return Some(SocketRead::Closed);
                }
            }
        }
        None
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) {
        while let Some(socket) = &self.full
            && let Poll::Ready(Ok(mut guard)) = socket.poll_write_ready(cx)
        {
            match write(guard.get_inner(), &mut self.outbox) {
                Ok(false) => guard.clear_ready(),
                // The end of the process reports a broken socket.
                Ok(true) | Err(_) => self.full = None,
            }
        }
    }

    /// The next message that was read.
    ///
    /// # Errors
    /// If the process has written something else, or has begun a second payload before the end of the first: it would use
    /// as much memory of the worker as it likes.
    pub(crate) fn next(&mut self) -> Result<Option<In>, DecodeError> {
        let mut streams = self.decoder.streams();
        let arrival = self.decoder.next_arrival(|_, _| {
            streams += 1;
            if streams <= STREAMS_MAX { Room::Here } else { Room::Nowhere }
        });
        if streams > STREAMS_MAX {
            return Err(DecodeError::Streams(streams, STREAMS_MAX));
        }
        Ok(arrival?.map(Arrival::into_message))
    }

    /// True if the process has read all that was written to it.
    pub(crate) fn is_drained(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Queues a message.
    pub(crate) fn push(&mut self, message: &impl Message) {
        self.outbox.push(message);
    }

    /// Writes what is queued, as far as the socket takes it.
    ///
    /// # Errors
    /// If a full socket cannot be watched for room.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.full.is_some() || self.outbox.is_empty() {
            return Ok(());
        }
        match write(self.socket.get_ref(), &mut self.outbox) {
            Ok(false) => {
                self.full = Some(self.socket.get_ref().try_clone().and_then(kernel::watched_for_room)?);
            }
            Err(_) => self.outbox = Outbox::default(),
            Ok(true) => {}
        }
        Ok(())
    }

    /// Writes all bytes of a message together with descriptors.
    ///
    /// # Errors
    /// If the socket does not take them at once.
    pub(crate) fn send_with_descriptors(
        &self,
        message: &impl Message,
        descriptors: &[RawFd],
    ) -> io::Result<()> {
        let mut outbox = Outbox::in_order();
        outbox.push(message);
        let mut slices = [IoSlice::new(&[]); 4];
        let count = outbox.slices(&mut slices);
        kernel::send_with_descriptors(self.socket.get_ref(), &slices[..count], descriptors)
    }

    /// Reads no more.
    pub(crate) fn close_read(&mut self) {
        self.is_read_closed = true;
    }

    /// Lets the process read the end of the socket, at which it exits.
    pub(crate) fn close_write(&self) {
        let _ = self.socket.get_ref().shutdown(Shutdown::Write);
    }

    /// Reads what is there, without waiting.
    pub(crate) fn drain(&mut self, scratch: &mut [u8]) {
        let mut left = LEFT_BYTES;
        while left > 0
            && !self.is_read_closed
            && let (Ok(count @ 1..), _) = read(self.socket.get_ref(), &mut self.decoder, scratch)
        {
            left = left.saturating_sub(count);
        }
    }
}

/// Reads once; also returns how much room there was. A long frame goes to where it stays, all else through `scratch`.
fn read<In>(
    mut socket: &UnixStream,
    decoder: &mut Decoder<In>,
    scratch: &mut [u8],
) -> (io::Result<usize>, usize) {
    if decoder.missing_of_long() > 0 {
        let mut buffer = decoder.room(0);
        let room = buffer.remaining_mut();
        return (kernel::read_into(socket, &mut buffer), room);
    }
    let read = socket.read(scratch);
    if let Ok(count) = read {
        feed(decoder, &scratch[..count]);
    }
    (read, scratch.len())
}

/// Copies into memory that several messages share, so that a small one costs no allocation of its own.
fn feed<In>(decoder: &mut Decoder<In>, bytes: &[u8]) {
    const SHARED_BYTES: usize = 8 << 10;
    let buffer = decoder.buffer();
    if buffer.capacity() - buffer.len() < bytes.len() {
        buffer.reserve(bytes.len().max(SHARED_BYTES));
    }
    buffer.extend_from_slice(bytes);
}

/// Writes what the socket takes now. Returns true if nothing is left.
fn write(mut socket: &UnixStream, outbox: &mut Outbox) -> io::Result<bool> {
    // Most often it is one piece, for which the kernel has a shorter way.
    outbox.write_with(|slices| match slices {
        [slice] => socket.write(slice),
        slices => socket.write_vectored(slices),
    })
}
