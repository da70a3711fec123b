//! What the worker says to its manager, and when: outcomes wait for company as long as that delays nobody. A lone
//! outcome goes out at once; when short tasks follow one another, one message in many wakes the manager, and the worker
//! itself does not wake for each.

use std::time::Duration;

use argon_core::Time;
use argon_proto::conversation::worker::FromWorker;

use super::driver::Driver;

/// No outcome waits longer.
const WAIT_AT_MOST: Duration = Duration::from_millis(1);

/// A worker whose runners are all supplied does not look for so long.
const PAUSE: Duration = Duration::from_micros(200);
/// Its runners must have enough to do for so many pauses: the kernel may prolong one.
const PAUSES_SUPPLIED: u32 = 2;

/// Where a runner had to wait for an answer, others will: no pause for so long.
const ALERT: Duration = Duration::from_millis(10);

/// Outcomes that wait for company.
#[derive(Debug, Default)]
pub(super) struct Untold {
    messages: Vec<FromWorker>,
    since: Time,
    alert_until: Time,
}

impl Driver {
    /// Says something to the manager; nothing comes of it while there is none. Order is kept.
    pub(super) fn tell(&mut self, message: FromWorker) {
        if !self.is_linked {
            return;
        }
        let may_wait = matches!(message, FromWorker::Outcome(_));
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

    /// Stays away from short tasks that follow one another while nobody needs this worker: to be woken for the outcome of each
    /// costs more than all else that is done for it, here and in the runner that wakes us. The whole thread stays away,
    /// for a thread that waits for descriptors is woken by them, and the runtime's timers are too coarse.
    pub(super) async fn let_outcomes_gather(&self) {
        let is_needed = self.now < self.untold.alert_until;
        if !is_needed && self.pool.supplied_for() >= PAUSE * PAUSES_SUPPLIED {
            // What was said in this round goes out first.
            tokio::task::yield_now().await;
            std::thread::sleep(PAUSE);
        }
    }

    /// A runner waits for an answer of this worker.
    pub(super) fn stay_alert(&mut self) {
        self.untold.alert_until = self.now + ALERT;
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
