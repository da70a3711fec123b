//! Starts the processes of the relay and joins them: this process is the client.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use super::hop::{HOP, Way};

/// A chain of processes whose near end is a stream; they end with it.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) stream: TcpStream,
    hops: Vec<Child>,
}

impl Chain {
    /// Starts manager, worker and runner. Each has the side of the client as its standard input and the far side as its
    /// standard output; the runner, which has no far side, sends everything back.
    pub(super) fn start(way: Way) -> io::Result<Self> {
        let (client, manager_near) = tcp_pair()?;
        let (manager_far, worker_near) = tcp_pair()?;
        let (worker_far, runner) = UnixStream::pair()?;
        let hops = vec![
            spawn(way, manager_near.into(), Some(manager_far.into()))?,
            spawn(way, worker_near.into(), Some(worker_far.into()))?,
            spawn(way, runner.into(), None)?,
        ];
        Ok(Self { stream: client, hops })
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // Each hop ends when its near side does; a failure here only leaves that to the next line.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        for hop in &mut self.hops {
            let _ = hop.wait();
        }
    }
}

fn spawn(way: Way, near: OwnedFd, far: Option<OwnedFd>) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args([HOP, way.name()])
        .stdin(near)
        .stdout(far.map_or_else(Stdio::null, Stdio::from))
        .spawn()
}

fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let dialled = TcpStream::connect(listener.local_addr()?)?;
    let (accepted, _) = listener.accept()?;
    dialled.set_nodelay(true)?;
    accepted.set_nodelay(true)?;
    Ok((dialled, accepted))
}
