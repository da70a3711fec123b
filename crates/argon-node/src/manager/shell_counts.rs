//! Events that only the shell of a manager counts, for its metrics.

use argon_proto::key::Role;

/// Events that only the shell counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShellCounts {
    /// Connections that have proven a key, by the place of the role in [`Role::ALL`].
    pub(super) admitted: [u64; Role::ALL.len()],
    /// Batches of records that the store had no room for.
    pub(super) store_refusals: u64,
}

impl ShellCounts {
    /// Counts a peer that has proven its key.
    pub(super) fn admit(&mut self, role: Role) {
        if let Some(place) = Role::ALL.iter().position(|other| *other == role) {
            self.admitted[place] += 1;
        }
    }
}
