//! `argon tunnel`: a TLS connection to a manager on the standard streams, for clients whose language has no TLS.
//!
//! It checks the manager's certificate and proves nothing: the client does the handshake of the protocol itself, with the
//! channel that is written first.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::pin;

use argon_net::identity::expected_pin;
use argon_net::trust::TLS_CA;
use argon_net::{Encryption, ReadHalf, Stream, Trust, WriteHalf, dial};
use argon_proto::frame::Outbox;
use argon_proto::key::Pin;
use bytes::BytesMut;
use clap::Args;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::options::{KeyOption, parse_address};
use crate::exit::{Failure, FailureKind};
use crate::key_file;

const READ_BYTES: usize = 262_144;

/// Connect to a manager over TLS, on standard input and output.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon tunnel mgr:8000                    to the manager of the key that is found here
  argon tunnel mgr:8000 --pin 6372e608…    to the manager with this pin; needs no key

Clients start it as a helper where their language has no TLS, as Perl without IO::Socket::SSL. It
connects with TLS 1.3, also within this machine, and checks the manager's certificate as every
client does. It writes the SHA-256 of that certificate, 32 bytes, to standard output: the proofs of
the protocol cover them. Then it carries bytes both ways until one side ends. It sends no key.

Exit status: 0 when the connection has ended, 1 when it broke, 2 for a wrong command line, 69 when
there was none. One line on standard error gives the reason; with 69, standard output is empty.")]
pub(super) struct TunnelArguments {
    /// The manager's address
    #[arg(value_name = "HOST:PORT", value_parser = parse_address)]
    manager: String,
    /// SHA-256 of the manager's certificate, 64 hexadecimal digits [default: that of the key]
    #[arg(long, value_name = "HEX", conflicts_with_all = ["key", "tls_ca"])]
    pin: Option<Pin>,
    #[command(flatten)]
    key: KeyOption,
    /// File of the CA (PEM) that signed the manager's certificate, in place of a pin [default: $ARGON_TLS_CA]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

pub(super) fn run(arguments: &TunnelArguments) -> Result<(), Failure> {
    super::block_on(async {
        let stream = connected(arguments)
            .await
            .map_err(|why| Failure::new(FailureKind::Unavailable, why.to_string()))?;
        let channel = stream.channel();
        let (reader, writer) = stream.split();
        let (input, output) = standard_streams();
        let (up, down) = (pin!(up(input, writer)), pin!(down(reader, output, channel)));
        carried(up, down).await.map_err(|error| {
            let manager = &arguments.manager;
            Failure::new(
                FailureKind::Other,
                format!("the connection to the manager at {manager} broke: {error}"),
            )
        })
    })
}

async fn connected(arguments: &TunnelArguments) -> Result<Stream, Failure> {
    let authority = match arguments.pin {
        Some(_) => None,
        None => arguments.tls_ca.clone().or_else(|| std::env::var_os(TLS_CA).map(PathBuf::from)),
    };
    let authority = authority.filter(|path| !path.as_os_str().is_empty());
    let pin = match (arguments.pin, &authority) {
        // A CA tells which manager to trust, and the client has the key.
        (None, Some(_)) => None,
        (None, None) => expected_pin(&key_file::find(arguments.key.key.as_deref())?.key),
        (pin, _) => pin,
    };
    let trust = Trust::new(Encryption::Always, authority.as_deref())?;
    Ok(dial::reach(&arguments.manager, pin, &trust).await?)
}

/// Runs until the manager ends the connection, or one side breaks. The end of the input ends what the manager reads.
async fn carried(
    mut up: std::pin::Pin<&mut impl Future<Output = io::Result<()>>>,
    mut down: std::pin::Pin<&mut impl Future<Output = io::Result<()>>>,
) -> io::Result<()> {
    let ended = tokio::select! {
        ended = &mut down => ended,
        ended = &mut up => match ended {
            Ok(()) => down.await,
            Err(error) => Err(error),
        },
    };
    match ended {
        // The client has gone, or the manager without a close_notify.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof) => Ok(()),
        ended => ended,
    }
}

async fn up(mut input: Box<dyn AsyncRead + Unpin>, writer: WriteHalf) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    let mut outbox = Outbox::default();
    loop {
        buffer.reserve(READ_BYTES);
        if input.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        outbox.push_raw(&buffer);
        buffer.clear();
        while !writer.write(&mut outbox)? || writer.buffered() > 0 {
            poll_fn(|context| writer.poll_ready(context)).await?;
        }
    }
}

async fn down(
    mut reader: ReadHalf,
    mut output: Box<dyn AsyncWrite + Unpin>,
    channel: [u8; 32],
) -> io::Result<()> {
    let mut buffer = BytesMut::from(&channel[..]);
    loop {
        output.write_all(&buffer).await?;
        output.flush().await?;
        buffer.clear();
        buffer.reserve(READ_BYTES);
        if poll_fn(|context| reader.poll_read_buf(context, &mut buffer)).await? == 0 {
            return Ok(());
        }
    }
}

/// Standard input and output: without threads where both are Unix sockets, as a client gives them.
fn standard_streams() -> (Box<dyn AsyncRead + Unpin>, Box<dyn AsyncWrite + Unpin>) {
    match (socket_of(&io::stdin()), socket_of(&io::stdout())) {
        (Some(input), Some(output)) => (Box::new(input), Box::new(output)),
        _ => (Box::new(tokio::io::stdin()), Box::new(tokio::io::stdout())),
    }
}

/// A copy of the descriptor, if it is a connected Unix socket.
fn socket_of(descriptor: &impl AsFd) -> Option<UnixStream> {
    let copy = descriptor.as_fd().try_clone_to_owned().ok()?;
    let is_unix =
        SockRef::from(&copy).local_addr().is_ok_and(|address| address.is_unix() || address.is_unnamed());
    let stream = std::os::unix::net::UnixStream::from(copy);
    (is_unix && stream.set_nonblocking(true).is_ok()).then(|| UnixStream::from_std(stream).ok()).flatten()
}
