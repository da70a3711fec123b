//! The last status that was computed.

use argon_proto::conversation::admin::Rendered;
use tokio::time::Instant;

/// Time and text of the last status.
#[derive(Debug, Default)]
pub(in crate::manager) struct SharedStatus {
    pub(super) last: Option<(Instant, Rendered)>,
}
