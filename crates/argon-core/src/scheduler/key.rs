//! Where tasks, sessions and workers lie. Keys and places are half as wide as an address: a queue holds millions of them.
//! What lies there is not this file's business.

macro_rules! key {
    ($name:ident, $what:literal) => {
        #[doc = $what]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub(super) struct $name(u32);

        impl $name {
            /// The key of what lies at this index.
            pub(super) fn of(index: usize) -> Self {
                Self(place_of(index))
            }

            /// Where it lies.
            pub(super) fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

key!(TaskKey, "Index of a task in the scheduler.");
key!(SessionKey, "Index of a session in the scheduler.");
key!(WorkerKey, "Index of a worker in the scheduler.");

/// A place in a list. No list grows to 2^32 places: memory and the bounds of the queue end long before.
pub(super) fn place_of(index: usize) -> u32 {
    assert!(index < u32::MAX as usize, "place {index} is beyond what a key can name");
    index as u32
}
