//! Options of a task.

use std::time::Duration;

use argon_proto::{Flags, Priority};
use argon_session::ErrorKind;

use crate::error::Error;

/// Most bytes of a label.
const LABEL_BYTES: usize = 200;

/// Options of a task. Each has a default.
///
/// ```
/// use argon::{Priority, TaskOptions};
/// use std::time::Duration;
///
/// let careful = TaskOptions::new().priority(Priority::High).timeout(Duration::from_secs(60)).retries(2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskOptions {
    pub(crate) priority: Priority,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u16,
    pub(crate) retry_on: Option<Flags>,
    pub(crate) backoff: Option<Duration>,
    pub(crate) never_twice: bool,
    pub(crate) memory_mib: u32,
    pub(crate) capture: bool,
    pub(crate) label: Option<String>,
    pub(crate) offers_max: u32,
}

/// An outcome after which a task may be tried again; see [`TaskOptions::retry_on`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RetryOn {
    /// The task returned an error, threw or panicked.
    Error,
    /// Its process died.
    Died,
    /// The attempt reached its time limit.
    Timeout,
}

impl TaskOptions {
    /// The defaults: normal priority, no time limit, no retries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the priority among waiting tasks.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Limits the time of one attempt, from its start.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Further attempts after one that failed.
    #[must_use]
    pub fn retries(self, retries: u16) -> Self {
        Self { retries, ..self }
    }

    /// Outcomes that are retried. Default: all three.
    #[must_use]
    pub fn retry_on(self, outcomes: impl IntoIterator<Item = RetryOn>) -> Self {
        let flags = outcomes.into_iter().fold(Flags::default(), |flags, outcome| {
            flags.with(match outcome {
                RetryOn::Error => Flags::RETRY_ERROR,
                RetryOn::Died => Flags::RETRY_DIED,
                RetryOn::Timeout => Flags::RETRY_TIMEOUT,
            })
        });
        Self { retry_on: Some(flags), ..self }
    }

    /// The wait before the first retry; it doubles. Default: 0.1 s.
    #[must_use]
    pub fn backoff(self, backoff: Duration) -> Self {
        Self { backoff: Some(backoff), ..self }
    }

    /// Never start it a second time: any doubt whether it ran ends it as [`ErrorKind::Lost`].
    #[must_use]
    pub fn never_twice(self) -> Self {
        Self { never_twice: true, ..self }
    }

    /// Memory limit of the task's process, in MiB.
    #[must_use]
    pub fn memory_mib(self, memory_mib: u32) -> Self {
        Self { memory_mib, ..self }
    }

    /// Do not show what it prints; an error's report has its last lines.
    #[must_use]
    pub fn capture(self) -> Self {
        Self { capture: true, ..self }
    }

    /// Sets the label of the task in `argon status`: at most 200 bytes.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// End as [`ErrorKind::Rejected`] when the manager has not accepted it after `offers` offers, instead of offering
    /// it again for ever.
    #[must_use]
    pub fn offers_max(self, offers: u32) -> Self {
        Self { offers_max: offers, ..self }
    }

    pub(crate) fn flags(&self) -> Flags {
        let all = Flags::RETRY_ERROR.with(Flags::RETRY_DIED).with(Flags::RETRY_TIMEOUT);
        let mut flags = if self.retries > 0 { self.retry_on.unwrap_or(all) } else { Flags::default() };
        if self.never_twice {
            flags = flags.with(Flags::NEVER_TWICE);
        }
        if self.capture {
            flags = flags.with(Flags::CAPTURE);
        }
        flags
    }

    pub(crate) fn timeout_ms(&self) -> u32 {
        self.timeout.map_or(0, milliseconds)
    }

    pub(crate) fn backoff_ms(&self) -> u32 {
        match self.backoff {
            Some(backoff) => milliseconds(backoff),
            None if self.retries > 0 => 100,
            None => 0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.never_twice && self.retries > 0 {
            return Err(Error::new(ErrorKind::Option, "never_twice and retries exclude each other"));
        }
        if self.label.as_ref().is_some_and(|label| label.len() > LABEL_BYTES) {
            return Err(Error::new(
                ErrorKind::Option,
                format!("the label is longer than {LABEL_BYTES} bytes; shorten it"),
            ));
        }
        Ok(())
    }
}

/// At least one: 0 would mean that there is no limit.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}
