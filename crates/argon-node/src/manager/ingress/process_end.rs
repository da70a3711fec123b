//! Whether the process of a client has ended, so that it never comes back: asked when its connection broke without a goodbye,
//! of a client on the manager's own machine.

use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use argon_net::pid_space;
use argon_proto::conversation::client::Open;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Longest time from the end of a process's connections to its own end that is waited for. A process closes its files and then
/// ends, within milliseconds unless much memory is freed.
const ENDING: Duration = Duration::from_secs(2);

/// The process of a client, if this manager can ask the system about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientProcess(libc::pid_t);

impl ClientProcess {
    /// The process that opens a session, if it lives in the manager's space of process ids and lets the manager ask.
    pub(super) fn of(open: &Open) -> Option<Self> {
        let is_here = open.pid_space.as_str() == pid_space::own()?;
        let pid = libc::pid_t::try_from(open.pid).ok().filter(|pid| *pid > 0)?;
        is_here.then_some(Self(pid))
    }

    /// Waits a moment for the end of the process. True if it has ended.
    pub(super) async fn has_ended(self) -> bool {
        let process = match self.open() {
            Ok(process) => process,
            Err(error) => return error.raw_os_error() == Some(libc::ESRCH),
        };
        // SAFETY: it owns the descriptor and always returns the same, which stays open as long as it lives.
        let Ok(process) = (unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) }) else {
            return false;
        };
        tokio::time::timeout(ENDING, process.readable()).await.is_ok_and(|end| end.is_ok())
    }

    /// A descriptor that can be read when the process has ended.
    fn open(self) -> std::io::Result<OwnedFd> {
        // SAFETY: the call takes two numbers, and returns a new descriptor or an error.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, self.0, libc::PIDFD_NONBLOCK) };
        match i32::try_from(opened) {
            // SAFETY: nobody else has the new descriptor.
            Ok(opened) if opened >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(opened) }),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use argon_proto::secret::Secret;

    use super::*;

    fn process(pid: u32, space: &str) -> Option<ClientProcess> {
        let secret = Secret::new([1; 32]);
        ClientProcess::of(&Open { pid, pid_space: space.into(), ..Open::of(secret) })
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_seen() {
        let space = pid_space::own().expect("this machine shows its start");
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started");
        let watched = process(child.id(), space).expect("it lives here");
        drop(child.stdin.take());
        assert!(watched.has_ended().await, "before anyone has waited for it");
        child.wait().expect("it has ended");
        assert!(watched.has_ended().await, "and after");
    }

    #[tokio::test]
    async fn a_process_that_lives_or_is_elsewhere_has_not_ended() {
        let space = pid_space::own().expect("this machine shows its start");
        assert!(!process(std::process::id(), space).expect("it lives here").has_ended().await);
        assert_eq!(process(std::process::id(), "another machine"), None);
        assert_eq!(process(std::process::id(), ""), None);
        assert_eq!(process(0, space), None);
        assert_eq!(process(u32::MAX, space), None);
    }
}
