//! Listening: the port that is taken before anything is ready and opened when all is.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::{TcpListener, lookup_host};

/// An address that cannot be listened on. The text names it and gives advice.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ListenError(String);

/// An address that this process has taken and does not answer at yet.
#[derive(Debug)]
pub struct Bound {
    socket: socket2::Socket,
    address: SocketAddr,
}

impl Bound {
    /// The address, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens the port. Call it when everything is ready for those who connect.
    ///
    /// # Errors
    /// If another process has begun to listen there.
    pub fn listen(self) -> Result<TcpListener, ListenError> {
        let address = self.address;
        // Thousands of peers may come back at once; the kernel lowers this to what it allows.
        self.socket.listen(16_384).map_err(|error| cannot_listen(address, &error))?;
        TcpListener::from_std(self.socket.into()).map_err(|error| cannot_listen(address, &error))
    }
}

/// Takes the address.
///
/// # Errors
/// If the host is unknown, or the address cannot be listened on.
pub async fn bind(host: &str, port: u16) -> Result<Bound, ListenError> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port))
        .await
        .map_err(|error| ListenError(format!("the host '{host}' is not known here: {error}")))?
        .collect();
    let Some(first) = addresses.first() else {
        return Err(ListenError(format!("the host '{host}' has no address")));
    };
    take(*first).map_err(|error| cannot_listen(*first, &error))
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> ListenError {
    let advice = [
        (
            ErrorKind::AddrInUse,
            "; another program listens there: stop it, or choose another port with --port (0 picks a free one)",
        ),
        (ErrorKind::AddrNotAvailable, "; this machine does not have that address"),
        (ErrorKind::PermissionDenied, "; ports below 1024 are for root"),
    ];
    let advice = advice.into_iter().find_map(|(kind, advice)| (kind == error.kind()).then_some(advice));
    let advice = advice.unwrap_or_default();
    ListenError(format!("cannot listen on {address}: {error}{advice}"))
}

fn take(address: SocketAddr) -> std::io::Result<Bound> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(Bound { socket, address })
}
