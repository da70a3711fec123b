//! A cache bounded by bytes: [`ByteLru`] knows the size of each entry and the order in which entries were used.
//!
//! The owner decides when to make room, how many bytes may stay, and which entries are pinned.

use std::collections::BTreeMap;
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Entries with their sizes, in the order of their last use.
#[derive(Clone, Debug)]
pub struct ByteLru<K, V> {
    entries: FxHashMap<K, Entry<V>>,
    /// Key of each entry by the number of its last use.
    by_use: BTreeMap<u64, K>,
    uses: u64,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    bytes: u64,
    used: u64,
}

impl<K, V> Default for ByteLru<K, V> {
    fn default() -> Self {
        Self { entries: FxHashMap::default(), by_use: BTreeMap::new(), uses: 0, bytes: 0 }
    }
}

impl<K: Copy + Eq + Hash, V> ByteLru<K, V> {
    /// Adds an entry as the one used last. Returns the value that it replaces.
    pub fn insert(&mut self, key: K, value: V, bytes: u64) -> Option<V> {
        let replaced = self.remove(&key);
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key);
        self.entries.insert(key, Entry { value, bytes, used: self.uses });
        replaced
    }

    /// The value of a key. Counts as a use.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        self.by_use.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        self.by_use.insert(self.uses, *key);
        Some(&mut entry.value)
    }

    /// The value of a key, without a use.
    #[must_use]
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// True if the key has an entry.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Adds to the size of an entry that has grown.
    pub fn grow(&mut self, key: &K, bytes: u64) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    /// Removes the entry that was not used for longest.
    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.by_use.first_key_value()?;
        let key = *key;
        self.remove(&key).map(|value| (key, value))
    }

    /// Removes entries, those not used for longest first, until at most `bytes_max` are left. Pinned entries stay, and
    /// so more bytes may be left. Returns the removed entries.
    pub fn shrink_to(&mut self, bytes_max: u64, is_pinned: impl Fn(&K) -> bool) -> Vec<(K, V)> {
        let mut excess = self.bytes.saturating_sub(bytes_max);
        let mut goes = Vec::new();
        for key in self.by_use.values().filter(|key| !is_pinned(key)) {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(self.entries[key].bytes);
            goes.push(*key);
        }
        goes.into_iter().filter_map(|key| self.remove(&key).map(|value| (key, value))).collect()
    }

    /// Keys and values, those not used for longest first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.by_use.values().map(|key| (key, &self.entries[key].value))
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Panics if sizes or uses are counted wrong.
    pub fn assert_invariants(&self) {
        let bytes: u64 = self.entries.values().map(|entry| entry.bytes).sum();
        assert_eq!(bytes, self.bytes, "the bytes of a cache are counted wrong");
        assert_eq!(self.entries.len(), self.by_use.len(), "the uses of a cache are listed wrong");
        let is_listed =
            |(used, key): (&u64, &K)| self.entries.get(key).is_some_and(|entry| entry.used == *used);
        assert!(self.by_use.iter().all(is_listed), "a use of a cache is listed under another number");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys<V>(cache: &ByteLru<u8, V>) -> Vec<u8> {
        cache.assert_invariants();
        cache.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn entries_not_used_for_longest_go_first() {
        let mut cache = ByteLru::default();
        for key in 1..=4 {
            cache.insert(key, key * 10, 100);
        }
        assert_eq!(cache.get(&1), Some(&mut 10));
        assert_eq!(cache.peek(&2), Some(&20), "a peek is no use");
        assert_eq!(keys(&cache), [2, 3, 4, 1]);
        assert_eq!(cache.shrink_to(250, |_| false), [(2, 20), (3, 30)]);
        assert_eq!((keys(&cache), cache.bytes()), (vec![4, 1], 200));
        assert_eq!(cache.pop_oldest(), Some((4, 40)));
        assert_eq!(cache.get(&4), None);
    }

    #[test]
    fn pinned_entries_stay_beyond_the_bound() {
        let mut cache = ByteLru::default();
        for key in 1..=3 {
            cache.insert(key, (), 100);
        }
        assert_eq!(cache.shrink_to(0, |key| *key == 2), [(1, ()), (3, ())]);
        assert_eq!((keys(&cache), cache.bytes()), (vec![2], 100));
        assert_eq!(cache.shrink_to(100, |_| false), []);
    }

    #[test]
    fn sizes_follow_replaced_grown_and_removed_entries() {
        let mut cache = ByteLru::default();
        assert_eq!(cache.insert(1, 'a', 100), None);
        assert_eq!(cache.insert(2, 'b', 1), None);
        assert_eq!(cache.insert(1, 'c', 7), Some('a'));
        cache.grow(&1, 3);
        cache.grow(&9, 1000);
        assert_eq!((keys(&cache), cache.bytes(), cache.len()), (vec![2, 1], 11, 2));
        assert_eq!(cache.remove(&1), Some('c'));
        assert_eq!(cache.remove(&1), None);
        assert_eq!((keys(&cache), cache.bytes()), (vec![2], 1));
    }
}
