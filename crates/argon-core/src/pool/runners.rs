//! All runners of a pool, and which of them are busy or idle. Keeps order; decides nothing.

use std::ops::{Index, IndexMut};

use argon_proto::RunnerId;

use super::kind::RunnerKey;
use super::runner::{Runner, RunnerState, TaskRun};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Runners {
    /// By id, which grows with each one.
    all: Vec<Runner>,
    /// Those with a run, in the order in which they got it.
    busy: Vec<RunnerId>,
    /// Those without, the longest unused first.
    idle: Vec<RunnerId>,
}

impl Runners {
    pub(super) fn get(&self, id: RunnerId) -> Option<&Runner> {
        self.place(id).map(|place| &self.all[place])
    }

    pub(super) fn get_mut(&mut self, id: RunnerId) -> Option<&mut Runner> {
        self.place(id).map(|place| &mut self.all[place])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Runner> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Runner> {
        self.all.iter_mut()
    }

    pub(super) fn busy(&self) -> impl Iterator<Item = &Runner> {
        self.busy.iter().map(|id| &self[*id])
    }

    /// Their ids, to change them one by one.
    pub(super) fn busy_ids(&self) -> Vec<RunnerId> {
        self.busy.clone()
    }

    /// The idle ones, the longest unused first.
    pub(super) fn idle(&self) -> impl DoubleEndedIterator<Item = &Runner> {
        self.idle.iter().map(|id| &self[*id])
    }

    pub(super) fn idle_len(&self) -> usize {
        self.idle.len()
    }

    /// The idle runner for tasks of this key: one that has served its sessions, else one that has served none.
    pub(super) fn idle_for(&self, key: RunnerKey) -> Option<RunnerId> {
        let mut fresh = None;
        for runner in self.idle().rev().filter(|runner| runner.kind == key.kind) {
            if runner.family == Some(key.family) {
                return Some(runner.id);
            }
            if runner.family.is_none() {
                fresh = fresh.or(Some(runner.id));
            }
        }
        fresh
    }

    /// Adds a runner that starts, or a command that runs.
    pub(super) fn insert(&mut self, runner: Runner) {
        if runner.run().is_some() {
            self.busy.push(runner.id);
        }
        self.all.push(runner);
    }

    pub(super) fn remove(&mut self, id: RunnerId) -> Option<Runner> {
        self.busy.retain(|other| *other != id);
        self.idle.retain(|other| *other != id);
        self.place(id).map(|place| self.all.remove(place))
    }

    /// Gives a runner its run.
    pub(super) fn begin(&mut self, id: RunnerId, run: TaskRun) {
        self.idle.retain(|other| *other != id);
        if let Some(runner) = self.get_mut(id) {
            runner.state = RunnerState::Busy(Box::new(run));
            self.busy.push(id);
        }
    }

    /// Lets a runner be idle, used just now.
    pub(super) fn rest(&mut self, id: RunnerId) {
        self.busy.retain(|other| *other != id);
        if let Some(runner) = self.get_mut(id) {
            runner.state = RunnerState::Idle;
            runner.turn_us = 0;
            self.idle.push(id);
        }
    }

    /// Notes that a runner ends and gets no more tasks.
    pub(super) fn retire(&mut self, id: RunnerId) {
        self.busy.retain(|other| *other != id);
        self.idle.retain(|other| *other != id);
        if let Some(runner) = self.get_mut(id) {
            runner.state = RunnerState::Retiring;
        }
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.all.is_sorted_by(|one, next| one.id < next.id), "runners lie in no order");
        for runner in &self.all {
            let listed = (self.busy.contains(&runner.id), self.idle.contains(&runner.id));
            assert_eq!(
                listed,
                (runner.run().is_some(), runner.is_idle()),
                "a runner is listed wrong: {runner:?}"
            );
            assert!(
                runner.run().is_some() || runner.prefetched.is_empty() || runner.is_leaving(),
                "work lies idle"
            );
            assert!(!runner.is_idle() || !runner.is_command(), "a command has ended and is kept");
        }
        assert!(self.busy.iter().chain(&self.idle).all(|id| self.get(*id).is_some()), "a runner is gone");
    }

    fn place(&self, id: RunnerId) -> Option<usize> {
        self.all.binary_search_by_key(&id, |runner| runner.id).ok()
    }
}

impl Index<RunnerId> for Runners {
    type Output = Runner;

    fn index(&self, id: RunnerId) -> &Runner {
        self.get(id).unwrap_or_else(|| panic!("{id:?} is not here"))
    }
}

impl IndexMut<RunnerId> for Runners {
    fn index_mut(&mut self, id: RunnerId) -> &mut Runner {
        self.get_mut(id).unwrap_or_else(|| panic!("{id:?} is not here"))
    }
}
