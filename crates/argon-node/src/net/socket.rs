//! The options that every TCP connection of Argon is given, and how many there may be.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Silence after which keepalive asks the peer's kernel.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// Between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// Unanswered bytes end the connection after this.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// No delay, keepalive, and a bound on unanswered bytes. What a kernel lacks is left out.
pub fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(3);
    let outcomes = [
        socket.set_tcp_nodelay(true),
        socket.set_tcp_keepalive(&keepalive),
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT)),
    ];
    for error in outcomes.into_iter().filter_map(Result::err) {
        tracing::debug!("a socket option could not be set: {error}");
    }
}

/// Lets this process have as many connections as the system allows it at all: programs are often started with 1024.
pub fn allow_many() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::debug!("the limit of open descriptors stays as it is: {error}");
    }
}
