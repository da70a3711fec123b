//! An attempt in a runner: how much of its output is on the way to its client, and the end of it for reports.

use argon_core::Time;
use argon_proto::{AttemptId, Flags, Task};

use super::output::{Tail, Window};

/// Bytes of output in one frame at most.
pub(crate) const OUTPUT_BYTES: usize = 64 << 10;

/// State of an attempt that a runner has.
#[derive(Debug)]
pub(crate) struct AttemptIo {
    pub(crate) attempt: AttemptId,
    /// Its output comes with its outcome and is not sent live.
    pub(crate) is_captured: bool,
    /// When the runner was sent it: the attempt has not begun earlier.
    pub(crate) sent: Time,
    pub(crate) window: Window,
    pub(crate) tail: Tail,
}

impl AttemptIo {
    /// A task that begins.
    pub(crate) fn of(task: &Task, now: Time) -> Self {
        let is_captured = task.head.flags.contains(Flags::CAPTURE);
        Self {
            attempt: task.attempt_id(),
            is_captured,
            sent: now,
            window: Window::default(),
            tail: if is_captured { Tail::for_capture() } else { Tail::for_report() },
        }
    }

    /// Bytes that may be read from its pipes now.
    pub(crate) fn room(&self) -> usize {
        if self.is_captured {
            return OUTPUT_BYTES;
        }
        usize::try_from(self.window.room()).unwrap_or(usize::MAX).min(OUTPUT_BYTES)
    }
}
