//! The mark that every process of a runner carries, whatever it does.
//!
//! A task may fork, start a new session, close every descriptor, rewrite its environment and lose its parent. Its processes
//! inherit the resource limits through all of that. The limit on file locks has had no effect since Linux 2.4, so its soft
//! value holds the mark: the worker and the runner. `sweep` and `guardian` find the processes that a runner has left by
//! their mark, and touch no others.

use argon_proto::WorkerId;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use super::kernel;

const SERIAL_BITS: u32 = 20;
const SERIAL_MASK: u64 = (1 << SERIAL_BITS) - 1;
/// Makes a mark larger than any limit that a person would set.
const TOP: u64 = 1 << 61;

/// A worker and one of its runners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark(pub(crate) u64);

impl Mark {
    /// The mark of a worker's runner number `serial`, which counts its runners and starts over after a million.
    pub(crate) fn new(worker: WorkerId, serial: u32) -> Self {
        let mut id = [0; 8];
        id[3..].copy_from_slice(&worker.0[..5]);
        let worker = u64::from_be_bytes(id);
        Self(TOP | worker << SERIAL_BITS | u64::from(serial) & SERIAL_MASK)
    }

    /// True if both are of one worker.
    pub(crate) fn is_same_worker(self, other: Self) -> bool {
        self.0 & !SERIAL_MASK == other.0 & !SERIAL_MASK
    }

    /// Marks the calling process and all that it will start. Async-signal-safe.
    pub(crate) fn put_on_this_process(self) -> nix::Result<()> {
        let (_, hard) = getrlimit(Resource::RLIMIT_LOCKS)?;
        setrlimit(Resource::RLIMIT_LOCKS, self.0.min(hard), hard)
    }

    /// Marks another process and all that it will start.
    ///
    /// # Errors
    /// If there is no such process.
    pub(crate) fn put_on(self, pid: Pid) -> std::io::Result<()> {
        kernel::limit_process(pid, libc::RLIMIT_LOCKS, self.0, false)
    }

    /// The mark of a process, if it carries one and still exists.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
        let soft: u64 = line.split_whitespace().next()?.parse().ok()?;
        (soft & TOP != 0).then_some(Self(soft))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_workers_and_runners_apart() {
        let (one, other) = (WorkerId([1; 16]), WorkerId([2; 16]));
        assert!(Mark::new(one, 1).is_same_worker(Mark::new(one, 77)));
        assert!(!Mark::new(one, 1).is_same_worker(Mark::new(other, 1)));
        assert_ne!(Mark::new(one, 1), Mark::new(one, 2));
        assert_eq!(Mark::new(one, 3), Mark::new(one, 3 + (1 << SERIAL_BITS)));
    }

    #[test]
    fn an_unmarked_process_has_none() {
        assert_eq!(Mark::of(Pid::this()), None);
    }
}
