//! The log line about tasks that wait without a worker.

use std::time::Duration;

use tokio::time::Instant;

/// Time without a worker after which waiting tasks are logged.
const STRANDED_FOR: Duration = Duration::from_secs(2);

/// State of the log line about tasks that wait without a worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Stranded {
    /// They do not.
    #[default]
    No,
    /// They do, since then.
    Since(Instant),
    /// They do, and the log has it.
    Told,
}

impl Stranded {
    /// When the line is due.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Since(since) => Some(since + STRANDED_FOR),
            Self::No | Self::Told => None,
        }
    }

    /// Logs once that tasks wait and no worker is there, and again only after there was one.
    pub(super) fn note(&mut self, is_stranded: bool) {
        *self = match *self {
            _ if !is_stranded => Self::No,
            Self::No => Self::Since(Instant::now()),
            Self::Since(since) if since.elapsed() >= STRANDED_FOR => {
                tracing::warn!(
                    "tasks wait and no worker is connected; start one with: argon worker --manager HOST:PORT"
                );
                Self::Told
            }
            waits @ (Self::Since(_) | Self::Told) => waits,
        };
    }
}
