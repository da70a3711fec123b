//! Finds the sockets that can be read: the system calls and nothing more.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const EVENTS: usize = 512;

/// Sockets that are waited for, each under the number that its owner gave it.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the call makes a descriptor, which is ours alone.
        unsafe {
            match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
                fd if fd >= 0 => Ok(Self(OwnedFd::from_raw_fd(fd))),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    pub(super) fn add(&self, stream: &TcpStream, place: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: place as u64 };
        // SAFETY: both descriptors are open, and the event is a local.
        let answer = unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, stream.as_raw_fd(), &raw mut event)
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The numbers of those that can be read; waits until there is one, for 30 s at most.
    pub(super) fn wait(&self) -> io::Result<Vec<usize>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: the list is a local with room for all events that are asked for.
        let count = unsafe {
            libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), EVENTS as libc::c_int, 30_000)
        };
        match usize::try_from(count) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(count) => Ok(events[..count].iter().map(|event| event.u64 as usize).collect()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}
