//! The mark that every process of a runner carries, whatever it does.
//!
//! A task may fork, start a new session, close every descriptor, rewrite its environment and lose its parent. Its processes
//! inherit the resource limits through all of that. The limit on file locks has had no effect since Linux 2.4, so its soft
//! value holds the mark: the worker and the runner. The shield keeps tasks from changing it. `sweep` and `guardian` find
//! the processes that a runner has left by their mark, and touch no others.

use argon_proto::WorkerId;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use super::kernel;

const SERIAL_BITS: u32 = 20;
const SERIAL_MASK: u64 = (1 << SERIAL_BITS) - 1;
/// Distinguishes workers of one process, which only tests have.
const WORKER_BITS: u32 = 18;
/// The most that Linux allows.
const PID_BITS: u32 = 22;
/// Makes a mark larger than any limit that a person would set.
const TOP: u64 = 3 << 60;
/// Above the bits of a mark.
const PREFIX_AT: u32 = PID_BITS + WORKER_BITS + SERIAL_BITS;

/// A worker and one of its runners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark(pub(crate) u64);

impl Mark {
    /// The mark of runner number `serial` of a worker in this process, which counts its runners and starts over after a
    /// million.
    pub(crate) fn new(worker: WorkerId, serial: u32) -> Self {
        let mut id = [0; 4];
        id.copy_from_slice(&worker.0[..4]);
        let worker = u64::from(u32::from_be_bytes(id) >> (32 - WORKER_BITS));
        let pid = u64::from(std::process::id()) & ((1 << PID_BITS) - 1);
        Self(TOP | (pid << WORKER_BITS | worker) << SERIAL_BITS | u64::from(serial) & SERIAL_MASK)
    }

    /// The number of the next runner, from 1.
    pub(crate) fn serial_after(serial: u32) -> u32 {
        if u64::from(serial) >= SERIAL_MASK { 1 } else { serial + 1 }
    }

    /// The process of the worker, in the worker's own namespace of processes.
    pub(crate) fn worker_process(self) -> Pid {
        let pid = self.0 >> (WORKER_BITS + SERIAL_BITS) & ((1 << PID_BITS) - 1);
        Pid::from_raw(i32::try_from(pid).unwrap_or(0))
    }

    /// The number of the runner; 0 for the worker itself.
    pub(crate) fn serial(self) -> u64 {
        self.0 & SERIAL_MASK
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

    /// Takes the mark of the worker off a process that is not for tasks.
    pub(crate) fn take_off_this_process() {
        let _ = getrlimit(Resource::RLIMIT_LOCKS)
            .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_LOCKS, hard, hard));
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
        let soft = kernel::limit_of(pid, libc::RLIMIT_LOCKS).ok().or_else(|| Self::shown_of(pid))?;
        (soft >> PREFIX_AT == TOP >> PREFIX_AT).then_some(Self(soft))
    }

    /// From the file that everybody may read, for a process that has changed its user.
    fn shown_of(pid: Pid) -> Option<u64> {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
        line.split_whitespace().next()?.parse().ok()
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
        assert_eq!(Mark::new(one, 1).worker_process(), Pid::this());
    }

    #[test]
    fn an_unmarked_process_has_none() {
        assert_eq!(Mark::of(Pid::this()), None);
    }
}
