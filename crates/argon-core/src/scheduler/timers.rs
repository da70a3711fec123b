//! Deadlines of the scheduler. A timer carries a stamp, which shows whether it is stale.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{SessionKey, TaskKey, WorkerKey};
use crate::time::Time;

/// Pause before a step that goes on with what another one had no time for.
pub(super) const STEP: Duration = Duration::from_micros(1);

/// Work that is due at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// A client has been gone for the grace period.
    SessionGrace(SessionKey, u32),
    /// A worker has not come back.
    WorkerGrace(WorkerKey, u32),
    /// A worker may be tried again with a kind of task that it could not start.
    WorkerRest(WorkerKey, u32),
    /// Dispatch had to stop in the middle, so that its step stayed short.
    DispatchGoesOn,
    /// Chores had to stop in the middle, so that their step stayed short.
    ChoresGoOn,
    /// A retry is due.
    Retry(TaskKey, u32),
    /// Tasks that the session has offered again have waited long enough for their worker.
    RecoveryEnd(SessionKey),
    /// Attempts that nobody claimed are dropped.
    OrphansEnd,
    /// The outcome of a detached task expires.
    ResultExpiry(TaskKey, u32),
    /// Look again whether tasks that were sent ahead should be recalled.
    RetractCheck,
    /// Workers that received nothing for a while learn which outcomes they need not keep.
    AcksDue,
}

/// The timers, ordered by time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Time, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Time, timer: Timer) {
        self.due.insert((at, timer));
    }

    /// Takes back a timer that may be far away.
    pub(super) fn cancel(&mut self, at: Time, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    /// Number of timers, stale ones included.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// True if a step was cut short and the next one goes on. For invariants.
    pub(super) fn goes_on(&self) -> bool {
        self.due.iter().any(|(_, timer)| *timer == Timer::DispatchGoesOn)
    }

    /// When a retry of a task is due. Looks at all timers: for people.
    pub(super) fn retry_of(&self, key: TaskKey, stamp: u32) -> Option<Time> {
        let is_it = |timer: &Timer| *timer == Timer::Retry(key, stamp);
        self.due.iter().find(|(_, timer)| is_it(timer)).map(|(at, _)| *at)
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A timer that is due at `now`, removed.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }
}
