//! Questions of a running task: for its caller if that listens, otherwise answered with no.

use argon_proto::AttemptId;
use argon_proto::conversation::client::ToManager;
use argon_proto::conversation::{Answer, Ask};
use bytes::Bytes;

use super::SessionState;
use super::effect::Out;
use super::entry::OutputMode;
use super::output_state::Question;

/// Answer to a task whose caller does not listen.
const NO: Bytes = Bytes::from_static(b"it gives none");

impl SessionState {
    pub(super) fn on_ask(&mut self, question: Ask, out: &mut Out) {
        let Ask { from, ask, question: json } = question;
        let listens = from.task.session == self.session
            && self
                .entries
                .get(from.task.sequence)
                .is_some_and(|entry| entry.output_mode == OutputMode::Caller && !entry.is_ended());
        if listens {
            self.add_question(Question { from, ask, json }, out);
        } else {
            self.answer(from, ask, None, out);
        }
    }

    /// Answers with bytes, or with no. Without a connection the answer waits for the next one.
    pub fn answer(&mut self, to: AttemptId, ask: u32, bytes: Option<Bytes>, out: &mut Out) {
        let found = bytes.is_some();
        let answer = Answer { to, ask, found, bytes: bytes.unwrap_or(NO) };
        if self.has_offered() {
            out.frames.push(&ToManager::Answer(answer));
        } else {
            self.late_answers.push(answer);
        }
    }
}
