//! TLS 1.3 on a TCP connection, as [`crate::Stream`] carries it: with writes that never wait and reads that are polled.
//!
//! rustls encrypts and decrypts in memory; this module moves its bytes. Both sides of a connection share its state under a
//! lock that is held while bytes are moved and never while waiting. Nothing gets stuck in between:
//!
//! * A write takes bytes of the caller only when everything they were encrypted to has gone to the kernel. Until then the
//!   caller keeps them and waits for the socket, as without TLS. At most [`WRITE_BYTES`] are encrypted ahead.
//! * A read returns what is decrypted before it waits, and waits only for the socket.

#[cfg(feature = "listen")]
pub(crate) mod accept;
pub(crate) mod authority;
pub(crate) mod connect;
#[cfg(feature = "listen")]
mod tickets;

use std::cell::RefCell;
use std::io::{self, BufRead, ErrorKind, IoSlice, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, Connection};
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Bytes that are encrypted before they are written.
const WRITE_BYTES: usize = 64 << 10;
/// Encrypted bytes that one read takes from the socket.
const READ_BYTES: usize = 64 << 10;
/// Smallest read, however little room there is for the decrypted bytes.
const READ_BYTES_MIN: usize = 4 << 10;
/// Bytes of one read during the handshake.
const SHAKE_READ_BYTES: usize = 4 << 10;

thread_local! {
    /// Encrypted bytes on their way from the socket to rustls. They do not stay here.
    static ENCRYPTED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// An encrypted connection whose handshake is over.
#[derive(Debug)]
pub struct TlsStream {
    pub(crate) reader: TlsReader,
    pub(crate) writer: TlsWriter,
    channel: [u8; 32],
}

/// The reading side of an encrypted connection.
#[derive(Debug)]
pub struct TlsReader {
    socket: OwnedReadHalf,
    shared: Arc<SharedTls>,
    /// Bytes that were read from the socket and for which rustls had no room.
    left: Vec<u8>,
}

/// The writing side of an encrypted connection. Dropping it ends what the peer reads.
#[derive(Debug)]
pub struct TlsWriter {
    shared: Arc<SharedTls>,
}

#[derive(Debug)]
struct SharedTls {
    socket: OwnedWriteHalf,
    state: Mutex<TlsState>,
}

#[derive(Debug)]
struct TlsState {
    connection: Connection,
    /// Bytes of the caller that are encrypted and that it still keeps.
    ahead: usize,
}

/// Why a TLS handshake failed.
#[derive(Debug)]
pub(crate) enum TlsError {
    /// The peer's bytes or certificate are not acceptable, or it reported this of ours.
    Tls(rustls::Error),
    /// The connection broke; [`ErrorKind::UnexpectedEof`] if the peer closed it.
    Broken(io::Error),
}

/// The ciphers and curves of TLS. AES-128 comes first: processors hash its SHA-256 in hardware, and few of them the SHA-384
/// of AES-256, of which a handshake needs dozens.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::OnceLock<Arc<CryptoProvider>> = std::sync::OnceLock::new();
    let ordered = || {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        Arc::new(provider)
    };
    Arc::clone(PROVIDER.get_or_init(ordered))
}

/// Carries out the handshake. The peer may send `budget` bytes for it. The last bytes of the handshake that are our own leave
/// together with the first ones of the caller.
pub(crate) async fn shake(
    stream: &TcpStream,
    connection: &mut Connection,
    mut budget: usize,
) -> Result<(), TlsError> {
    let mut buffer = [0; SHAKE_READ_BYTES];
    while connection.is_handshaking() {
        while connection.wants_write() {
            match connection.write_tls(&mut Socket(stream)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    stream.writable().await.map_err(TlsError::Broken)?
                }
                Err(error) => return Err(TlsError::Broken(error)),
            }
        }
        stream.readable().await.map_err(TlsError::Broken)?;
        let count = match stream.try_read(&mut buffer) {
            Ok(0) => return Err(TlsError::Broken(ErrorKind::UnexpectedEof.into())),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(TlsError::Broken(error)),
        };
        budget = budget.checked_sub(count).ok_or_else(too_much)?;
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            // At the end of a connection rustls takes nothing.
            if connection.read_tls(&mut rest).map_err(TlsError::Broken)? == 0 {
                return Err(TlsError::Broken(ErrorKind::UnexpectedEof.into()));
            }
            if let Err(error) = connection.process_new_packets() {
                // The peer learns of it if the socket takes the alert.
                let _ = connection.write_tls(&mut Socket(stream));
                return Err(TlsError::Tls(error));
            }
        }
    }
    Ok(())
}

fn too_much() -> TlsError {
    TlsError::Broken(io::Error::other("too much was sent in the TLS handshake"))
}

impl TlsStream {
    pub(crate) fn new(stream: TcpStream, mut connection: Connection, channel: [u8; 32]) -> Self {
        connection.set_buffer_limit(Some(WRITE_BYTES));
        let (reader, writer) = stream.into_split();
        let state = Mutex::new(TlsState { connection, ahead: 0 });
        let shared = Arc::new(SharedTls { socket: writer, state });
        let reader = TlsReader { socket: reader, shared: Arc::clone(&shared), left: Vec::new() };
        Self { reader, writer: TlsWriter { shared }, channel }
    }

    /// Kind of the handshake: full, or of a resumed session.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> rustls::HandshakeKind {
        self.writer.shared.state().connection.handshake_kind().expect("the handshake is over")
    }

    /// The hash of the certificate that the listener showed.
    pub(crate) fn channel(&self) -> [u8; 32] {
        self.channel
    }
}

impl TlsReader {
    /// Reads once, as soon as there is something; 0 bytes at the end of the stream, whether or not the peer announced it:
    /// frames tell what is whole.
    pub(crate) fn poll_read_buf(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        let Self { socket, shared, left } = self;
        let mut read = shared.state().take_in(left, buffer);
        loop {
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                done => return Poll::Ready(done),
            }
            read = ready!(ENCRYPTED.with_borrow_mut(|encrypted| {
                let bytes = buffer.remaining_mut().clamp(READ_BYTES_MIN, READ_BYTES);
                let mut arrived = ReadBuf::new(&mut encrypted[..bytes]);
                ready!(Pin::new(&mut *socket).poll_read(context, &mut arrived))?;
                Poll::Ready(shared.receive(arrived.filled(), left, buffer))
            }));
        }
    }
}

impl TlsWriter {
    /// Writes what the kernel takes now, and returns how many bytes of `slices` the caller may forget. After
    /// [`ErrorKind::WouldBlock`] the caller must offer the same bytes again.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.shared.state();
        loop {
            state.send(self.shared.socket.as_ref())?;
            if state.ahead > 0 {
                return Ok(std::mem::take(&mut state.ahead));
            }
            state.ahead = state.connection.writer().write_vectored(slices)?;
            if state.ahead == 0 {
                return Ok(0);
            }
        }
    }

    /// Writes bytes; after [`Poll::Pending`] the caller must offer the same ones again.
    pub(crate) fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(&[IoSlice::new(bytes)]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(self.poll_ready(context))?,
                done => return Poll::Ready(done),
            }
        }
    }

    /// Waits until the kernel takes more.
    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_write_ready(context)
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.shared.socket.as_ref()
    }

    /// Bytes that were encrypted and wait to be written.
    pub(crate) fn buffered(&self) -> usize {
        self.shared.state().ahead
    }

    /// Ends what the peer reads.
    pub(crate) fn close(&self) {
        let mut state = self.shared.state();
        state.connection.send_close_notify();
        // A peer that takes nothing finds the end of the connection without it, and counts it as lost.
        let _ = state.send(self.socket());
        let _ = SockRef::from(self.socket()).shutdown(std::net::Shutdown::Write);
    }
}

impl Drop for TlsWriter {
    fn drop(&mut self) {
        self.close();
    }
}

impl SharedTls {
    fn state(&self) -> MutexGuard<'_, TlsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decrypts bytes of the socket into `buffer`; none means that the peer has ended the connection. What there is no room
    /// for is left.
    fn receive(
        &self,
        mut encrypted: &[u8],
        left: &mut Vec<u8>,
        buffer: &mut impl BufMut,
    ) -> io::Result<usize> {
        let mut state = self.state();
        if encrypted.is_empty() {
            state.connection.read_tls(&mut io::empty())?;
        }
        let read = state.decrypt(&mut encrypted, buffer);
        left.extend_from_slice(encrypted);
        // Answers of rustls itself, such as an alert. What the socket does not take goes before the next bytes.
        match state.send(self.socket.as_ref()) {
            Err(error) if error.kind() != ErrorKind::WouldBlock && read.is_ok() => Err(error),
            _ => read,
        }
    }
}

impl TlsState {
    /// Decrypts what was left over.
    fn take_in(&mut self, left: &mut Vec<u8>, buffer: &mut impl BufMut) -> io::Result<usize> {
        let mut rest = left.as_slice();
        let read = self.decrypt(&mut rest, buffer);
        let done = left.len() - rest.len();
        if done == left.len() {
            *left = Vec::new();
        } else {
            left.drain(..done);
        }
        read
    }

    /// Decrypts into `buffer` until the input is used up or there is no more room. 0 at the end of the stream;
    /// [`ErrorKind::WouldBlock`] if more must arrive first.
    fn decrypt(&mut self, encrypted: &mut &[u8], buffer: &mut impl BufMut) -> io::Result<usize> {
        let mut total = 0;
        while !encrypted.is_empty() {
            match self.connection.read_tls(encrypted) {
                // The peer has announced the end: nothing counts behind that.
                Ok(0) => *encrypted = &[],
                Ok(_) => {
                    let processed = self.connection.process_new_packets();
                    processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
                }
                // rustls keeps no more plain text.
                Err(error) => match self.read_plain(buffer) {
                    Ok(0) if buffer.has_remaining_mut() => return Err(error),
                    Ok(0) => return Ok(total),
                    Ok(count) => total += count,
                    Err(_) => return Err(error),
                },
            }
        }
        match self.read_plain(buffer) {
            Ok(count) => Ok(total + count),
            Err(_) if total > 0 => Ok(total),
            Err(error) => Err(error),
        }
    }

    /// Moves plain text to `buffer` as far as it has room.
    fn read_plain(&mut self, buffer: &mut impl BufMut) -> io::Result<usize> {
        let mut total = 0;
        let mut reader = self.connection.reader();
        while buffer.has_remaining_mut() {
            let plain = match reader.fill_buf() {
                Ok([]) => break,
                Ok(plain) => plain,
                Err(_) if total > 0 => break,
                Err(error) => return Err(error),
            };
            let count = plain.len().min(buffer.remaining_mut());
            buffer.put_slice(&plain[..count]);
            reader.consume(count);
            total += count;
        }
        Ok(total)
    }

    /// Writes what is encrypted.
    fn send(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut Socket(socket))?;
        }
        Ok(())
    }
}

/// A socket for rustls: takes what it can, and never waits.
struct Socket<'a>(&'a TcpStream);

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, feature = "listen"))]
mod tests;
