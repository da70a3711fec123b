//! Output of tasks: kept until it is read, and granted to the task only as it is read.
//!
//! A slow reader delays its own task, whose window is 1 MiB, and no other task.

use argon_proto::AttemptId;
use argon_proto::conversation::OutputCredit;
use argon_proto::conversation::client::ToManager;
use argon_proto::limit::OUTPUT_GRANT_BYTES;
use bytes::Bytes;

use super::SessionState;
use super::effect::{Effect, Out, Printed};
use super::entry::OutputMode;
use super::output_state::{OutputAccount, OutputChunk, OutputState, Question};

impl SessionState {
    pub(super) fn on_output(&mut self, from: AttemptId, fd: u8, bytes: Bytes, out: &mut Out) {
        let number = from.task.sequence;
        let account = OutputAccount { connection: self.connections, attempt: from };
        let length = bytes.len() as u64;
        if from.task.session != self.session {
            return;
        }
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        let output = entry.output.get_or_insert_with(|| Box::new(OutputState::of(account)));
        output.turn_to(account);
        match entry.output_mode {
            OutputMode::Discard => self.count_taken(number, account, length, out),
            OutputMode::Inherit => {
                output.printing += length;
                out.effects.push(Effect::Print(Printed { number, account, fd, bytes }));
            }
            OutputMode::Caller => {
                let attempt = from.attempt.0;
                output.chunks.push_back((OutputChunk::Output { attempt, fd, bytes }, account));
                out.effects.extend(entry.waker.take().map(Effect::Wake));
            }
        }
    }

    pub(super) fn add_question(&mut self, question: Question, out: &mut Out) {
        let from = question.from;
        let account = OutputAccount { connection: self.connections, attempt: from };
        let Some(entry) = self.entries.get_mut(from.task.sequence) else {
            return;
        };
        let output = entry.output.get_or_insert_with(|| Box::new(OutputState::of(account)));
        output.turn_to(account);
        output.chunks.push_back((OutputChunk::Ask(question), account));
        out.effects.extend(entry.waker.take().map(Effect::Wake));
    }

    /// Counts bytes that were written to this process's own output.
    pub(super) fn on_printed(&mut self, number: u64, account: OutputAccount, bytes: u64, out: &mut Out) {
        if let Some(entry) = self.entries.get_mut(number)
            && let Some(output) = &mut entry.output
        {
            output.printing -= bytes;
            if output.printing == 0 && entry.is_ended() {
                self.announce(number, out);
            }
        }
        self.count_taken(number, account, bytes, out);
    }

    /// A chunk went to the caller.
    pub(super) fn on_chunk_taken(
        &mut self,
        number: u64,
        account: OutputAccount,
        chunk: &OutputChunk,
        out: &mut Out,
    ) {
        if let OutputChunk::Output { bytes, .. } = chunk {
            self.count_taken(number, account, bytes.len() as u64, out);
        }
    }

    /// Drops the chunks that no one will read.
    pub(super) fn drop_chunks(&mut self, number: u64, out: &mut Out) {
        let chunks = self
            .entries
            .get_mut(number)
            .and_then(|entry| entry.output.as_mut())
            .map(|output| std::mem::take(&mut output.chunks));
        for (chunk, account) in chunks.into_iter().flatten() {
            self.on_chunk_taken(number, account, &chunk, out);
            if let OutputChunk::Ask(question) = chunk {
                self.answer(question.from, question.ask, None, out);
            }
        }
    }

    fn count_taken(&mut self, number: u64, account: OutputAccount, bytes: u64, out: &mut Out) {
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        let is_ended = entry.is_ended();
        let Some(output) = entry.output.as_mut().filter(|output| output.account == account) else {
            return;
        };
        output.taken += bytes;
        // On another connection, and after its end, the manager counts anew or not at all.
        if !is_ended
            && output.taken - output.granted >= OUTPUT_GRANT_BYTES
            && account.connection == self.connections
            && self.connection.is_some()
        {
            output.granted = output.taken;
            let credit = OutputCredit { to: account.attempt, bytes: output.taken };
            out.frames.push(&ToManager::OutputCredit(credit));
        }
    }
}
