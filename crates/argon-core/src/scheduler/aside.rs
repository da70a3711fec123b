//! Tasks of a session that stepped aside, because no worker that could take them was able to start their kind of runner.
//! They have waited longer than those in the session's lanes. Each moves here once at most.

use std::collections::VecDeque;

use super::TaskKey;
use super::resting_kinds::Rests;
use super::task::{TaskEntry, is_live};
use crate::arena::Arena;
use crate::pool::RunnerKind;

/// Stale entries that are kept whatever the number of live ones.
const STALE_MIN: usize = 32;

/// The tasks by priority and kind.
#[derive(Debug, Default)]
pub(super) struct Aside {
    groups: Vec<Group>,
    /// Entries whose task waits here no more.
    stale: usize,
}

#[derive(Debug)]
struct Group {
    lane: usize,
    kind: RunnerKind,
    tasks: VecDeque<(TaskKey, u32)>,
}

impl Aside {
    /// True if any task of this priority waits here.
    pub(super) fn has(&self, lane: usize) -> bool {
        self.groups.iter().any(|group| group.lane == lane)
    }

    /// The places of a priority, kind by kind.
    pub(super) fn places(&self, lane: usize) -> impl Iterator<Item = &(TaskKey, u32)> {
        self.groups.iter().filter(move |group| group.lane == lane).flat_map(|group| &group.tasks)
    }

    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.tasks.len()).sum()
    }

    pub(super) fn push(&mut self, lane: usize, kind: RunnerKind, place: (TaskKey, u32)) {
        match self.groups.iter_mut().find(|group| group.lane == lane && group.kind == kind) {
            Some(group) => group.tasks.push_back(place),
            None => self.groups.push(Group { lane, kind, tasks: VecDeque::from([place]) }),
        }
    }

    /// The first task of this priority that a worker with these rests can start, taken out.
    pub(super) fn pop(
        &mut self,
        tasks: &Arena<TaskKey, TaskEntry>,
        lane: usize,
        rests: &Rests,
    ) -> Option<TaskKey> {
        let mut found = None;
        for group in self.groups.iter_mut().filter(|group| group.lane == lane && !rests.has(group.kind)) {
            while found.is_none()
                && let Some(place) = group.tasks.pop_front()
            {
                if is_live(tasks, place) {
                    found = Some(place.0);
                } else {
                    self.stale -= 1;
                }
            }
        }
        self.groups.retain(|group| !group.tasks.is_empty());
        found
    }

    /// Notes that the task of an entry waits no more. Drops the stale entries when they are the most.
    pub(super) fn forget_one(&mut self, tasks: &Arena<TaskKey, TaskEntry>) {
        self.stale += 1;
        if self.stale > STALE_MIN.max(self.len() / 2) || self.stale == self.len() {
            self.groups.iter_mut().for_each(|group| group.tasks.retain(|place| is_live(tasks, *place)));
            self.groups.retain(|group| !group.tasks.is_empty());
            self.stale = 0;
        }
    }
}
