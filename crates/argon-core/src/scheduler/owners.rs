//! Owners of sessions: the order of their turns, the numbers of their tasks, and the bounds on these.
//!
//! Owners take turns first, and then the sessions of an owner among themselves. So the part of an owner does not grow with
//! the number of its sessions.

use std::collections::VecDeque;

use argon_proto::conversation::admin::OwnerView;
use argon_proto::holder::OwnerName;

use super::input::ConnId;
use super::key::{OwnerKey, SessionKey, TaskKey};
use super::task::TaskState;
use super::{Scheduler, SessionId, TaskId};

/// Bound that is not set.
pub const NO_BOUND: u32 = u32::MAX;

/// One owner. It is known as long as it has sessions.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) name: OwnerName,
    pub(super) sessions: u32,
    /// The sessions at the root that have a turn in each priority, in order.
    pub(super) rings: [VecDeque<SessionKey>; 3],
    /// True if the owner has a turn in the priority. It has none while it may start no more tasks.
    pub(super) has_turn: [bool; 3],
    /// Tasks that wait, are at workers, and have ended.
    pub(super) counts: [u32; 3],
    /// Of those at workers, the ones that wait for tasks of their own.
    pub(super) lent: u32,
}

/// Place of a state in [`Owner::counts`].
#[inline]
pub(super) fn class(state: &TaskState) -> usize {
    match state {
        TaskState::Persisting | TaskState::Recovering | TaskState::Queued { .. } | TaskState::Delayed => 0,
        TaskState::Assigned { .. } => HELD,
        TaskState::Ended(_) => 2,
    }
}

/// Place of the tasks at workers.
const HELD: usize = 1;

impl Owner {
    pub(super) fn new(name: OwnerName) -> Self {
        Self { name, sessions: 0, rings: Default::default(), has_turn: [false; 3], counts: [0; 3], lent: 0 }
    }

    /// Tasks at workers that do not wait for tasks of their own.
    pub(super) fn running(&self) -> u32 {
        self.counts[HELD].saturating_sub(self.lent)
    }

    pub(super) fn waiting(&self) -> u32 {
        self.counts[0]
    }
}

impl Scheduler {
    /// The owner of a session.
    pub(super) fn owner_of(&self, session: SessionKey) -> &Owner {
        &self.queue.owners[self.sessions[session].owner]
    }

    /// The owner of this name, made if there is none.
    pub(super) fn owner_of_name(&mut self, name: &OwnerName) -> OwnerKey {
        if let Some(key) = self.owner_by_name.get(name) {
            return *key;
        }
        let key = self.queue.owners.insert(Owner::new(name.clone()));
        self.owner_by_name.insert(name.clone(), key);
        key
    }

    /// A session of the owner was forgotten.
    pub(super) fn leave_owner(&mut self, key: OwnerKey) {
        let owner = &mut self.queue.owners[key];
        owner.sessions -= 1;
        if owner.sessions == 0 {
            let owner = self.queue.owners.remove(key);
            assert!(owner.has_turn == [false; 3], "an owner without sessions has a turn");
            self.owner_by_name.remove(&owner.name);
        }
    }

    /// Counts a task of an owner in another state.
    #[inline]
    pub(super) fn move_in_owner(&mut self, key: OwnerKey, from: usize, to: usize) {
        if from == to {
            return;
        }
        let owner = &mut self.queue.owners[key];
        owner.counts[from] -= 1;
        owner.counts[to] += 1;
        if self.limits.max_running != NO_BOUND {
            self.bound_running(key);
        }
    }

    /// An attempt begins or ceases to wait for tasks of its own.
    pub(super) fn set_lent_of_owner(&mut self, task: TaskKey, is_lent: bool) {
        let entry = &mut self.tasks[task];
        if std::mem::replace(&mut entry.is_lent, is_lent) == is_lent {
            return;
        }
        let key = self.sessions[entry.session].owner;
        let owner = &mut self.queue.owners[key];
        owner.lent = if is_lent { owner.lent + 1 } else { owner.lent - 1 };
        self.bound_running(key);
    }

    /// Takes an owner out of all turns while it runs as many tasks as it may, and lets it in again.
    #[cold]
    fn bound_running(&mut self, key: OwnerKey) {
        let most = self.limits.max_running;
        let queue = &mut self.queue;
        let owner = &mut queue.owners[key];
        let is_full = owner.running() >= most;
        for lane in 0..3 {
            if is_full && std::mem::take(&mut owner.has_turn[lane]) {
                queue.rings[lane].retain(|other| *other != key);
            } else if !is_full && !owner.rings[lane].is_empty() && !owner.has_turn[lane] {
                owner.has_turn[lane] = true;
                queue.rings[lane].push_back(key);
                queue.nothing_for.clear();
            }
        }
    }

    /// True if the owner runs as many tasks as it may.
    pub(super) fn is_at_bound(&self, key: OwnerKey) -> bool {
        self.queue.owners[key].running() >= self.limits.max_running
    }

    /// Why no more tasks of this owner are taken; `None` if some are.
    pub(super) fn owner_refusal(&self, key: OwnerKey) -> Option<String> {
        let (owner, most) = (&self.queue.owners[key], self.limits.max_queued);
        (owner.waiting() >= most).then(|| {
            format!(
                "{} tasks of {} wait, which is the most for one owner (--max-queued); try again when some have started",
                owner.waiting(),
                owner.name
            )
        })
    }

    /// The owner of the session at this connection; `None` if no client is there.
    #[must_use]
    pub fn owner_at(&self, link: ConnId) -> Option<&OwnerName> {
        self.client_at(link).map(|key| &self.owner_of(key).name)
    }

    /// The owner of a task; `None` if it is not known.
    #[must_use]
    pub fn owner_of_task(&self, id: TaskId) -> Option<&OwnerName> {
        Some(&self.owner_of(self.tasks[self.task_of(&id)?].session).name)
    }

    /// The owner of a session that is open or has tasks.
    #[must_use]
    pub fn owner_of_session(&self, id: SessionId) -> Option<&OwnerName> {
        self.session_by_id.get(&id).map(|key| &self.owner_of(*key).name)
    }

    /// All owners that have sessions, by name.
    #[must_use]
    pub fn owner_views(&self) -> Vec<OwnerView> {
        let mut views: Vec<OwnerView> = self
            .queue
            .owners
            .values()
            .map(|owner| OwnerView {
                owner: owner.name.to_string(),
                sessions: owner.sessions,
                waiting: owner.waiting(),
                running: owner.counts[HELD],
                untaken: owner.counts[2],
            })
            .collect();
        views.sort_by(|one, other| one.owner.cmp(&other.owner));
        views
    }

    pub(super) fn assert_owners_are_counted(&self) {
        assert_eq!(self.owner_by_name.len(), self.queue.owners.len());
        for (key, owner) in self.queue.owners.iter() {
            assert_eq!(self.owner_by_name.get(&owner.name), Some(&key));
            let mut counts = [0; 3];
            let (mut sessions, mut lent) = (0, 0);
            for session in self.sessions.values().filter(|session| session.owner == key) {
                sessions += 1;
                for task in session.tasks.iter().map(|task| &self.tasks[*task]) {
                    counts[class(&task.state)] += 1;
                    lent += u32::from(task.is_lent);
                    assert!(
                        !task.is_lent || task.worker().is_some(),
                        "a task that is at no worker lends its slot"
                    );
                }
            }
            assert_eq!(
                (sessions, counts, lent),
                (owner.sessions, owner.counts, owner.lent),
                "{}",
                owner.name
            );
            for lane in 0..3 {
                let has_turn = self.queue.rings[lane].iter().filter(|other| **other == key).count();
                assert_eq!(has_turn, usize::from(owner.has_turn[lane]), "an owner has no turn, or several");
                let must = !owner.rings[lane].is_empty() && !self.is_at_bound(key);
                assert_eq!(
                    must, owner.has_turn[lane],
                    "an owner whose sessions wait has no turn, or one for nothing"
                );
                for root in &owner.rings[lane] {
                    assert_eq!(self.sessions[*root].owner, key, "a session takes the turn of another owner");
                }
            }
        }
        for session in self.sessions.values() {
            assert_eq!(
                session.owner, self.sessions[session.root].owner,
                "a client in a task has another owner"
            );
        }
    }
}
