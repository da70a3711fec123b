//! Invariants of a session. Tests and the simulator check them after every step.

use super::SessionState;
use super::entry::{Content, EntryState, Purpose};
use super::reconnect::DialState;

impl SessionState {
    /// Panics if the session contradicts itself.
    pub(super) fn check_invariants(&self) {
        let is_connected = self.reconnect.dial == DialState::Connected && !self.is_ended();
        assert!(self.is_ended() || is_connected == self.connection.is_some(), "dialling means no connection");
        let sent = self.entries.iter().filter(|(_, entry)| entry.state == EntryState::Sent).count() as u64;
        let Some(connection) = &self.connection else {
            assert_eq!(sent, 0, "without a connection nothing is sent");
            return;
        };
        assert!(connection.sent_tasks <= connection.credit_tasks, "no task beyond the credit");
        // A task that was sent and abandoned is forgotten when it ends, and counts until then.
        assert!(
            self.is_ended() || connection.in_flight == sent,
            "{} in flight, {sent} sent",
            connection.in_flight
        );
        for (number, entry) in self.entries.iter() {
            assert!(number <= self.last, "numbers are given in a row");
            let has_task = matches!(entry.content, Content::Submit(_));
            let is_open = matches!(entry.purpose, Purpose::Attached | Purpose::Detached) && !entry.is_ended();
            assert_eq!(has_task, is_open, "an open task can be offered again, and nothing else is kept");
        }
        for number in self.retry_queue.numbers() {
            let entry = self.entries.get(number);
            assert!(
                entry.is_none_or(|entry| entry.is_ended() || entry.state == EntryState::HeldBack),
                "task {number} waits for two things"
            );
        }
    }
}
