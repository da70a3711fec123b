//! What the worker says to its manager, and when: outcomes wait for company as long as that delays nobody. A lone
//! outcome goes out at once; when short tasks follow one another, one message in many wakes the manager.

use std::time::Duration;

use argon_core::Time;
use argon_proto::Message;

use super::driver::Driver;

/// No outcome waits longer.
const WAIT_AT_MOST: Duration = Duration::from_millis(1);

/// Outcomes that wait for company.
#[derive(Debug, Default)]
pub(super) struct Untold {
    messages: Vec<Message>,
    since: Time,
}

impl Driver {
    /// Says something to the manager; nothing comes of it while there is none. Order is kept.
    pub(super) fn tell(&mut self, message: Message) {
        if !self.is_linked {
            return;
        }
        let may_wait = matches!(message, Message::Outcome(_));
        if self.untold.messages.is_empty() {
            self.untold.since = self.now;
        }
        self.untold.messages.push(message);
        if !may_wait {
            self.tell_all();
        }
    }

    /// At the end of a round: says what has waited long enough. As long as all slots have more to do than was done since
    /// the manager last heard, it need not know yet.
    pub(super) fn tell_what_is_due(&mut self) {
        let count = self.untold.messages.len();
        if count == 0 {
            return;
        }
        let (slots, _, waiting, _) = self.pool.counts();
        let is_supplied = waiting >= slots.max(2 * count);
        if !is_supplied || self.now >= self.untold.since + WAIT_AT_MOST {
            self.tell_all();
        }
    }

    /// When [`Driver::tell_what_is_due`] must be called at the latest.
    pub(super) fn told_at(&self) -> Option<Time> {
        (!self.untold.messages.is_empty()).then(|| self.untold.since + WAIT_AT_MOST)
    }

    /// The connection is gone: the pool tells every outcome again over the next one.
    pub(super) fn forget_untold(&mut self) {
        self.untold.messages.clear();
    }

    fn tell_all(&mut self) {
        for message in self.untold.messages.drain(..) {
            let _ = self.link.outbox.send(message);
        }
    }
}
