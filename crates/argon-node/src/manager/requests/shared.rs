//! The last status that was computed.

use argon_proto::conversation::admin::Rendered;
use argon_proto::holder::OwnerName;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

/// Text of the last status, and until when it is shared.
#[derive(Debug, Default)]
pub(in crate::manager) struct SharedStatus {
    last: Option<(Instant, Rendered)>,
    /// Status with the tasks of one owner only.
    of_owners: FxHashMap<OwnerName, (Instant, Rendered)>,
}

/// Owners whose status is kept.
const OWNERS_MAX: usize = 64;

impl SharedStatus {
    /// The last status, while it is shared.
    pub(super) fn fresh(&self, owner: Option<&OwnerName>) -> Option<&Rendered> {
        let last = owner.map_or(self.last.as_ref(), |owner| self.of_owners.get(owner));
        last.filter(|(until, _)| Instant::now() < *until).map(|(_, rendered)| rendered)
    }

    /// Shares a status until then.
    pub(super) fn share(&mut self, owner: Option<OwnerName>, until: Instant, rendered: Rendered) {
        let Some(owner) = owner else {
            self.last = Some((until, rendered));
            return;
        };
        if self.of_owners.len() >= OWNERS_MAX {
            self.of_owners.clear();
        }
        self.of_owners.insert(owner, (until, rendered));
    }
}
