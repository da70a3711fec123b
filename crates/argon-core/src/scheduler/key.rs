//! Keys of tasks, sessions, owners and workers, and places in their lists.

use crate::arena::ArenaKey;

macro_rules! key {
    ($name:ident, $what:literal) => {
        #[doc = $what]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub(super) struct $name(u32);

        impl ArenaKey for $name {
            fn of(place: usize) -> Self {
                Self(place_of(place))
            }

            fn place(self) -> usize {
                self.0 as usize
            }
        }
    };
}

key!(TaskKey, "Key of a task in the scheduler.");
key!(SessionKey, "Key of a session in the scheduler.");
key!(OwnerKey, "Key of an owner in the scheduler.");
key!(WorkerKey, "Key of a worker in the scheduler.");

/// A place in a list. No list grows to 2^32 places: memory and the bounds of the queue end long before.
pub(super) fn place_of(index: usize) -> u32 {
    assert!(index < u32::MAX as usize, "place {index} is beyond what a key can name");
    index as u32
}
