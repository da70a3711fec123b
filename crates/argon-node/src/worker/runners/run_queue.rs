//! A runner's attempts, in the order in which it executes them: the one whose outcome comes next, and the prefetched ones.
//!
//! A runner reads the next lease only after it has reported the outcome before and its output pipes were empty. The last
//! lease that it has read therefore names the attempt whose output is in the pipes.

use std::collections::VecDeque;
use std::io;

use argon_proto::AttemptId;

use super::attempt_io::AttemptIo;
use crate::worker::process::lease_pipe::{Lease, LeasePipe};

/// See the module.
#[derive(Debug)]
pub(crate) struct RunQueue {
    /// The attempt whose outcome comes next, and its lease if it was prefetched.
    current: Option<(Option<Lease>, AttemptIo)>,
    prefetched: VecDeque<(Lease, AttemptIo)>,
    leases: Option<LeasePipe>,
}

impl RunQueue {
    /// An empty queue; without leases nothing can be prefetched.
    pub(crate) fn new(leases: Option<LeasePipe>) -> Self {
        Self { current: None, prefetched: VecDeque::new(), leases }
    }

    /// The attempt whose outcome comes next.
    pub(crate) fn current(&self) -> Option<&AttemptIo> {
        self.current.as_ref().map(|(_, current)| current)
    }

    /// An idle runner gets a task.
    pub(crate) fn start(&mut self, attempt: AttemptIo) {
        self.current = Some((None, attempt));
    }

    /// A busy runner gets another task. [`Self::write_leases`] must follow before it is sent.
    ///
    /// # Errors
    /// If nothing can be prefetched by this runner.
    pub(crate) fn prefetch(&mut self, attempt: AttemptIo) -> io::Result<()> {
        let lease = self.leases.as_mut().ok_or(io::ErrorKind::Unsupported)?.give();
        if self.current.is_none() {
            self.current = Some((Some(lease), attempt));
        } else {
            self.prefetched.push_back((lease, attempt));
        }
        Ok(())
    }

    /// Writes the leases of what was prefetched since.
    ///
    /// # Errors
    /// If the pipe cannot be written.
    pub(crate) fn write_leases(&mut self) -> io::Result<()> {
        self.leases.as_mut().map_or(Ok(()), LeasePipe::write)
    }

    /// The outcome of the current attempt has come; the next one is current.
    pub(crate) fn finish(&mut self) -> Option<AttemptIo> {
        let finished = self.current.take();
        self.current = self.prefetched.pop_front().map(|(lease, attempt)| (Some(lease), attempt));
        finished.map(|(_, attempt)| attempt)
    }

    /// Retracts what the runner has not started.
    pub(crate) fn retract(&mut self) -> Vec<AttemptId> {
        let Some(first) = self.leases.as_mut().and_then(LeasePipe::retract) else {
            return Vec::new();
        };
        let mut retracted = Vec::new();
        if let Some((_, current)) =
            self.current.take_if(|(lease, _)| lease.is_some_and(|lease| lease >= first))
        {
            retracted.push(current.attempt);
        }
        let at = self.prefetched.partition_point(|(lease, _)| *lease < first);
        retracted.extend(self.prefetched.drain(at..).map(|(_, attempt)| attempt.attempt));
        retracted
    }

    /// An attempt that is here.
    pub(crate) fn find(&mut self, attempt: AttemptId) -> Option<&mut AttemptIo> {
        self.all().find(|here| here.attempt == attempt)
    }

    /// All attempts that are here.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut AttemptIo> {
        let prefetched = self.prefetched.iter_mut().map(|(_, attempt)| attempt);
        self.current.iter_mut().map(|(_, current)| current).chain(prefetched)
    }

    /// True if the runner may have started an attempt behind the current one.
    pub(crate) fn may_be_ahead(&self) -> bool {
        !self.prefetched.is_empty()
    }

    /// The attempt whose output is in the pipes. Exact while they are not empty.
    pub(crate) fn writer(&self) -> Option<&AttemptIo> {
        let last_read = self.leases.as_ref().map_or(Lease::default(), LeasePipe::last_read);
        let started = self.prefetched.iter().rev().find(|(lease, _)| *lease <= last_read);
        started.map(|(_, attempt)| attempt).or_else(|| self.current())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read};

    use argon_core::Time;

    use super::*;
    use crate::worker::tests::task;

    fn queue() -> (RunQueue, PipeReader) {
        let (leases, its_reader) = LeasePipe::new().expect("a pipe");
        let mut queue = RunQueue::new(Some(leases));
        queue.start(AttemptIo::of(&task(1, "x"), Time(0)));
        for sequence in 2..5 {
            queue.prefetch(AttemptIo::of(&task(sequence, "x"), Time(0))).expect("prefetched");
        }
        queue.write_leases().expect("written");
        (queue, its_reader.into())
    }

    fn read_lease(its_reader: &mut PipeReader) {
        its_reader.read_exact(&mut [0; 8]).expect("a lease");
    }

    fn ids(sequences: std::ops::Range<u64>) -> Vec<AttemptId> {
        sequences.map(|sequence| task(sequence, "x").attempt_id()).collect()
    }

    #[test]
    fn only_what_the_runner_has_not_started_is_retracted() {
        let (mut queue, mut its_reader) = queue();
        read_lease(&mut its_reader);
        assert_eq!(queue.retract(), ids(3..5));
        assert_eq!(queue.finish().map(|finished| finished.attempt), ids(1..2).pop());
        assert_eq!(queue.current().map(|current| current.attempt), ids(2..3).pop());
        assert_eq!(queue.retract(), []);
    }

    #[test]
    fn the_current_attempt_is_retracted_if_it_was_prefetched_and_not_started() {
        let (mut queue, _its_reader) = queue();
        queue.finish();
        assert_eq!(queue.retract(), ids(2..5));
        assert!(queue.current().is_none());
    }

    #[test]
    fn output_belongs_to_the_attempt_whose_lease_was_read_last() {
        let (mut queue, mut its_reader) = queue();
        let writer = |queue: &RunQueue| queue.writer().map(|writer| writer.attempt);
        assert_eq!(writer(&queue), ids(1..2).pop());
        read_lease(&mut its_reader);
        read_lease(&mut its_reader);
        assert_eq!(writer(&queue), ids(3..4).pop());
        queue.finish();
        queue.finish();
        assert_eq!(writer(&queue), ids(3..4).pop());
    }

    #[test]
    fn a_barrier_is_no_attempt() {
        let (mut queue, mut its_reader) = queue();
        read_lease(&mut its_reader);
        queue.retract();
        queue.prefetch(AttemptIo::of(&task(9, "x"), Time(0))).expect("prefetched");
        queue.write_leases().expect("written");
        let writer = |queue: &RunQueue| queue.writer().map(|writer| writer.attempt);
        assert_eq!(writer(&queue), ids(2..3).pop());
        read_lease(&mut its_reader);
        assert_eq!(writer(&queue), ids(2..3).pop());
        read_lease(&mut its_reader);
        assert_eq!(writer(&queue), ids(9..10).pop());
    }

    #[test]
    fn output_is_known_before_the_lease_is_written() {
        let (mut queue, mut its_reader) = queue();
        (0..3).for_each(|_| read_lease(&mut its_reader));
        queue.prefetch(AttemptIo::of(&task(5, "x"), Time(0))).expect("prefetched");
        assert_eq!(queue.writer().map(|writer| writer.attempt), ids(4..5).pop());
        assert_eq!(queue.retract(), ids(5..6));
    }

    #[test]
    fn a_runner_without_leases_prefetches_nothing() {
        let mut queue = RunQueue::new(None);
        queue.start(AttemptIo::of(&task(1, "x"), Time(0)));
        assert!(queue.prefetch(AttemptIo::of(&task(2, "x"), Time(0))).is_err());
        assert_eq!(queue.retract(), []);
    }
}
