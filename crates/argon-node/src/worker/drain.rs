//! A worker that was told to leave: who said so, and how long its running tasks may take.

use std::time::Duration;

use argon_core::Time;
use argon_core::pool::Input;

use super::driver::Driver;

/// The worker takes no more tasks.
pub(super) struct Drain {
    /// When it leaves without waiting for what runs; `None` if it waits however long that takes.
    until: Option<Time>,
}

impl Driver {
    /// Takes no more, finishes what runs, leaves; after the limit, if there is one, without waiting for what still runs. Told
    /// again, it takes the earlier end.
    pub(super) fn drain(&mut self, reason: &str, limit: Option<Duration>) {
        if self.leave_until.is_some() {
            return;
        }
        let until = limit.map(|limit| self.now + limit);
        let is_news = match &mut self.drain {
            Some(drain) => {
                let earlier = [drain.until, until].into_iter().flatten().min();
                std::mem::replace(&mut drain.until, earlier) != earlier
            }
            None => true,
        };
        if is_news {
            let limit = match limit {
                Some(limit) => format!("in {} s at the latest", limit.as_secs_f64()),
                None => "however long that takes".to_owned(),
            };
            tracing::info!(
                "the worker drains: {reason}; it leaves when its running tasks have ended, {limit}; a second SIGTERM ends them"
            );
        }
        if self.drain.is_none() {
            self.drain = Some(Drain { until });
            let returned = self.gate.retract(usize::MAX);
            self.return_attempts(returned);
            self.step(Input::DrainRequested(reason.to_owned()));
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    pub(super) fn drain_until(&self) -> Option<Time> {
        self.drain.as_ref().and_then(|drain| drain.until)
    }
}
