//! A set whose members are forgotten after a while.

use std::collections::VecDeque;
use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::time::Time;

/// Members with the time at which each is forgotten. When there are too many, the oldest is forgotten before its time.
#[derive(Debug)]
pub(super) struct ExpiringSet<K> {
    until: FxHashMap<K, Time>,
    /// In the order in which they came; stale where `until` has another time.
    order: VecDeque<(Time, K)>,
    most: usize,
}

impl<K: Copy + Eq + Hash> ExpiringSet<K> {
    /// A set of `most` members at most.
    pub(super) fn new(most: usize) -> Self {
        Self { until: FxHashMap::default(), order: VecDeque::new(), most }
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.until.contains_key(key)
    }

    /// Adds a member until a time that is not before that of any other, or prolongs its stay.
    pub(super) fn insert(&mut self, key: K, until: Time) {
        if self.until.insert(key, until) == Some(until) {
            return;
        }
        self.order.push_back((until, key));
        if self.order.len() > self.most {
            self.forget_first();
        }
    }

    /// Forgets the members whose time has come.
    pub(super) fn expire(&mut self, now: Time) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((until, key)) = self.order.pop_front()
            && self.until.get(&key) == Some(&until)
        {
            self.until.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_forgotten_in_their_time_and_the_oldest_when_there_are_too_many() {
        let mut set = ExpiringSet::new(3);
        (1..=3).for_each(|key| set.insert(key, Time(key)));
        set.expire(Time(1));
        assert_eq!([1, 2, 3].map(|key| set.contains(&key)), [false, true, true]);
        set.insert(2, Time(9));
        set.expire(Time(8));
        assert_eq!([2, 3].map(|key| set.contains(&key)), [true, false], "its stay was prolonged");
        (4..=6).for_each(|key| set.insert(key, Time(9)));
        assert_eq!([2, 4, 5, 6].map(|key| set.contains(&key)), [false, true, true, true]);
        set.expire(Time(9));
        assert!(set.until.is_empty() && set.order.is_empty());
    }
}
