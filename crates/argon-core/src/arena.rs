//! Values found by keys of a type of their own. A key is half as wide as an address: a queue holds millions of them.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use slab::Slab;

/// Key of a value in an [`Arena`].
pub(crate) trait ArenaKey: Copy + Eq + fmt::Debug {
    /// The key of this place.
    fn of(place: usize) -> Self;

    /// The place that it names.
    fn place(self) -> usize;
}

/// Values of one type. The key of a removed value may be given to another one.
pub(crate) struct Arena<K, V> {
    values: Slab<V>,
    key: PhantomData<K>,
}

impl<K: ArenaKey, V> Arena<K, V> {
    pub(crate) fn insert(&mut self, value: V) -> K {
        K::of(self.values.insert(value))
    }

    /// Inserts a value that knows its key.
    pub(crate) fn insert_with(&mut self, value: impl FnOnce(K) -> V) -> K {
        let entry = self.values.vacant_entry();
        let key = K::of(entry.key());
        entry.insert(value(key));
        key
    }

    /// Panics if there is no such value.
    pub(crate) fn remove(&mut self, key: K) -> V {
        self.values.remove(key.place())
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.values.get(key.place())
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.values.get_mut(key.place())
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.values.contains(key.place())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.values.iter().map(|(place, value)| (K::of(place), value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter().map(|(_, value)| value)
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.values.capacity()
    }

    /// Forgets all values; the next ones lie in the order in which they come.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
    }
}

impl<K, V> Default for Arena<K, V> {
    fn default() -> Self {
        Self { values: Slab::new(), key: PhantomData }
    }
}

impl<K: ArenaKey, V> Index<K> for Arena<K, V> {
    type Output = V;

    fn index(&self, key: K) -> &V {
        &self.values[key.place()]
    }
}

impl<K: ArenaKey, V> IndexMut<K> for Arena<K, V> {
    fn index_mut(&mut self, key: K) -> &mut V {
        &mut self.values[key.place()]
    }
}

impl<K: ArenaKey, V: fmt::Debug> fmt::Debug for Arena<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
