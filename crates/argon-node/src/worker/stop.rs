//! Ways in which a worker stops: it drains, or it ends at once.

use std::task::{Context, Poll};
use std::time::Duration;

use argon_core::Time;
use tokio::sync::mpsc;

use super::timers::{Timer, Timers};
use crate::signals::{StopLevel, StopSignal};

/// Killed runners have ended by then, or the kernel has a problem.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub(crate) struct Stop {
    levels: mpsc::UnboundedReceiver<StopLevel>,
    phase: Phase,
    /// Limit of a drain that a signal asks for.
    drain_limit: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Working,
    /// Nothing new is taken. What runs may run until then; without an end if the manager set none.
    Draining(Option<Time>),
    /// The manager has the last message. The processes may take until then to end.
    Leaving(Time),
}

impl Stop {
    pub(crate) fn new(signal: StopSignal, drain_limit: Duration) -> Self {
        Self { levels: levels_of(signal), phase: Phase::Working, drain_limit }
    }

    /// The next stop level that was asked for.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<StopLevel> {
        match self.levels.poll_recv(cx) {
            Poll::Ready(Some(level)) => Poll::Ready(level),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    pub(crate) fn drain_limit(&self) -> Duration {
        self.drain_limit
    }

    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining(_))
    }

    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_))
    }

    /// Begins to drain; after `limit`, if there is one, the worker waits no longer for its tasks. Asked again, it takes the
    /// earlier end. `true` the first time.
    pub(crate) fn drain(&mut self, timers: &mut Timers, reason: &str, limit: Option<Duration>) -> bool {
        let until = limit.map(|limit| timers.now() + limit);
        let (until, is_first) = match self.phase {
            Phase::Leaving(_) => return false,
            Phase::Draining(before) => {
                let earlier = [before, until].into_iter().flatten().min();
                if earlier == before {
                    return false;
                }
                (earlier, false)
            }
            Phase::Working => (until, true),
        };
        self.phase = Phase::Draining(until);
        timers.follow(Timer::Drain, until);
        let limit = match limit {
            Some(limit) => format!("after {} s at the latest", limit.as_secs_f64()),
            None => "without a time limit".to_owned(),
        };
        tracing::info!(
            "the worker drains: {reason}; it leaves when its running tasks have ended, {limit}; a second SIGTERM ends them"
        );
        is_first
    }

    /// Begins to leave.
    pub(crate) fn leave(&mut self, timers: &mut Timers) {
        self.phase = Phase::Leaving(timers.now() + LEAVE_LIMIT);
        timers.stop(Timer::Pool);
        timers.stop(Timer::Drain);
        timers.set_after(Timer::Leave, LEAVE_LIMIT);
    }

    /// True when a leaving worker has no process left, or has waited long enough.
    pub(crate) fn is_over(&self, now: Time, has_no_process: bool) -> bool {
        matches!(self.phase, Phase::Leaving(until) if has_no_process || until <= now)
    }
}

/// The levels of a stop signal as a channel that can be polled.
fn levels_of(mut signal: StopSignal) -> mpsc::UnboundedReceiver<StopLevel> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let level = *signal.borrow_and_update();
            let is_over = sender.send(level).is_err();
            if is_over || signal.changed().await.is_err() {
                return;
            }
        }
    });
    receiver
}
