//! Addresses as people write them, parsed once at the edge.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::{TcpListener, lookup_host};

use crate::exit::{Failure, FailureKind};

/// Checks the form `host:port` and returns it as it was written.
///
/// # Errors
/// With a sentence for people if there is no port, or it is no number.
pub fn parse_peer(text: &str) -> Result<String, String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("'{text}' has no port; write it as HOST:PORT, such as {text}:8000"));
    };
    if host.is_empty() || (host.contains(':') && !host.starts_with('[')) {
        return Err(format!("'{text}' is not HOST:PORT; write an IPv6 address as [::1]:8000"));
    }
    match port.parse::<u16>() {
        Ok(0) | Err(_) => Err(format!("'{port}' in '{text}' is not a port between 1 and 65535")),
        Ok(_) => Ok(text.to_owned()),
    }
}

/// An address that is ours, at which nobody is answered yet.
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

    /// Opens the port: from now on connections are taken in. Whoever connects expects everything to be ready.
    ///
    /// # Errors
    /// If another process listens there since.
    pub fn listen(self) -> Result<TcpListener, Failure> {
        let address = self.address;
        // Thousands of peers may come back at once; the kernel lowers this to what it allows.
        self.socket.listen(16_384).map_err(|error| cannot_listen(address, &error))?;
        TcpListener::from_std(self.socket.into()).map_err(|error| cannot_listen(address, &error))
    }
}

/// Takes the address; one that others can reach needs `plaintext_allowed`.
///
/// # Errors
/// If the host is unknown, the address may not or cannot be listened on.
pub async fn bind(host: &str, port: u16, plaintext_allowed: bool) -> Result<Bound, Failure> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port))
        .await
        .map_err(|error| {
            Failure::new(FailureKind::Listen, format!("the host '{host}' is not known here: {error}"))
        })?
        .collect();
    let reachable = addresses.iter().find(|address| !address.ip().is_loopback());
    if let (Some(address), false) = (reachable, plaintext_allowed) {
        return Err(Failure::new(
            FailureKind::Listen,
            format!(
                "{} can be reached by other machines, and this release speaks without encryption: the key would be proven, \
                 but tasks and results would travel in the clear; listen on 127.0.0.1 (and use an SSH tunnel), \
                 or say --insecure-plaintext on a network that you trust",
                address.ip()
            ),
        ));
    }
    let Some(first) = addresses.first() else {
        return Err(Failure::new(FailureKind::Listen, format!("the host '{host}' has no address")));
    };
    take(*first).map_err(|error| cannot_listen(*first, &error))
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
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
    Failure::new(FailureKind::Listen, format!("cannot listen on {address}: {error}{advice}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_without_a_port_is_told_how_to_write_it() {
        assert_eq!(parse_peer("mgr:8000"), Ok("mgr:8000".to_owned()));
        assert_eq!(parse_peer("[::1]:8000"), Ok("[::1]:8000".to_owned()));
        assert!(parse_peer("mgr").is_err_and(|error| error.contains("mgr:8000")));
        assert!(parse_peer("mgr:none").is_err());
        assert!(parse_peer("mgr:0").is_err());
        assert!(parse_peer("::1:8000").is_err());
    }
}
