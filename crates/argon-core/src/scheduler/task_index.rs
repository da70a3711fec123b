//! Index of tasks by their ids. It holds keys only: the id is in the task itself, where the caller looks it up. It must not
//! decide anything.

use std::hash::BuildHasher;

use argon_proto::TaskId;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::TaskKey;

/// Keys of tasks, found by the hash of their id. `id_of` says which id a key stands for.
#[derive(Debug, Default)]
pub(super) struct TaskIndex {
    keys: HashTable<TaskKey>,
}

impl TaskIndex {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The task that has this id.
    pub(super) fn find(&self, id: &TaskId, id_of: impl Fn(TaskKey) -> TaskId) -> Option<TaskKey> {
        self.keys.find(hash(id), |key| id_of(*key) == *id).copied()
    }

    /// Adds a task, which is not in it yet.
    pub(super) fn insert(&mut self, key: TaskKey, id: &TaskId, id_of: impl Fn(TaskKey) -> TaskId) {
        self.keys.insert_unique(hash(id), key, |key| hash(&id_of(*key)));
    }

    /// Takes a task out, which had this id.
    pub(super) fn remove(&mut self, key: TaskKey, id: &TaskId) {
        if let Ok(found) = self.keys.find_entry(hash(id), |other| *other == key) {
            found.remove();
        }
    }
}

/// Of the words of an id: as a slice of bytes it would cost several times as much.
#[inline]
fn hash(id: &TaskId) -> u64 {
    let [high, low] = id.session.words();
    FxBuildHasher.hash_one((high, low, id.sequence))
}
