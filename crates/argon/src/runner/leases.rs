//! Leases of prefetched tasks (`spec/runner.md`, section 2). The runner claims a task before it starts it: it reads
//! the number of the task from a pipe, unless the worker has read it first. Also answers whether output is still in
//! the pipe.
//!
//! Moves no messages: the loop that calls this waits for the worker's answers.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use socket2::SockRef;

/// Variables with the pipe's descriptor, and with the request that asks whether a pipe is empty.
const PIPE: &str = "ARGON_CLAIM_FD";
const REQUEST: &str = "ARGON_FIONREAD";
/// In a number that is a barrier, the other bits of which are the number that follows it.
const BARRIER: u64 = 1 << 63;

/// The pipe of numbers, and where this process prints.
#[derive(Debug)]
pub(super) struct LeasePipe {
    numbers: PipeReader,
    turn: LeaseCount,
    /// A task may close or replace standard output and error; these stay what they are.
    outputs: [OwnedFd; 2],
}

/// Numbers that have been claimed.
#[derive(Debug, Default)]
struct LeaseCount {
    /// Of the task that was looked at last.
    number: u64,
    /// All tasks with lower numbers have been taken back.
    barrier: u64,
}

impl LeasePipe {
    /// The claims of this process, if its worker hands tasks ahead.
    pub(super) fn of_this_process() -> Option<Self> {
        let number: RawFd = std::env::var(PIPE).ok()?.parse().ok()?;
        let link = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
        if number <= 2 || !link.to_string_lossy().starts_with("pipe:") || std::env::var_os(REQUEST).is_none()
        {
            return None;
        }
        // SAFETY: the descriptor is open, the worker made it for this process, and nothing else here knows its number.
        let numbers = unsafe { PipeReader::from(OwnedFd::from_raw_fd(number)) };
        Self::new(numbers, [io::stdout().as_fd(), io::stderr().as_fd()]).ok()
    }

    /// # Errors
    /// If the outputs cannot be duplicated.
    pub(super) fn new(numbers: PipeReader, outputs: [BorrowedFd<'_>; 2]) -> io::Result<Self> {
        // What tasks start must not claim.
        SockRef::from(&numbers).set_cloexec(true)?;
        let [stdout, stderr] = outputs;
        let outputs = [stdout.try_clone_to_owned()?, stderr.try_clone_to_owned()?];
        Ok(Self { numbers, turn: LeaseCount::default(), outputs })
    }

    /// True if the task that was handed ahead next is this runner's.
    pub(super) fn claim(&mut self) -> bool {
        let Self { numbers, turn, .. } = self;
        turn.claim(|| next_number(numbers))
    }

    /// True if something that was printed has not been taken by the worker.
    pub(super) fn is_output_left(&self) -> bool {
        self.outputs.iter().any(|output| bytes_in(output) > 0)
    }
}

impl LeaseCount {
    /// True if the next task is this runner's, where `next_number` takes a number out of the pipe if there is one.
    fn claim(&mut self, mut next_number: impl FnMut() -> Option<u64>) -> bool {
        self.number += 1;
        while self.number >= self.barrier {
            let Some(found) = next_number() else {
                return false;
            };
            if found & BARRIER == 0 {
                return true;
            }
            // The number that follows may have been taken back by now, too; then another barrier is next.
            self.barrier = found & !BARRIER;
        }
        false
    }
}

/// Nothing if the worker has taken all of them back, or is gone.
fn next_number(numbers: &mut PipeReader) -> Option<u64> {
    let mut bytes = [0; 8];
    loop {
        match numbers.read(&mut bytes) {
            Ok(count) => return (count == bytes.len()).then(|| u64::from_be_bytes(bytes)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// Bytes that a pipe holds; 0 for what is none.
fn bytes_in(pipe: &OwnedFd) -> libc::c_int {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, to a local that outlives the call.
    let answer = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    if answer < 0 { 0 } else { bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks, of `tasks`, that are claimed while the pipe holds these numbers.
    fn claimed(turn: &mut LeaseCount, tasks: usize, numbers: &[u64]) -> Vec<bool> {
        let mut numbers = numbers.iter().copied();
        let claimed = (0..tasks).map(|_| turn.claim(|| numbers.next())).collect();
        assert_eq!(numbers.next(), None, "a number was left");
        claimed
    }

    #[test]
    fn each_number_claims_a_task() {
        assert_eq!(claimed(&mut LeaseCount::default(), 3, &[1, 2, 3]), [true; 3]);
    }

    #[test]
    fn what_was_taken_back_is_dropped_for_want_of_a_number() {
        assert_eq!(claimed(&mut LeaseCount::default(), 3, &[1]), [true, false, false]);
    }

    #[test]
    fn what_follows_a_gap_is_claimed_by_its_own_number() {
        // Tasks 2 and 3 were taken back before this runner looked, 4 and 5 came then.
        let numbers = [1, BARRIER | 4, 4, 5];
        assert_eq!(claimed(&mut LeaseCount::default(), 5, &numbers), [true, false, false, true, true]);
    }

    #[test]
    fn a_gap_that_was_noticed_ends_at_its_barrier() {
        let mut turn = LeaseCount::default();
        assert_eq!(claimed(&mut turn, 2, &[1]), [true, false]);
        assert_eq!(claimed(&mut turn, 2, &[BARRIER | 3, 3, 4]), [true, true]);
    }

    #[test]
    fn a_number_that_is_taken_back_behind_its_barrier_is_not_claimed() {
        let mut turn = LeaseCount::default();
        assert_eq!(claimed(&mut turn, 2, &[1, BARRIER | 2]), [true, false]);
        // The pool gives numbers out again only behind another barrier.
        assert_eq!(claimed(&mut turn, 2, &[BARRIER | 3, 3]), [true, false]);
    }

    #[test]
    fn what_is_taken_back_between_a_barrier_and_its_number_leaves_another_barrier() {
        let numbers = [BARRIER | 1, BARRIER | 3, 3, 4];
        assert_eq!(claimed(&mut LeaseCount::default(), 4, &numbers), [false, false, true, true]);
    }
}
