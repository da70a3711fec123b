//! The pipe of leases: each prefetched task has a numbered lease, and the process that reads the number has the task.
//!
//! Worker and runner both hold the read end. The runner reads a lease before it starts the task, the worker when it
//! retracts the task. Numbers come out in order. Where leases were retracted, a barrier stands before the next one: a
//! runner that looks for a retracted lease finds the barrier, not a later number.
//!
//! Leases are written together, before their tasks. A task whose lease is not in the pipe yet cannot have started.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use super::kernel;

const LEASE_BYTES: usize = 8;
/// Set in a barrier; the other bits are the number of the lease that follows.
const BARRIER: u64 = 1 << 63;
/// More than a runner ever has prefetched.
const LEASES_MAX: usize = 512;

/// The number of a prefetched task, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Lease(u64);

/// The worker's ends of the pipe.
#[derive(Debug)]
pub(crate) struct LeasePipe {
    reader: PipeReader,
    writer: PipeWriter,
    /// The last lease that was given.
    last: Lease,
    /// The last leases that were given were retracted.
    has_gap: bool,
    /// Leases and barriers that are not in the pipe yet.
    unwritten: Vec<u8>,
}

impl LeasePipe {
    /// A pipe, and the read end for the runner.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        kernel::unblock(reader.as_fd())?;
        kernel::unblock(writer.as_fd())?;
        let its_reader = reader.try_clone()?.into();
        let last = Lease::default();
        Ok((Self { reader, writer, last, has_gap: false, unwritten: Vec::new() }, its_reader))
    }

    /// Gives the next lease. [`Self::write`] must follow before the task is sent.
    pub(crate) fn give(&mut self) -> Lease {
        let Lease(number) = Lease(self.last.0 + 1);
        if std::mem::take(&mut self.has_gap) {
            self.unwritten.extend_from_slice(&(BARRIER | number).to_be_bytes());
        }
        self.unwritten.extend_from_slice(&number.to_be_bytes());
        self.last = Lease(number);
        self.last
    }

    /// Writes the leases that were given since the last call.
    ///
    /// # Errors
    /// If the pipe cannot be written.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        // The pipe has room for all leases that a runner ever has.
        self.writer.write_all(&self.unwritten)?;
        self.unwritten.clear();
        Ok(())
    }

    /// Retracts all leases that the runner has not read. Returns the first of them. One read takes them all, so that the
    /// runner cannot read one in between.
    pub(crate) fn retract(&mut self) -> Option<Lease> {
        let mut leases = [0; LEASES_MAX * LEASE_BYTES];
        let count = self.reader.read(&mut leases).unwrap_or(0);
        debug_assert!(count < leases.len(), "more is prefetched than the pool allows");
        let unwritten = std::mem::take(&mut self.unwritten);
        let first = leases[..count].first_chunk().or(unwritten.first_chunk())?;
        self.has_gap = true;
        Some(Lease(u64::from_be_bytes(*first) & !BARRIER))
    }

    /// The last lease that the runner has read. Exact while the runner reads none.
    pub(crate) fn last_read(&self) -> Lease {
        let in_pipe = kernel::bytes_in(&self.reader).unwrap_or(0);
        let unread = ((in_pipe + self.unwritten.len()) / LEASE_BYTES) as u64;
        Lease(self.last.0 - unread.min(self.last.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_stands_before_the_lease_that_follows_retracted_ones() {
        let (mut pipe, its_reader) = LeasePipe::new().expect("a pipe");
        let mut its_reader = PipeReader::from(its_reader);
        let mut read = || {
            let mut number = [0; LEASE_BYTES];
            its_reader.read_exact(&mut number).map(|()| u64::from_be_bytes(number))
        };
        for _ in 0..3 {
            pipe.give();
        }
        pipe.write().expect("written");
        assert_eq!(read().expect("a lease"), 1);
        assert_eq!((pipe.last_read(), pipe.retract()), (Lease(1), Some(Lease(2))));
        assert_eq!(pipe.retract(), None);
        assert!(read().is_err(), "nothing is left in the pipe");
        pipe.give();
        pipe.write().expect("written");
        assert_eq!([read().expect("a barrier"), read().expect("a lease")], [BARRIER | 4, 4]);
    }

    #[test]
    fn leases_that_were_retracted_before_they_were_written_leave_a_barrier_too() {
        let (mut pipe, its_reader) = LeasePipe::new().expect("a pipe");
        pipe.give();
        assert_eq!(pipe.retract(), Some(Lease(1)));
        pipe.give();
        pipe.write().expect("written");
        let mut numbers = [0; 2 * LEASE_BYTES];
        PipeReader::from(its_reader).read_exact(&mut numbers).expect("two numbers");
        assert_eq!(numbers[..LEASE_BYTES], (BARRIER | 2).to_be_bytes());
        assert_eq!(numbers[LEASE_BYTES..], 2_u64.to_be_bytes());
    }
}
