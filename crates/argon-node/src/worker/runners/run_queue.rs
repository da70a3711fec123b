//! What a runner has in its hands: the attempt that it executes, and those that it was handed ahead and claims one by one.
//!
//! Each task that is handed ahead puts its number into a pipe of which worker and runner both hold the reading end. Who reads a number
//! has its task: the runner when it starts it, the worker when it takes it back. Numbers come out in their order, and a runner
//! claims one only after it has reported the one before and the pipes of its output were empty. So the number of those
//! that are still in the pipe tells whose output it is that is there. Where numbers were taken back, a barrier stands
//! before the next one: a runner that looks for a number that is gone finds the barrier, not a number that is not its turn.
//!
//! Numbers are written together, before the tasks: what has no number in the pipe yet cannot have been claimed.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use argon_proto::AttemptId;

use super::runner::Current;
use crate::worker::process::kernel;
use crate::worker::process::start::unblock;

const NUMBER_BYTES: usize = 8;
/// In a barrier, the other bits of which are the number that follows it.
const BARRIER: u64 = 1 << 63;
/// More than a runner ever has ahead.
const NUMBERS_MAX: usize = 512;

/// A runner's attempts, in the order in which it executes them.
#[derive(Debug)]
pub(crate) struct Hands {
    /// The attempt whose outcome comes next, and its number if it was handed ahead.
    current: Option<(Option<u64>, Current)>,
    ahead: VecDeque<(u64, Current)>,
    /// The last number that was given.
    number: u64,
    /// The last numbers that were given were taken back.
    has_gap: bool,
    claims: Option<Claims>,
}

/// The pipe of numbers that nobody has read.
#[derive(Debug)]
pub(crate) struct Claims {
    reader: PipeReader,
    writer: PipeWriter,
    /// Numbers that are still to be written.
    unsent: Vec<u8>,
}

impl Claims {
    /// A pipe, and the reading end that the runner is to inherit.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        unblock(reader.as_fd())?;
        unblock(writer.as_fd())?;
        let its_reader = reader.try_clone()?.into();
        Ok((Self { reader, writer, unsent: Vec::new() }, its_reader))
    }
}

impl Hands {
    /// Hands that are empty; without claims nothing can be handed ahead.
    pub(crate) fn new(claims: Option<Claims>) -> Self {
        Self { current: None, ahead: VecDeque::new(), number: 0, has_gap: false, claims }
    }

    /// The attempt whose outcome comes next.
    pub(crate) fn current(&self) -> Option<&Current> {
        self.current.as_ref().map(|(_, current)| current)
    }

    /// A task goes to an idle runner.
    pub(crate) fn begin(&mut self, current: Current) {
        self.current = Some((None, current));
    }

    /// A task goes to a runner that has one. Its number must be written before it is sent.
    ///
    /// # Errors
    /// If the runner can be handed nothing ahead.
    pub(crate) fn begin_ahead(&mut self, next: Current) -> io::Result<()> {
        let claims = self.claims.as_mut().ok_or(io::ErrorKind::Unsupported)?;
        let number = self.number + 1;
        if std::mem::take(&mut self.has_gap) {
            claims.unsent.extend_from_slice(&(BARRIER | number).to_be_bytes());
        }
        claims.unsent.extend_from_slice(&number.to_be_bytes());
        self.number = number;
        if self.current.is_none() {
            self.current = Some((Some(number), next));
        } else {
            self.ahead.push_back((number, next));
        }
        Ok(())
    }

    /// Writes the numbers of what was handed since; before the tasks themselves.
    ///
    /// # Errors
    /// If the pipe cannot be written.
    pub(crate) fn write_numbers(&mut self) -> io::Result<()> {
        let Some(claims) = self.claims.as_mut().filter(|claims| !claims.unsent.is_empty()) else {
            return Ok(());
        };
        // The pipe has room for all that a runner ever has ahead.
        claims.writer.write_all(&claims.unsent)?;
        claims.unsent.clear();
        Ok(())
    }

    /// The current attempt is over; the next one is current.
    pub(crate) fn end(&mut self) -> Option<Current> {
        let ended = self.current.take();
        self.current = self.ahead.pop_front().map(|(number, current)| (Some(number), current));
        ended.map(|(_, current)| current)
    }

    /// Takes back what the runner has not claimed.
    pub(crate) fn take_back(&mut self) -> Vec<AttemptId> {
        let Some(first) = self.claims.as_mut().and_then(Claims::take) else {
            return Vec::new();
        };
        self.has_gap = true;
        let mut back = Vec::new();
        if let Some((_, current)) =
            self.current.take_if(|(number, _)| number.is_some_and(|number| number >= first))
        {
            back.push(current.attempt);
        }
        let at = self.ahead.partition_point(|(number, _)| *number < first);
        back.extend(self.ahead.drain(at..).map(|(_, current)| current.attempt));
        back
    }

    /// An attempt that is here.
    pub(crate) fn find(&mut self, attempt: AttemptId) -> Option<&mut Current> {
        self.all().find(|current| current.attempt == attempt)
    }

    /// All attempts that are here.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Current> {
        let ahead = self.ahead.iter_mut().map(|(_, current)| current);
        self.current.iter_mut().map(|(_, current)| current).chain(ahead)
    }

    /// Whether the runner may be beyond the current attempt without its worker knowing.
    pub(crate) fn may_be_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// The attempt whose output is in the pipes. True while they are not empty: the runner claims nothing before they are.
    pub(crate) fn writer(&self) -> Option<&Current> {
        let unclaimed = self.claims.as_ref().map_or(0, Claims::unclaimed);
        let claimed = self.number - unclaimed.min(self.number);
        let last = self.ahead.iter().rev().find(|(number, _)| *number <= claimed);
        last.map(|(_, current)| current).or_else(|| self.current())
    }
}

impl Claims {
    fn unclaimed(&self) -> u64 {
        let in_pipe = kernel::bytes_in(&self.reader).unwrap_or(0);
        ((in_pipe + self.unsent.len()) / NUMBER_BYTES) as u64
    }

    /// Takes all numbers out; the first of them. With one read, so that the runner cannot take one from their midst.
    fn take(&mut self) -> Option<u64> {
        let mut numbers = [0; NUMBERS_MAX * NUMBER_BYTES];
        let count = self.reader.read(&mut numbers).unwrap_or(0);
        debug_assert!(count < numbers.len(), "more is ahead than the pool hands out");
        let unsent = std::mem::take(&mut self.unsent);
        let first = numbers[..count].first_chunk().or(unsent.first_chunk())?;
        Some(u64::from_be_bytes(*first) & !BARRIER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::tests::task;

    fn hands() -> (Hands, PipeReader) {
        let (claims, its_reader) = Claims::new().expect("a pipe");
        let mut hands = Hands::new(Some(claims));
        hands.begin(Current::of(&task(1, "x")));
        for sequence in 2..5 {
            hands.begin_ahead(Current::of(&task(sequence, "x"))).expect("it is handed");
        }
        hands.write_numbers().expect("written");
        (hands, its_reader.into())
    }

    fn claim(its_reader: &mut PipeReader) {
        its_reader.read_exact(&mut [0; NUMBER_BYTES]).expect("a number");
    }

    fn ids(sequences: std::ops::Range<u64>) -> Vec<AttemptId> {
        sequences.map(|sequence| task(sequence, "x").attempt_id()).collect()
    }

    #[test]
    fn only_what_the_runner_has_not_claimed_comes_back() {
        let (mut hands, mut its_reader) = hands();
        claim(&mut its_reader);
        assert_eq!(hands.take_back(), ids(3..5));
        assert_eq!(hands.end().map(|ended| ended.attempt), ids(1..2).pop());
        assert_eq!(hands.current().map(|current| current.attempt), ids(2..3).pop());
        assert_eq!(hands.take_back(), []);
    }

    #[test]
    fn the_current_attempt_comes_back_if_it_was_handed_ahead_and_not_claimed() {
        let (mut hands, _its_reader) = hands();
        hands.end();
        assert_eq!(hands.take_back(), ids(2..5));
        assert!(hands.current().is_none());
    }

    #[test]
    fn output_is_of_the_attempt_that_was_claimed_last() {
        let (mut hands, mut its_reader) = hands();
        let writer = |hands: &Hands| hands.writer().map(|writer| writer.attempt);
        assert_eq!(writer(&hands), ids(1..2).pop());
        claim(&mut its_reader);
        claim(&mut its_reader);
        assert_eq!(writer(&hands), ids(3..4).pop());
        hands.end();
        hands.end();
        assert_eq!(writer(&hands), ids(3..4).pop());
    }

    #[test]
    fn what_follows_a_gap_stands_behind_a_barrier() {
        let (mut hands, mut its_reader) = hands();
        claim(&mut its_reader);
        hands.take_back();
        hands.begin_ahead(Current::of(&task(9, "x"))).expect("it is handed");
        hands.write_numbers().expect("written");
        let writer = |hands: &Hands| hands.writer().map(|writer| writer.attempt);
        assert_eq!(writer(&hands), ids(2..3).pop());
        let mut number = [0; NUMBER_BYTES];
        its_reader.read_exact(&mut number).expect("a number");
        assert_eq!(u64::from_be_bytes(number), BARRIER | 4);
        assert_eq!(writer(&hands), ids(2..3).pop());
        claim(&mut its_reader);
        assert_eq!(writer(&hands), ids(9..10).pop());
    }

    #[test]
    fn what_was_taken_back_before_its_number_was_written_stands_before_a_barrier_too() {
        let (mut hands, mut its_reader) = hands();
        (0..3).for_each(|_| claim(&mut its_reader));
        hands.begin_ahead(Current::of(&task(5, "x"))).expect("it is handed");
        let writer = |hands: &Hands| hands.writer().map(|writer| writer.attempt);
        assert_eq!(writer(&hands), ids(4..5).pop());
        assert_eq!(hands.take_back(), ids(5..6));
        hands.begin_ahead(Current::of(&task(6, "x"))).expect("it is handed");
        hands.write_numbers().expect("written");
        let mut numbers = [0; 2 * NUMBER_BYTES];
        its_reader.read_exact(&mut numbers).expect("numbers");
        assert_eq!(numbers[..NUMBER_BYTES], (BARRIER | 5).to_be_bytes());
        assert_eq!(numbers[NUMBER_BYTES..], 5_u64.to_be_bytes());
    }

    #[test]
    fn a_runner_without_claims_is_handed_nothing_ahead() {
        let mut hands = Hands::new(None);
        hands.begin(Current::of(&task(1, "x")));
        assert!(hands.begin_ahead(Current::of(&task(2, "x"))).is_err());
        assert_eq!(hands.take_back(), []);
    }
}
