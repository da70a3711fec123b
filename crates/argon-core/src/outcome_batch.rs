//! Decides when a worker writes to its manager: outcomes wait for others as long as no one waits for them.
//!
//! A single outcome is written at once. When short tasks follow one another, the worker writes many outcomes together, and
//! does not wake for each. The shell writes what [`OutcomeBatch::take`] returns.

use std::time::Duration;

use argon_proto::conversation::worker::FromWorker;

use crate::time::Time;

/// No outcome waits longer.
pub const WAIT_MAX: Duration = Duration::from_millis(1);
/// Pause of a worker whose runners are all supplied.
pub const PAUSE: Duration = Duration::from_micros(200);
/// Number of pauses for which its runners must have work: the kernel may prolong one.
const PAUSES_SUPPLIED: u32 = 2;
/// Time without a pause after a runner had to wait for an answer: others will wait, too.
const ALERT: Duration = Duration::from_millis(10);

/// Work of a worker's slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Supply {
    /// Number of slots.
    pub slots: usize,
    /// Number of tasks that wait, those that runners were handed ahead included.
    pub waiting: usize,
}

/// Messages that wait to be written. Their order is kept.
#[derive(Debug, Default)]
pub struct OutcomeBatch {
    messages: Vec<FromWorker>,
    since: Time,
    alert_until: Time,
}

impl OutcomeBatch {
    /// Adds a message. Anything but an outcome goes out at once, with all before it: `true` if so.
    pub fn push(&mut self, now: Time, message: FromWorker) -> bool {
        let may_wait = matches!(message, FromWorker::Outcome(_));
        if self.messages.is_empty() {
            self.since = now;
        }
        self.messages.push(message);
        !may_wait
    }

    /// True if what waits must be written at the end of a round. As long as all slots have more to do than was done since
    /// the last message to the manager, it need not know yet.
    pub fn is_due(&self, now: Time, supply: impl FnOnce() -> Supply) -> bool {
        let count = self.messages.len();
        let is_supplied = |supply: Supply| supply.waiting >= supply.slots.max(2 * count);
        count > 0 && (now >= self.since + WAIT_MAX || !is_supplied(supply()))
    }

    /// Takes everything, to be written.
    pub fn take(&mut self) -> impl Iterator<Item = FromWorker> + '_ {
        self.messages.drain(..)
    }

    /// When [`OutcomeBatch::is_due`] must be asked at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        (!self.messages.is_empty()).then(|| self.since + WAIT_MAX)
    }

    /// The connection is gone: the pool reports every outcome again over the next one.
    pub fn on_manager_lost(&mut self) {
        self.messages.clear();
    }

    /// A runner waits for an answer of this worker.
    pub fn stay_alert(&mut self, now: Time) {
        self.alert_until = now + ALERT;
    }

    /// Time for which the worker may leave short tasks that follow one another alone, if their runners have enough to do
    /// for `supplied_for`: to be woken for the outcome of each costs more than all else that is done for it.
    pub fn pause(&self, now: Time, supplied_for: impl FnOnce() -> Duration) -> Option<Duration> {
        (now >= self.alert_until && supplied_for() >= PAUSE * PAUSES_SUPPLIED).then_some(PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use argon_proto::conversation::worker::Draining;
    use argon_proto::{Attempt, Outcome, Report, SessionId, Status, TaskId};

    use super::*;

    const BUSY: Supply = Supply { slots: 2, waiting: 100 };
    const IDLE: Supply = Supply { slots: 2, waiting: 0 };

    fn outcome() -> FromWorker {
        let id = TaskId { session: SessionId([1; 16]), sequence: 1 };
        FromWorker::Outcome(Outcome::reported(id, Attempt(1), Status::Ok, 1, &Report::default()))
    }

    #[test]
    fn a_lone_outcome_goes_at_once_and_one_among_many_waits_a_millisecond() {
        let mut batch = OutcomeBatch::default();
        assert!(!batch.is_due(Time(5), || IDLE));
        assert!(!batch.push(Time(5), outcome()));
        assert!(batch.is_due(Time(5), || IDLE));
        assert!(!batch.is_due(Time(5), || BUSY));
        assert!(!batch.push(Time(900), outcome()));
        assert_eq!(batch.next_deadline(), Some(Time(1005)));
        assert!(!batch.is_due(Time(1004), || BUSY) && batch.is_due(Time(1005), || BUSY));
        assert_eq!(batch.take().count(), 2);
        assert_eq!(batch.next_deadline(), None);
    }

    #[test]
    fn outcomes_wait_only_while_more_is_to_be_done_than_was_done() {
        let mut batch = OutcomeBatch::default();
        (0..50).for_each(|_| assert!(!batch.push(Time(0), outcome())));
        assert!(!batch.is_due(Time(0), || BUSY));
        batch.push(Time(0), outcome());
        assert!(batch.is_due(Time(0), || BUSY));
    }

    #[test]
    fn another_message_takes_the_outcomes_along_and_a_loss_forgets_them() {
        let mut batch = OutcomeBatch::default();
        batch.push(Time(0), outcome());
        assert!(batch.push(Time(0), FromWorker::Draining(Draining::default())));
        assert!(matches!(
            batch.take().collect::<Vec<_>>()[..],
            [FromWorker::Outcome(_), FromWorker::Draining(_)]
        ));
        batch.push(Time(0), outcome());
        batch.on_manager_lost();
        assert!(!batch.is_due(Time(9_000), || IDLE));
    }

    #[test]
    fn a_worker_pauses_while_its_runners_are_supplied_and_none_waits_for_it() {
        let mut batch = OutcomeBatch::default();
        assert_eq!(batch.pause(Time(0), || Duration::from_micros(399)), None);
        assert_eq!(batch.pause(Time(0), || Duration::from_micros(400)), Some(PAUSE));
        batch.stay_alert(Time(0));
        assert_eq!(batch.pause(Time(9_999), || Duration::from_secs(1)), None);
        assert_eq!(batch.pause(Time(10_000), || Duration::from_secs(1)), Some(PAUSE));
    }
}
