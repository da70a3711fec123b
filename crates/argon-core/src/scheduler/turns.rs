//! Turns in the queue: a ring of owners in each priority, and in each owner a ring of its sessions.

use super::queue::Queue;
use super::session::Session;
use super::{OwnerKey, SessionKey};

impl Queue {
    /// Gives a root its turn in a priority, behind the others.
    pub(super) fn give_turn(&mut self, key: SessionKey, root: &mut Session, lane: usize, most: u32) {
        if std::mem::replace(&mut root.has_turn[lane], true) {
            return;
        }
        let owner = &mut self.owners[root.owner];
        owner.rings[lane].push_back(key);
        if !owner.has_turn[lane] && owner.running() < most {
            owner.has_turn[lane] = true;
            self.rings[lane].push_back(root.owner);
        }
    }

    /// Takes a session out of all turns of its owner.
    pub(super) fn forget(&mut self, key: SessionKey, owner_key: OwnerKey) {
        let owner = &mut self.owners[owner_key];
        for lane in 0..3 {
            owner.rings[lane].retain(|other| *other != key);
            if owner.rings[lane].is_empty() && std::mem::take(&mut owner.has_turn[lane]) {
                self.rings[lane].retain(|other| *other != owner_key);
            }
        }
    }

    /// Puts the owner whose turn it was behind the others, or takes it out if none of its sessions has a turn.
    #[inline]
    pub(super) fn end_turn(&mut self, key: OwnerKey, lane: usize) {
        let owner = &mut self.owners[key];
        if owner.rings[lane].is_empty() {
            owner.has_turn[lane] = false;
            self.rings[lane].pop_front();
        } else if self.rings[lane].len() > 1 {
            self.rings[lane].rotate_left(1);
        }
    }

    /// The roots that have a turn in a priority, except those whose owners may start nothing.
    pub(super) fn turns(&self, lane: usize) -> impl Iterator<Item = SessionKey> + '_ {
        self.rings[lane].iter().flat_map(move |owner| self.owners[*owner].rings[lane].iter().copied())
    }
}
