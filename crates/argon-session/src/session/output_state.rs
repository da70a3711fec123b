//! Output and questions of one task that its caller has not read yet.

use std::collections::VecDeque;

use argon_proto::AttemptId;
use bytes::Bytes;

/// One thing that a running task sent.
#[derive(Debug)]
pub enum OutputChunk {
    /// Bytes that the task wrote to its descriptor 1 or 2.
    Output {
        /// Number of the attempt.
        attempt: u32,
        /// The descriptor.
        fd: u8,
        /// The bytes.
        bytes: Bytes,
    },
    /// A question for the caller.
    Ask(Question),
}

/// A question that is to be answered once.
#[derive(Debug)]
pub struct Question {
    /// The attempt that asks.
    pub from: AttemptId,
    /// The number of the question within the attempt.
    pub ask: u32,
    /// The question, as JSON.
    pub json: Bytes,
}

/// Account that bytes belong to: counts begin again with each attempt and on each connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputAccount {
    pub(super) connection: u32,
    pub(super) attempt: AttemptId,
}

#[derive(Debug)]
pub(super) struct OutputState {
    pub(super) account: OutputAccount,
    pub(super) taken: u64,
    pub(super) granted: u64,
    /// Bytes that this process is about to write to its own output.
    pub(super) printing: u64,
    pub(super) chunks: VecDeque<(OutputChunk, OutputAccount)>,
}

impl OutputState {
    pub(super) fn of(account: OutputAccount) -> Self {
        Self { account, taken: 0, granted: 0, printing: 0, chunks: VecDeque::new() }
    }

    pub(super) fn turn_to(&mut self, account: OutputAccount) {
        if self.account != account {
            (self.account, self.taken, self.granted) = (account, 0, 0);
        }
    }

    pub(super) fn is_printing(&self) -> bool {
        self.printing > 0
    }
}
