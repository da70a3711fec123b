//! The byte stream of a connection: TCP, TLS on it, or the Unix socket between a task and its worker.
//!
//! [`Stream::channel`] binds the proof of the key to the certificate of a TLS connection. No other module looks inside.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use argon_proto::frame::Outbox;
use argon_proto::handshake::PLAIN_CHANNEL;
use argon_proto::limit;
use bytes::BufMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use crate::tls::{TlsReader, TlsStream, TlsWriter};

/// Silence after which keepalive asks the peer's kernel.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// Time between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);

/// An open connection.
#[derive(Debug)]
pub enum Stream {
    /// On one machine, or between machines without encryption.
    Tcp(TcpStream),
    /// Between machines.
    Tls(TlsStream),
    /// Between a task and its worker.
    Unix(UnixStream),
}

/// The reading side of a [`Stream`].
#[derive(Debug)]
pub enum ReadHalf {
    /// Of [`Stream::Tcp`].
    Tcp(tcp::OwnedReadHalf),
    /// Of [`Stream::Tls`].
    Tls(TlsReader),
    /// Of [`Stream::Unix`].
    Unix(unix::OwnedReadHalf),
}

/// The writing side of a [`Stream`]. Dropping it ends what the peer reads.
#[derive(Debug)]
pub enum WriteHalf {
    /// Of [`Stream::Tcp`].
    Tcp(tcp::OwnedWriteHalf),
    /// Of [`Stream::Tls`].
    Tls(TlsWriter),
    /// Of [`Stream::Unix`].
    Unix(unix::OwnedWriteHalf),
}

/// Progress of a connection, from the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KernelView {
    /// Times that the oldest segment without an answer was sent again.
    pub(crate) retransmits: u8,
    /// Time since data came from the peer.
    pub(crate) data_age: Duration,
    /// Time since the peer's kernel answered.
    pub(crate) answer_age: Duration,
}

impl From<TcpStream> for Stream {
    /// Sets the options that every TCP connection has: no delay, keepalive, and a bound on unanswered bytes. Options that
    /// the kernel lacks are left out.
    fn from(stream: TcpStream) -> Self {
        set_options(&stream);
        Self::Tcp(stream)
    }
}

/// See the conversion of a [`TcpStream`].
pub(crate) fn set_options(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(3);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(limit::SILENCE));
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl Stream {
    /// The channel binding of the handshake's proofs.
    #[must_use]
    pub fn channel(&self) -> [u8; 32] {
        match self {
            Self::Tls(stream) => stream.channel(),
            Self::Tcp(_) | Self::Unix(_) => PLAIN_CHANNEL,
        }
    }

    /// True if others on the way cannot read what is sent.
    #[cfg(feature = "listen")]
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The two sides, for a connection that reads and writes at the same time.
    #[must_use]
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (ReadHalf::Tcp(reader), WriteHalf::Tcp(writer))
            }
            Self::Tls(stream) => (ReadHalf::Tls(stream.reader), WriteHalf::Tls(stream.writer)),
            Self::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                (ReadHalf::Unix(reader), WriteHalf::Unix(writer))
            }
        }
    }

    /// Reads once; 0 bytes at the end of the stream.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn read(&mut self, buffer: &mut impl BufMut) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => poll_fn(|context| stream.reader.poll_read_buf(context, buffer)).await,
            Self::Unix(stream) => stream.read_buf(buffer).await,
        }
    }

    /// Writes everything that waits in `outbox`.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn write_all(&mut self, outbox: &mut Outbox) -> io::Result<()> {
        while !outbox.write_with(|slices| self.try_write(slices))? {
            match self {
                Self::Tcp(stream) => stream.writable().await?,
                Self::Tls(stream) => poll_fn(|context| stream.writer.poll_ready(context)).await?,
                Self::Unix(stream) => stream.writable().await?,
            }
        }
        Ok(())
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(slices),
            Self::Tls(stream) => stream.writer.try_write(slices),
            Self::Unix(stream) => stream.try_write_vectored(slices),
        }
    }
}

impl ReadHalf {
    /// Reads once, as soon as there is something; 0 bytes at the end of the stream. A read that does not fill the buffer
    /// has emptied the socket. Tokio knows that, and the next call asks the kernel whether to read before it reads.
    pub fn poll_read_buf(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(reader) => pin!(reader.read_buf(buffer)).poll(context),
            Self::Tls(reader) => reader.poll_read_buf(context, buffer),
            Self::Unix(reader) => pin!(reader.read_buf(buffer)).poll(context),
        }
    }
}

impl WriteHalf {
    /// Writes what the kernel takes now. Returns true if nothing is left.
    ///
    /// # Errors
    /// If the connection broke.
    pub fn write(&self, outbox: &mut Outbox) -> io::Result<bool> {
        outbox.write_with(|slices| match self {
            Self::Tcp(writer) => writer.try_write_vectored(slices),
            Self::Tls(writer) => writer.try_write(slices),
            Self::Unix(writer) => writer.try_write_vectored(slices),
        })
    }

    /// Progress of the connection, from the kernel; `None` where the kernel does not report it.
    pub(crate) fn kernel_view(&self) -> Option<KernelView> {
        match self {
            Self::Tcp(writer) => kernel_view_of(writer.as_ref()),
            Self::Tls(writer) => kernel_view_of(writer.socket()),
            Self::Unix(_) => None,
        }
    }

    /// Payload of a segment to the peer, bytes; `None` if there are no segments.
    #[must_use]
    pub fn segment_bytes(&self) -> Option<u32> {
        match self {
            Self::Tcp(writer) => SockRef::from(writer.as_ref()).tcp_mss().ok(),
            Self::Tls(writer) => SockRef::from(writer.socket()).tcp_mss().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Waits until the kernel takes more. One task at a time may wait.
    ///
    /// # Errors
    /// If the connection broke.
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(writer) => writer.as_ref().poll_write_ready(context),
            Self::Tls(writer) => writer.poll_ready(context),
            Self::Unix(writer) => writer.as_ref().poll_write_ready(context),
        }
    }

    /// Bytes that are encrypted and wait to be written, besides those in the caller's outbox.
    #[must_use]
    pub fn buffered(&self) -> u64 {
        match self {
            Self::Tls(writer) => writer.buffered() as u64,
            Self::Tcp(_) | Self::Unix(_) => 0,
        }
    }
}

#[cfg(target_os = "linux")]
fn kernel_view_of(stream: &TcpStream) -> Option<KernelView> {
    use std::mem::{MaybeUninit, size_of};
    use std::os::fd::AsRawFd;

    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes, the size of `info`, for a descriptor that is open.
    let failed = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    } != 0;
    if failed {
        return None;
    }
    // SAFETY: it is made of integers, of which an older kernel leaves the last ones 0.
    let info = unsafe { info.assume_init() };
    Some(KernelView {
        retransmits: info.tcpi_retransmits,
        data_age: Duration::from_millis(info.tcpi_last_data_recv.into()),
        answer_age: Duration::from_millis(info.tcpi_last_ack_recv.into()),
    })
}

#[cfg(not(target_os = "linux"))]
fn kernel_view_of(_: &TcpStream) -> Option<KernelView> {
    None
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(reader) => Pin::new(reader).poll_read(context, buffer),
            Self::Tls(reader) => reader.poll_read_buf(context, buffer).map_ok(|_| ()),
            Self::Unix(reader) => Pin::new(reader).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(writer) => Pin::new(writer).poll_write(context, bytes),
            Self::Tls(writer) => writer.poll_write(context, bytes),
            Self::Unix(writer) => Pin::new(writer).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(writer) => Pin::new(writer).poll_flush(context),
            // A write ends when the kernel has everything.
            Self::Tls(_) => Poll::Ready(Ok(())),
            Self::Unix(writer) => Pin::new(writer).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(writer) => Pin::new(writer).poll_shutdown(context),
            Self::Tls(writer) => {
                writer.close();
                Poll::Ready(Ok(()))
            }
            Self::Unix(writer) => Pin::new(writer).poll_shutdown(context),
        }
    }
}
