//! Deadlines of the worker: one table, and the one timer that wakes the loop.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use argon_core::Time;
use argon_core::pool::{RunnerId, TemplateKey};
use tokio::time::Sleep;

/// Wake-up time of a worker that has nothing to do.
const IDLE: Duration = Duration::from_secs(3600);
/// Shortest sleep. What was due is done by then; what is due again at once can only be tried again.
const SHORTEST: Duration = Duration::from_millis(1);

/// Work that becomes due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// The pool has a deadline.
    Pool,
    /// Outcomes have waited long enough for company.
    Outcomes,
    /// The cache may drop something.
    Cache,
    /// The manager may want to know of other runners.
    Status,
    /// The machine may have become busy, or free again.
    Machine,
    /// Executables that another process held open are started again.
    BusyFiles,
    /// Tasks that have ended may have left something behind.
    Leftovers,
    /// A draining worker waits no longer for its tasks.
    Drain,
    /// A leaving worker waits no longer for its processes.
    Leave,
    /// A template is not ready in time.
    Template(TemplateKey),
    /// A runner has not done in time what it had to do.
    Runner(RunnerId),
}

/// The clock of a worker and its table of timers.
#[derive(Debug)]
pub(crate) struct Timers {
    begun: Instant,
    now: Time,
    /// A few entries; each timer at most once.
    due: Vec<(Timer, Time)>,
    sleep: Pin<Box<Sleep>>,
    sleeps_until: Time,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            now: Time(0),
            due: Vec::new(),
            sleep: Box::pin(tokio::time::sleep(IDLE)),
            sleeps_until: Time(0) + IDLE,
        }
    }

    /// The time of the events that are handled now.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Reads the clock.
    pub(crate) fn tick(&mut self) {
        self.now = Time(u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }

    /// Sets a timer, or moves it.
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        match self.due.iter_mut().find(|(set, _)| *set == timer) {
            Some((_, due)) => *due = at,
            None => self.due.push((timer, at)),
        }
    }

    /// Sets a timer to go off after a while.
    pub(crate) fn set_after(&mut self, timer: Timer, pause: Duration) {
        self.set(timer, self.now + pause);
    }

    /// Sets a timer to go off after a while, if it is not set.
    pub(crate) fn set_unless_set(&mut self, timer: Timer, pause: Duration) {
        if !self.due.iter().any(|(set, _)| *set == timer) {
            self.due.push((timer, self.now + pause));
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.due.retain(|(set, _)| *set != timer);
    }

    /// Sets a timer if there is a time, and stops it otherwise.
    pub(crate) fn follow(&mut self, timer: Timer, at: Option<Time>) {
        match at {
            Some(at) => self.set(timer, at),
            None => self.stop(timer),
        }
    }

    /// Stops and returns a timer that is due.
    pub(crate) fn take_due(&mut self) -> Option<Timer> {
        let at = self.due.iter().position(|(_, due)| *due <= self.now)?;
        Some(self.due.swap_remove(at).0)
    }

    /// Ready when a timer is due, or shortly before. The timer of the system is moved forward only: a needless
    /// wake-up is cheaper.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let next = self.due.iter().map(|(_, due)| *due).min();
        let next = next.unwrap_or(self.now + IDLE).max(self.now + SHORTEST);
        if next < self.sleeps_until || self.sleeps_until <= self.now {
            self.sleeps_until = next;
            self.sleep.as_mut().reset((self.begun + Duration::from_micros(next.0)).into());
        }
        self.sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timer_goes_off_once_and_can_be_moved_and_stopped() {
        let mut timers = Timers::new();
        timers.set_after(Timer::Drain, Duration::from_micros(10));
        timers.set(Timer::Pool, Time(5));
        timers.set(Timer::Runner(RunnerId(1)), Time(5));
        timers.set(Timer::Runner(RunnerId(2)), Time(5));
        timers.set(Timer::Pool, Time(20));
        timers.stop(Timer::Runner(RunnerId(1)));
        assert_eq!(timers.take_due(), None);
        timers.now = Time(10);
        let mut due: Vec<_> = std::iter::from_fn(|| timers.take_due()).collect();
        due.sort_by_key(|timer| format!("{timer:?}"));
        assert_eq!(due, [Timer::Drain, Timer::Runner(RunnerId(2))]);
        timers.follow(Timer::Pool, None);
        timers.now = Time(30);
        assert_eq!(timers.take_due(), None);
    }

    #[tokio::test]
    async fn the_loop_is_woken_for_the_first_of_them() {
        let mut timers = Timers::new();
        timers.set_after(Timer::Leave, Duration::from_secs(3000));
        timers.set_after(Timer::Drain, Duration::from_millis(3));
        std::future::poll_fn(|cx| timers.poll(cx)).await;
        timers.tick();
        assert_eq!(timers.take_due(), Some(Timer::Drain));
    }
}
