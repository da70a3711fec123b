//! Memory that tasks and outcomes occupy: how much there is, who may have it, and what is refused when it is used up.
//!
//! Three quarters of [`Limits::memory`](super::Limits) are for everybody. The last quarter is a reserve. A sixteenth of the
//! memory is for tasks of tasks, while all that runs waits for such tasks: nothing else would ever make room. A task of a
//! task that has no room there either ends as lost, so that the task which waits for it goes on. Of the rest of the reserve
//! each session has an equal part, so a session that uses little is served whatever the others do.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use argon_proto::{Report, Status};

use super::input::ConnId;
use super::task::{TaskEntry, TaskState};
use super::{Scheduler, SessionKey, TaskKey};
use crate::time::Time;

/// Memory that a task occupies besides its payload, meta data and blob hashes, bytes, about.
const TASK_BYTES: u64 = 320;
/// Bytes that an outcome costs besides its content, until it is taken.
const OUTCOME_BYTES: u64 = 192;
/// Memory of a session without tasks, about.
const SESSION_BYTES: u64 = 1 << 10;
/// Memory of a detached task whose outcome is waited for, about.
const COLLECTOR_BYTES: u64 = 160;
/// Part of the memory that is the reserve.
const RESERVE: u64 = 4;
/// Time without any progress after which a task of a task for which all waits has no room for good: clients that take
/// outcomes do so earlier.
const STUCK_FOR: Duration = Duration::from_secs(10);
/// Part of the memory, within the reserve, for tasks of tasks.
const NESTED_RESERVE: u64 = 16;
/// Memory that a small task may keep alive until it is copied: that of a whole read.
const READ_BYTES: u64 = 64 << 10;
/// Part of the memory that tasks which were not copied may keep alive.
const LOOSE: u64 = 8;
/// Most tasks that are not copied. Most tasks end before that, and are never copied.
const LOOSE_MAX: u64 = 4096;

/// Bytes of tasks and outcomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct MemoryUse {
    /// Of tasks that have not ended.
    pub(super) tasks: u64,
    /// Of tasks that have ended, and their outcomes.
    pub(super) outcomes: u64,
}

/// Memory of everything.
#[derive(Debug, Default)]
pub(super) struct MemoryAccount {
    pub(super) used: MemoryUse,
    /// Memory of the shell besides the tasks, bytes.
    others: u64,
    /// Sessions whose tasks start no more until there is room, or they have taken outcomes.
    held_back: BTreeSet<SessionKey>,
    /// Tasks that may share the memory of a read, the oldest first, each with its mark. Some are gone, and their keys
    /// are given to others, which have other marks.
    loose: VecDeque<(TaskKey, u32)>,
    /// When a task of a task was first refused since any task has made progress.
    stuck_since: Option<Time>,
}

impl MemoryUse {
    pub(super) fn of(entry: &TaskEntry) -> Self {
        let task = TASK_BYTES + entry.task.resident();
        match &entry.state {
            TaskState::Ended(ended) => {
                Self { tasks: 0, outcomes: task + OUTCOME_BYTES + ended.outcome.resident() }
            }
            TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Assigned { .. } => Self { tasks: task, outcomes: 0 },
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.tasks += more.tasks;
        self.outcomes += more.outcomes;
    }

    fn remove(&mut self, less: Self) {
        self.tasks -= less.tasks;
        self.outcomes -= less.outcomes;
    }

    fn sum(self) -> u64 {
        self.tasks + self.outcomes
    }
}

/// Distinguishes a task, before its end and after, from others that had its key before.
fn mark_of(entry: &TaskEntry) -> u32 {
    (entry.task.head.id.sequence as u32) << 1 | u32::from(entry.is_ended())
}

impl Scheduler {
    /// Counts a task as it is now, and remembers to copy it if it stays.
    pub(super) fn charge_memory(&mut self, key: TaskKey) {
        let entry = &self.tasks[key];
        let used = MemoryUse::of(entry);
        self.memory.used.add(used);
        self.sessions[entry.session].memory.add(used);
        self.memory.loose.push_back((key, mark_of(entry)));
    }

    /// Counts a task no more, before it changes or goes.
    pub(super) fn discharge_memory(&mut self, key: TaskKey) {
        let entry = &self.tasks[key];
        let used = MemoryUse::of(entry);
        self.memory.used.remove(used);
        let session = &mut self.sessions[entry.session];
        session.memory.remove(used);
        if session.is_held_back {
            let key = entry.session;
            self.release_if_fair(key);
        }
    }

    /// Counts a task as it is now and no more as what was counted `before` it changed.
    pub(super) fn recharge_memory(&mut self, key: TaskKey, before: MemoryUse) {
        let entry = &self.tasks[key];
        let used = MemoryUse::of(entry);
        let session = &mut self.sessions[entry.session];
        for account in [&mut self.memory.used, &mut session.memory] {
            account.add(used);
            account.remove(before);
        }
        self.memory.loose.push_back((key, mark_of(entry)));
        if session.is_held_back {
            let key = entry.session;
            self.release_if_fair(key);
        }
    }

    /// Copies the small parts of tasks that have stayed: each keeps the memory of a whole read alive.
    pub(super) fn copy_what_stays(&mut self) {
        let most = (self.limits.memory / LOOSE / READ_BYTES).min(LOOSE_MAX) as usize;
        while self.memory.loose.len() > most {
            let Some((key, mark)) = self.memory.loose.pop_front() else {
                return;
            };
            if let Some(entry) = self.tasks.get_mut(key).filter(|entry| mark_of(entry) == mark) {
                entry.task.compact();
                if let TaskState::Ended(ended) = &mut entry.state {
                    ended.outcome.compact();
                }
            }
        }
    }

    /// Memory that the shell uses besides the tasks, bytes.
    pub(super) fn on_memory_of_others(&mut self, bytes: u64) {
        self.memory.others = bytes;
    }

    /// [`Limits::memory`](super::Limits).
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        self.limits.memory
    }

    /// Bytes that are in use, of [`Limits::memory`](super::Limits).
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.memory_of_tasks() + self.memory.others
    }

    /// Bytes of tasks, outcomes and sessions.
    #[must_use]
    pub fn memory_of_tasks(&self) -> u64 {
        let others = self.collectors.len() as u64 * COLLECTOR_BYTES;
        self.memory.used.sum()
            + self.sessions.len() as u64 * SESSION_BYTES
            + others
            + self.memory_of_listings()
    }

    /// Bytes of tasks that have not ended, and of those that have, with their outcomes.
    #[must_use]
    pub fn memory_by_state(&self) -> (u64, u64) {
        (self.memory.used.tasks, self.memory.used.outcomes)
    }

    /// True if only sessions that use little are served.
    #[must_use]
    pub fn is_memory_full(&self) -> bool {
        self.memory_used() > self.limits.memory - self.limits.memory / RESERVE
    }

    /// Why a task of this session that brings `bytes` may not come in, and whether it may do so later (`rejected`) or never
    /// (`lost`).
    pub(super) fn memory_refusal(
        &mut self,
        key: SessionKey,
        bytes: u64,
        again: bool,
    ) -> Option<(Status, Report)> {
        let bytes = bytes + TASK_BYTES;
        // What was here before a restart has its place again.
        let bound = if again { self.limits.memory } else { self.memory_bound(Some(key)) };
        if self.memory_used().saturating_add(bytes) <= bound {
            return None;
        }
        if self.sessions[key].memory.sum().saturating_add(bytes) <= self.allowance() {
            return None;
        }
        Some(self.refusal(key, bytes, self.memory_bound(Some(key))))
    }

    /// Refusal of a task whose payload or blobs have found no room: blobs do not come in while memory is full.
    pub(super) fn refusal_without_room(&mut self, key: SessionKey, bytes: u64) -> (Status, Report) {
        self.refusal(key, bytes, self.memory_bound(None))
    }

    fn refusal(&mut self, key: SessionKey, bytes: u64, bound: u64) -> (Status, Report) {
        if self.never_has_room(key, bytes, bound) || self.is_stuck(key) {
            let why = format!(
                "a task of a task has no room: all that runs waits for such tasks, and nothing makes room before they end; \
                 submit fewer or smaller tasks at once, or raise --memory; {}",
                self.memory_message()
            );
            return (Status::Lost, Report::of(why));
        }
        (Status::Rejected, Report::rejected("memory_full", self.memory_message()))
    }

    /// True if there is room for `bytes` more of the client at this connection, for which the shell keeps `before`.
    #[must_use]
    pub fn has_memory_for(&self, link: ConnId, bytes: u64, before: u64) -> bool {
        let session = self.client_at(link);
        if self.memory_used().saturating_add(bytes) <= self.memory_bound(session) {
            return true;
        }
        let used = session.map_or(0, |key| self.sessions[key].memory.sum());
        used.saturating_add(before).saturating_add(bytes) <= self.allowance()
    }

    /// Bytes up to which the tasks of this session come in, whatever it uses itself.
    fn memory_bound(&self, session: Option<SessionKey>) -> u64 {
        let memory = self.limits.memory;
        let open = memory - memory / RESERVE;
        let goes_beyond = session.is_some_and(|key| self.is_waited_for_by_all(key));
        if goes_beyond { open + memory / NESTED_RESERVE } else { open }
    }

    /// True for the session of a client inside a task, while all that runs waits for such clients.
    fn is_waited_for_by_all(&self, key: SessionKey) -> bool {
        self.sessions[key].parent.is_some() && self.all_wait_for_own()
    }

    /// True if every attempt that a worker holds waits for tasks of its own.
    fn all_wait_for_own(&self) -> bool {
        self.workers
            .values()
            .all(|worker| worker.lent.len() >= worker.assigned.len() + worker.without_task.len())
    }

    /// Some task has changed its place: room may come.
    #[inline]
    pub(super) fn note_progress(&mut self) {
        self.memory.stuck_since = None;
    }

    /// True if all that runs has waited for tasks of tasks for long, and nothing has changed meanwhile.
    fn is_stuck(&mut self, key: SessionKey) -> bool {
        if !self.is_waited_for_by_all(key) {
            return false;
        }
        let now = self.now;
        now.since(*self.memory.stuck_since.get_or_insert(now)) >= STUCK_FOR
    }

    /// True if nothing that is under way makes room for a task of a task: all that has not ended waits for such tasks, and
    /// they take the memory up to `bound`. Outcomes do not count, as they may be taken.
    fn never_has_room(&self, key: SessionKey, bytes: u64, bound: u64) -> bool {
        let taken = self.memory_used() - self.memory.used.outcomes;
        self.sessions[key].parent.is_some()
            && taken.saturating_add(bytes) > bound
            && self.all_wait_for_own()
            && self.queue.len() + self.recovering == 0
            && self.sessions.values().all(|session| session.counts.delayed + session.counts.persisting == 0)
    }

    /// Returns a sentence about the use of the memory.
    #[must_use]
    pub fn memory_message(&self) -> String {
        let (tasks, outcomes) = self.memory_by_state();
        format!(
            "the manager's memory is full: {} of {} are in use (tasks {}, outcomes that were not taken {}, blobs and \
             connections {}); tasks are offered again until there is room; take outcomes, add workers, or raise --memory",
            mebibytes(self.memory_used()),
            mebibytes(self.limits.memory),
            mebibytes(tasks),
            mebibytes(outcomes),
            mebibytes(self.memory.others),
        )
    }

    /// Bytes that each session may use in any case.
    fn allowance(&self) -> u64 {
        let memory = self.limits.memory;
        (memory / RESERVE - memory / NESTED_RESERVE) / (self.sessions.len() as u64).max(1)
    }

    /// Keeps the tasks of a session from starting if memory is full and its outcomes take more than its part.
    pub(super) fn holds_back(&mut self, key: SessionKey) -> bool {
        if !self.is_memory_full()
            || self.sessions[key].memory.outcomes <= self.allowance()
            || self.is_waited_for_by_all(key)
        {
            return false;
        }
        if !std::mem::replace(&mut self.sessions[key].is_held_back, true) {
            self.memory.held_back.insert(key);
        }
        true
    }

    /// Lets the tasks of a session start again that has taken enough outcomes.
    fn release_if_fair(&mut self, key: SessionKey) {
        if self.sessions[key].memory.outcomes <= self.allowance() {
            self.sessions[key].is_held_back = false;
            self.memory.held_back.remove(&key);
            self.readmit(key);
        }
    }

    /// Lets all tasks start again once there is room, and tasks of tasks once nothing else makes room.
    pub(super) fn release_held_back(&mut self) {
        if self.memory.held_back.is_empty() {
            return;
        }
        let is_full = self.is_memory_full();
        if is_full && !self.all_wait_for_own() {
            return;
        }
        for key in std::mem::take(&mut self.memory.held_back) {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            if is_full && session.parent.is_none() {
                self.memory.held_back.insert(key);
            } else if std::mem::replace(&mut session.is_held_back, false) {
                self.readmit(key);
            }
        }
    }

    /// Forgets a session that ends.
    pub(super) fn forget_held_back(&mut self, key: SessionKey) {
        self.memory.held_back.remove(&key);
    }

    /// Panics if something is counted wrong.
    pub(super) fn assert_memory_is_counted(&self) {
        let mut all = MemoryUse::default();
        for session in self.sessions.values() {
            let mut used = MemoryUse::default();
            session.tasks.iter().for_each(|key| used.add(MemoryUse::of(&self.tasks[*key])));
            assert_eq!(used, session.memory, "the memory of a session is counted wrong");
            all.add(used);
        }
        assert_eq!(all, self.memory.used, "the memory of all tasks is counted wrong");
        let held_back = self.sessions.iter().filter(|(_, session)| session.is_held_back).count();
        assert_eq!(held_back, self.memory.held_back.len(), "a session is held back and not listed, or not");
    }
}

/// Bytes for people.
fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
