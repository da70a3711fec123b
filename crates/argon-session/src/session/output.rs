//! What tasks print: kept for who reads it, and granted to the task only as it is taken.
//!
//! A reader that is slow holds up its own task, whose window is 1 MiB, and nobody else.

use std::collections::VecDeque;

use argon_proto::AttemptId;
use argon_proto::conversation::OutputCredit;
use argon_proto::conversation::client::ToManager;
use bytes::Bytes;

use super::SessionState;
use super::ask::Question;
use super::entry::OutputMode;

/// The manager hears of what was taken after so many bytes.
const GRANT_BYTES: u64 = 256 << 10;

/// One thing that a task said while it runs.
#[derive(Debug)]
pub enum OutputChunk {
    /// It wrote to its descriptor 1 or 2.
    Output {
        /// The number of the attempt that wrote it.
        attempt: u32,
        /// The descriptor.
        fd: u8,
        /// What it wrote.
        bytes: Bytes,
    },
    /// It asked its caller something.
    Ask(Question),
}

/// Output for this process's own descriptors.
#[derive(Debug)]
pub struct Printed {
    /// The number of the task.
    pub number: u64,
    /// Returned with [`SessionState::printed`].
    pub count: OutputAccount,
    /// The descriptor: 1 or 2.
    pub fd: u8,
    /// What is to be written.
    pub bytes: Bytes,
}

/// Which count bytes belong to: counts begin again with each attempt and on each connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputAccount {
    connection: u32,
    attempt: AttemptId,
}

#[derive(Debug)]
pub(super) struct OutputState {
    count: OutputAccount,
    taken: u64,
    granted: u64,
    /// Bytes that this process is about to write to its own output.
    printing: u64,
    pub(super) pieces: VecDeque<(OutputChunk, OutputAccount)>,
}

impl OutputState {
    fn of(count: OutputAccount) -> Self {
        Self { count, taken: 0, granted: 0, printing: 0, pieces: VecDeque::new() }
    }

    fn turn_to(&mut self, count: OutputAccount) {
        if self.count != count {
            (self.count, self.taken, self.granted) = (count, 0, 0);
        }
    }

    pub(super) fn is_printing(&self) -> bool {
        self.printing > 0
    }
}

impl SessionState {
    pub(super) fn on_output(&mut self, from: AttemptId, fd: u8, bytes: Bytes) {
        let number = from.task.sequence;
        let count = OutputAccount { connection: self.connections, attempt: from };
        let length = bytes.len() as u64;
        if from.task.session != self.session {
            return;
        }
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        let output = entry.output.get_or_insert_with(|| Box::new(OutputState::of(count)));
        output.turn_to(count);
        match entry.watch {
            OutputMode::Discard => self.count_taken(number, count, length),
            OutputMode::Inherit => {
                output.printing += length;
                self.prints.push(Printed { number, count, fd, bytes });
            }
            OutputMode::Caller => {
                let attempt = from.attempt.0;
                output.pieces.push_back((OutputChunk::Output { attempt, fd, bytes }, count));
                self.wakers.extend(entry.waker.take());
            }
        }
    }

    pub(super) fn add_question(&mut self, question: Question) {
        let from = question.from;
        let count = OutputAccount { connection: self.connections, attempt: from };
        let Some(entry) = self.entries.get_mut(from.task.sequence) else {
            return;
        };
        let output = entry.output.get_or_insert_with(|| Box::new(OutputState::of(count)));
        output.turn_to(count);
        output.pieces.push_back((OutputChunk::Ask(question), count));
        self.wakers.extend(entry.waker.take());
    }

    /// So much has been written to this process's own output.
    pub fn printed(&mut self, number: u64, count: OutputAccount, bytes: u64) {
        if let Some(entry) = self.entries.get_mut(number)
            && let Some(output) = &mut entry.output
        {
            output.printing -= bytes;
            if output.printing == 0 && entry.is_ended() {
                self.tell(number);
            }
        }
        self.count_taken(number, count, bytes);
    }

    /// A piece went to the caller.
    pub(super) fn took(&mut self, number: u64, count: OutputAccount, piece: &OutputChunk) {
        if let OutputChunk::Output { bytes, .. } = piece {
            self.count_taken(number, count, bytes.len() as u64);
        }
    }

    /// Nobody reads the rest.
    pub(super) fn drop_pieces(&mut self, number: u64) {
        let pieces = self
            .entries
            .get_mut(number)
            .and_then(|entry| entry.output.as_mut())
            .map(|output| std::mem::take(&mut output.pieces));
        for (piece, count) in pieces.into_iter().flatten() {
            self.took(number, count, &piece);
            if let OutputChunk::Ask(question) = piece {
                self.answer(question.from, question.ask, None);
            }
        }
    }

    fn count_taken(&mut self, number: u64, count: OutputAccount, bytes: u64) {
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        let is_ended = entry.is_ended();
        let Some(output) = entry.output.as_mut().filter(|output| output.count == count) else {
            return;
        };
        output.taken += bytes;
        // While it is on another connection, or over, nobody counts any more.
        if !is_ended
            && output.taken - output.granted >= GRANT_BYTES
            && count.connection == self.connections
            && let Some(connection) = &mut self.connection
        {
            output.granted = output.taken;
            let credit = OutputCredit { to: count.attempt, bytes: output.taken };
            connection.outbox.push(&ToManager::OutputCredit(credit));
        }
    }
}
