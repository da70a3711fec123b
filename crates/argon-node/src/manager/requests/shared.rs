//! The last status that was computed.

use argon_proto::conversation::admin::Rendered;
use tokio::time::Instant;

/// Text of the last status, and until when it is shared.
#[derive(Debug, Default)]
pub(in crate::manager) struct SharedStatus {
    pub(super) last: Option<(Instant, Rendered)>,
}

impl SharedStatus {
    /// The last status, while it is shared.
    pub(super) fn fresh(&self) -> Option<&Rendered> {
        self.last.as_ref().filter(|(until, _)| Instant::now() < *until).map(|(_, rendered)| rendered)
    }
}
