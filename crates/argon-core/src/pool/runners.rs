//! All runners of a pool, and which of them are busy or idle. Keeps order; decides nothing.

use std::ops::{Index, IndexMut};

use argon_proto::{Family, RunnerId};

use super::kind::{RunnerKey, RunnerKind};
use super::runner::{Runner, RunnerState, TaskRun};
use crate::time::Time;

/// See the module. A worker of many slots steps its pool hundreds of thousands of times a second, so what each step asks
/// for is kept in lists and counts.
#[derive(Debug, Default)]
pub(super) struct Runners {
    /// By id, which grows with each one.
    all: Vec<Runner>,
    starting: Vec<RunnerId>,
    /// Runners with a run, in the order in which they got it.
    busy: Vec<Listed>,
    /// Runners without one, the longest unused first.
    idle: Vec<Listed>,
    /// Number of busy runners that lend their slots.
    lent: usize,
    /// Busy ones that may have room for prefetched tasks.
    with_room: Vec<RunnerId>,
    /// No run has a deadline before this.
    due_from: Option<Time>,
    /// Runners came, went or got their first session since this was asked last.
    has_changed: bool,
    /// A runner became idle since this was asked last.
    idle_has_grown: bool,
}

/// A runner in a list, with what it is searched by.
#[derive(Clone, Copy, Debug)]
struct Listed {
    id: RunnerId,
    kind: RunnerKind,
    family: Option<Family>,
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

    pub(super) fn starting(&self) -> &[RunnerId] {
        &self.starting
    }

    pub(super) fn busy(&self) -> impl Iterator<Item = &Runner> {
        self.busy.iter().map(|listed| &self[listed.id])
    }

    /// Their ids, to change them one by one.
    pub(super) fn busy_ids(&self) -> Vec<RunnerId> {
        self.busy.iter().map(|listed| listed.id).collect()
    }

    /// The idle ones, the longest unused first.
    pub(super) fn idle(&self) -> impl DoubleEndedIterator<Item = &Runner> {
        self.idle.iter().map(|listed| &self[listed.id])
    }

    pub(super) fn idle_len(&self) -> usize {
        self.idle.len()
    }

    /// Runs that lend their slots.
    pub(super) fn lent_len(&self) -> usize {
        self.lent
    }

    /// Runs that take a slot.
    pub(super) fn taken_len(&self) -> usize {
        self.busy.len() - self.lent
    }

    /// The idle runner for tasks of this key: one that has served its sessions, else one that has served none.
    pub(super) fn idle_for(&self, key: RunnerKey) -> Option<RunnerId> {
        let mut fresh = None;
        for listed in self.idle.iter().rev().filter(|listed| listed.kind == key.kind) {
            if listed.family == Some(key.family) {
                return Some(listed.id);
            }
            if listed.family.is_none() {
                fresh = fresh.or(Some(listed.id));
            }
        }
        fresh
    }

    /// True if there is an idle runner that could do what this one does.
    pub(super) fn has_helper(&self, busy: &Runner) -> bool {
        let helps =
            |idle: &Listed| idle.kind == busy.kind && (idle.family.is_none() || idle.family == busy.family);
        self.idle.iter().any(helps)
    }

    /// Adds a runner that starts, or a command that runs.
    pub(super) fn insert(&mut self, runner: Runner) {
        let id = runner.id;
        if runner.run().is_some() {
            self.busy.push(Listed::of(&runner));
        } else {
            self.starting.push(id);
        }
        self.all.push(runner);
        self.has_changed = true;
        self.watch(id);
    }

    pub(super) fn remove(&mut self, id: RunnerId) -> Option<Runner> {
        self.leave_lists(id);
        self.has_changed = true;
        self.place(id).map(|place| self.all.remove(place))
    }

    /// Gives an idle runner its run.
    pub(super) fn begin(&mut self, id: RunnerId, family: Family, run: TaskRun) {
        self.leave_lists(id);
        if let Some(runner) = self.get_mut(id) {
            let is_first = runner.family.replace(family).is_none();
            runner.state = RunnerState::Busy(Box::new(run));
            let listed = Listed::of(runner);
            self.busy.push(listed);
            self.has_changed |= is_first;
            self.watch(id);
        }
    }

    /// Lets a busy runner go on with its next run.
    pub(super) fn proceed(&mut self, id: RunnerId, run: TaskRun) {
        let (was_lent, is_lent) = (self.is_lent(id), run.waits);
        if let Some(runner) = self.get_mut(id) {
            runner.state = RunnerState::Busy(Box::new(run));
        }
        self.lent = self.lent + usize::from(is_lent) - usize::from(was_lent);
        self.watch(id);
    }

    /// Notes whether the run of a runner lends its slot.
    pub(super) fn set_waits(&mut self, id: RunnerId, waits: bool) {
        let was_lent = self.is_lent(id);
        if let Some(Runner { state: RunnerState::Busy(run), .. }) = self.get_mut(id) {
            run.waits = waits;
            self.lent = self.lent + usize::from(waits) - usize::from(was_lent);
        }
    }

    /// Takes the run from a runner, which ends.
    pub(super) fn take_run(&mut self, id: RunnerId) -> Option<TaskRun> {
        self.leave_lists(id);
        self.has_changed = true;
        let runner = self.get_mut(id)?;
        match std::mem::replace(&mut runner.state, RunnerState::Retiring) {
            RunnerState::Busy(run) | RunnerState::Ending { run, .. } => Some(*run),
            RunnerState::Starting | RunnerState::Idle | RunnerState::Retiring => None,
        }
    }

    /// Lets a runner be idle, used just now.
    pub(super) fn rest(&mut self, id: RunnerId) {
        self.leave_lists(id);
        if let Some(runner) = self.get_mut(id) {
            runner.state = RunnerState::Idle;
            runner.turn_us = 0;
            let listed = Listed::of(runner);
            self.idle.push(listed);
            self.idle_has_grown = true;
        }
    }

    /// Notes that a runner ends and gets no more tasks.
    pub(super) fn retire(&mut self, id: RunnerId) {
        self.take_run(id);
    }

    /// Notes that something is to be done about a runner by its deadline, and that it may have room.
    pub(super) fn watch(&mut self, id: RunnerId) {
        let Some(runner) = self.get(id) else {
            return;
        };
        let may_have_room = runner.takes_prefetch && runner.run().is_some();
        let deadline = runner.deadline();
        self.due_from = self.due_from.into_iter().chain(deadline).min();
        if may_have_room && !self.with_room.contains(&id) {
            self.with_room.push(id);
        }
    }

    /// True if a run may have reached its deadline.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.due_from.is_some_and(|from| from <= now)
    }

    /// Finds the earliest deadline anew.
    pub(super) fn settle_deadlines(&mut self) {
        self.due_from = self.busy().filter_map(Runner::deadline).min();
    }

    /// An attempt of this key waits: runners that could prefetch it may have room.
    pub(super) fn note_waiting(&mut self, key: RunnerKey) {
        let of_key = |listed: &&Listed| listed.family == Some(key.family) && listed.kind == key.kind;
        let ids: Vec<RunnerId> = self.busy.iter().filter(of_key).map(|listed| listed.id).collect();
        ids.into_iter().for_each(|id| self.watch(id));
    }

    /// Runners that have room, by `has_room`; the others are not asked again before something happens to them.
    pub(super) fn with_room(&mut self, has_room: impl Fn(&Runner) -> bool) -> Vec<&Runner> {
        let mut ids = std::mem::take(&mut self.with_room);
        ids.retain(|id| self.get(*id).is_some_and(&has_room));
        self.with_room = ids;
        self.with_room.iter().map(|id| &self[*id]).collect()
    }

    /// Nothing waits for those that have room.
    pub(super) fn forget_room(&mut self) {
        self.with_room.clear();
    }

    pub(super) fn take_has_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    pub(super) fn take_idle_has_grown(&mut self) -> bool {
        std::mem::take(&mut self.idle_has_grown)
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.all.is_sorted_by(|one, next| one.id < next.id), "runners lie in no order");
        let is_in = |list: &[Listed], id| list.iter().any(|listed| listed.id == id);
        for runner in &self.all {
            let listed = (is_in(&self.busy, runner.id), is_in(&self.idle, runner.id));
            let due = (runner.run().is_some(), runner.is_idle());
            assert_eq!(listed, due, "a runner is listed wrong: {runner:?}");
            assert_eq!(self.starting.contains(&runner.id), runner.is_starting(), "a start is listed wrong");
            assert!(
                runner.run().is_some() || runner.prefetched.is_empty() || runner.is_leaving(),
                "work lies idle"
            );
            assert!(!runner.is_idle() || !runner.is_command(), "a command has ended and is kept");
            let is_noted = runner.deadline().is_none_or(|at| self.is_due(at));
            assert!(is_noted, "a deadline is forgotten");
        }
        let listed = self.busy.iter().chain(&self.idle);
        for Listed { id, kind, family } in listed.copied() {
            let runner = self.get(id).expect("a runner is gone");
            assert_eq!((runner.kind, runner.family), (kind, family), "a runner is listed as another");
        }
        let lent = self.busy().filter(|runner| runner.lent_run().is_some()).count();
        assert_eq!(lent, self.lent, "lent slots are miscounted");
    }

    fn is_lent(&self, id: RunnerId) -> bool {
        self.get(id).is_some_and(|runner| runner.lent_run().is_some())
    }

    fn leave_lists(&mut self, id: RunnerId) {
        self.lent -= usize::from(self.is_lent(id));
        for list in [&mut self.busy, &mut self.idle] {
            if let Some(at) = list.iter().rposition(|listed| listed.id == id) {
                list.remove(at);
            }
        }
        if let Some(at) = self.starting.iter().position(|other| *other == id) {
            self.starting.remove(at);
            self.has_changed = true;
        }
    }

    fn place(&self, id: RunnerId) -> Option<usize> {
        self.all.binary_search_by_key(&id, |runner| runner.id).ok()
    }
}

impl Listed {
    fn of(runner: &Runner) -> Self {
        Self { id: runner.id, kind: runner.kind, family: runner.family }
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
