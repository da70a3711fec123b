//! Waiting tasks: strict priorities with ageing. Within a priority owners take turns, then the sessions of an owner, each
//! first-in first-out.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use super::owners::Owner;
use super::resting_kinds::Rests;
use super::session::Session;
use super::task::{TaskEntry, TaskState, is_live};
use super::{OwnerKey, Scheduler, SessionKey, TaskKey};
use crate::arena::Arena;
use crate::pool::RunnerKind;
use crate::time::Time;

/// Turns of which an aged task takes at most one.
const AGED_TURNS: u32 = 4;

/// Tasks that step aside in one step at most; the next step goes on.
const LOOKS_PER_STEP: usize = 4096;

/// Kinds of workers for which is noted that nothing was found.
const NOTES_MAX: usize = 8;

/// Stale entries that a lane may hold whatever its length.
const STALE_MIN: usize = 32;

/// The order of owners in each priority, and of their sessions. Sessions of clients inside tasks have no turns of their own:
/// they take those of the session at the root. The tasks themselves wait in their session's lanes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// All owners.
    pub(super) owners: Arena<OwnerKey, Owner>,
    pub(super) rings: [VecDeque<OwnerKey>; 3],
    lengths: [usize; 3],
    turn: u32,
    /// Rests of workers for which nothing was found since something came, and whether they had a free slot.
    pub(super) nothing_for: Vec<(Rests, bool)>,
}

impl Queue {
    /// Tasks that wait.
    pub(super) fn len(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Tasks that wait, by priority.
    pub(super) fn lengths(&self) -> [usize; 3] {
        self.lengths
    }

    /// True if nothing could be taken out, though tasks of clients that take no outcomes may wait.
    pub(super) fn is_dry(&self) -> bool {
        self.rings.iter().all(VecDeque::is_empty)
    }

    /// True if a worker with these rests was looked for in the queue before, and nothing came since.
    pub(super) fn has_nothing_for(&self, rests: &Rests, has_free_slot: bool) -> bool {
        let covers = |(known, had_free_slot): &(Rests, bool)| {
            (*had_free_slot || !has_free_slot) && known.is_within(rests)
        };
        self.nothing_for.iter().any(covers)
    }

    /// Notes that nothing was found.
    pub(super) fn note_nothing_for(&mut self, rests: &Rests, had_free_slot: bool) {
        if self.nothing_for.len() >= NOTES_MAX {
            self.nothing_for.clear();
        }
        self.nothing_for.push((rests.clone(), had_free_slot));
    }
}

/// Number of further tasks that may step aside in this step.
pub(super) struct Looks(usize);

impl Default for Looks {
    fn default() -> Self {
        Self(LOOKS_PER_STEP)
    }
}

impl Looks {
    /// Counts one task; `false` if there were enough.
    pub(super) fn take(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }

    pub(super) fn are_over(&self) -> bool {
        self.0 == 0
    }
}

impl Scheduler {
    /// Puts a task into its session's lane; in front if it has waited its time before.
    pub(super) fn enqueue(&mut self, now: Time, key: TaskKey, in_front: bool) {
        let stamp = self.next_stamp();
        self.set_state(key, TaskState::Queued { since: now });
        let entry = &mut self.tasks[key];
        entry.stamp = stamp;
        let lane = entry.task.head.priority.index();
        let session_key = entry.session;
        if !self.queue.nothing_for.is_empty() {
            let kind = RunnerKind::asked_by(&entry.task);
            self.queue.nothing_for.retain(|(rests, _)| rests.has(kind));
        }
        let session = &mut self.sessions[session_key];
        if in_front {
            session.lanes[lane].push_front((key, stamp));
        } else {
            session.lanes[lane].push_back((key, stamp));
        }
        self.queue.lengths[lane] += 1;
        if session.root == session_key {
            self.queue.give_turn(session_key, session, lane, self.limits.max_running);
        } else {
            self.admit_to_turns(session_key, lane);
        }
    }

    /// Lets the tasks of a session in this priority take their turns, as after an obstacle was removed.
    fn admit_to_turns(&mut self, key: SessionKey, lane: usize) {
        let session = &self.sessions[key];
        if !session.has_waiting(lane) || self.is_choked(session) {
            return;
        }
        self.queue.nothing_for.clear();
        let (root_key, place) = (session.root, (Reverse(session.depth), key));
        let root = &mut self.sessions[root_key];
        if root_key != key {
            root.nested.get_or_insert_default().waiting[lane].insert(place);
        }
        self.queue.give_turn(root_key, root, lane, self.limits.max_running);
    }

    /// Lets all waiting tasks of a session take their turns.
    pub(super) fn readmit(&mut self, key: SessionKey) {
        (0..3).for_each(|lane| self.admit_to_turns(key, lane));
    }

    /// Takes a session out of all turns.
    pub(super) fn forget_turns(&mut self, key: SessionKey) {
        let session = &mut self.sessions[key];
        session.has_turn = [false; 3];
        let (root, place) = (session.root, (Reverse(session.depth), key));
        if root == key {
            self.queue.forget(key, session.owner);
        } else if let Some(nested) = &mut self.sessions[root].nested {
            for waiting in &mut nested.waiting {
                waiting.remove(&place);
            }
        }
    }

    /// True if no more tasks of the session start: its client's untaken outcomes reach the limit, or its part of full memory,
    /// or it is ending.
    pub(super) fn is_choked(&self, session: &Session) -> bool {
        session.untaken_bytes > self.limits.untaken_bytes || session.is_held_back || session.is_ending
    }

    /// The task whose turn it is, taken out of the queue. Without a free slot, sessions with clients inside their tasks
    /// do not get a turn: what these tasks wait for must not stand behind others at a worker.
    pub(super) fn pop_queued(&mut self, now: Time, has_free_slot: bool) -> Option<TaskKey> {
        self.pop_for(now, has_free_slot, &Rests::default(), &mut Looks::default())
    }

    /// As `pop_queued`, for a worker at which kinds rest. Tasks of these kinds step aside, as many as `looks` allows.
    #[inline]
    pub(super) fn pop_for(
        &mut self,
        now: Time,
        has_free_slot: bool,
        rests: &Rests,
        looks: &mut Looks,
    ) -> Option<TaskKey> {
        self.queue.turn = self.queue.turn.wrapping_add(1);
        if self.queue.turn.is_multiple_of(AGED_TURNS)
            && let Some(lane) = self.aged_lane(now)
            && let Some(key) = self.pop_lane(lane, has_free_slot, rests, looks)
        {
            return Some(key);
        }
        (0..3).find_map(|lane| self.pop_lane(lane, has_free_slot, rests, looks))
    }

    /// The less urgent lane whose next task has waited longest beyond the ageing limit.
    fn aged_lane(&self, now: Time) -> Option<usize> {
        let waited = |lane: usize| -> Option<Duration> {
            let owner = *self.queue.rings[lane].front()?;
            let root = *self.queue.owners[owner].rings[lane].front()?;
            let nested = self.sessions[root].nested.as_ref();
            let deepest = nested.and_then(|nested| nested.waiting[lane].first()).map(|(_, key)| *key);
            let session = &self.sessions[deepest.unwrap_or(root)];
            let aside = session
                .aside
                .as_ref()
                .and_then(|aside| aside.places(lane).find(|place| is_live(&self.tasks, **place)));
            let (key, _) = aside.or(session.lanes[lane].front())?;
            self.tasks.get(*key)?.queued_since().map(|since| now.since(since))
        };
        (1..3)
            .filter_map(|lane| Some((waited(lane)?, lane)))
            .filter(|(wait, _)| *wait >= self.limits.ageing)
            .max()
            .map(|(_, lane)| lane)
    }

    fn pop_lane(
        &mut self,
        lane: usize,
        has_free_slot: bool,
        rests: &Rests,
        looks: &mut Looks,
    ) -> Option<TaskKey> {
        for _ in 0..self.queue.rings[lane].len() {
            let owner = *self.queue.rings[lane].front()?;
            let popped = self.pop_of_owner(owner, lane, has_free_slot, rests, looks);
            self.queue.end_turn(owner, lane);
            if popped.is_some() || looks.are_over() {
                return popped;
            }
        }
        None
    }

    /// The next task of an owner, whose turn this is.
    #[inline]
    fn pop_of_owner(
        &mut self,
        owner: OwnerKey,
        lane: usize,
        has_free_slot: bool,
        rests: &Rests,
        looks: &mut Looks,
    ) -> Option<TaskKey> {
        for _ in 0..self.queue.owners[owner].rings[lane].len() {
            if looks.are_over() {
                return None;
            }
            let root_key = self.queue.owners[owner].rings[lane].pop_front()?;
            let root = &mut self.sessions[root_key];
            if root.nested.is_some() && !has_free_slot {
                self.queue.owners[owner].rings[lane].push_back(root_key);
                continue;
            }
            root.has_turn[lane] = false;
            if root.nested.is_some()
                && let Some(key) = self.pop_nested(root_key, lane, rests, looks)
            {
                return Some(key);
            }
            if let Some(key) = self.pop_own(root_key, lane, rests, looks) {
                return Some(key);
            }
            // Nothing for this worker, but perhaps for others.
            self.keep_turn(root_key, lane);
        }
        None
    }

    /// The next task of a session itself, whose turn this is. It has the next turn if more waits.
    fn pop_own(&mut self, key: SessionKey, lane: usize, rests: &Rests, looks: &mut Looks) -> Option<TaskKey> {
        if self.is_choked(&self.sessions[key]) || self.holds_back(key) {
            // Readmitted when the client has taken enough.
            return None;
        }
        let session = &mut self.sessions[key];
        let task = take_first(&mut self.tasks, session, lane, rests, looks)?;
        self.queue.lengths[lane] -= 1;
        if session.nested.is_some() {
            // Clients inside its tasks may wait, whose tasks are not for this worker.
            self.keep_turn(key, lane);
        } else if session.has_waiting(lane) {
            self.queue.give_turn(key, session, lane, self.limits.max_running);
        }
        Some(task)
    }

    /// The next task of the deepest session below a root, whose turn this is.
    fn pop_nested(
        &mut self,
        root_key: SessionKey,
        lane: usize,
        rests: &Rests,
        looks: &mut Looks,
    ) -> Option<TaskKey> {
        let mut seen = Unbounded;
        loop {
            let nested = self.sessions[root_key].nested.as_ref()?;
            let place = *nested.waiting[lane].range((seen, Unbounded)).next()?;
            seen = Excluded(place);
            let is_choked = self.is_choked(&self.sessions[place.1]) || self.holds_back(place.1);
            let session = &mut self.sessions[place.1];
            let popped =
                if is_choked { None } else { take_first(&mut self.tasks, session, lane, rests, looks) };
            let is_done = is_choked || !session.has_waiting(lane);
            if is_done && let Some(nested) = self.sessions[root_key].nested.as_mut() {
                nested.waiting[lane].remove(&place);
            }
            if popped.is_some() {
                self.queue.lengths[lane] -= 1;
                self.keep_turn(root_key, lane);
                return popped;
            }
            if looks.are_over() {
                return None;
            }
        }
    }

    /// Gives a root, whose turn this was, the next turn if something waits for it.
    fn keep_turn(&mut self, root_key: SessionKey, lane: usize) {
        let root = &self.sessions[root_key];
        let nested_wait = root.nested.as_ref().is_some_and(|nested| !nested.waiting[lane].is_empty());
        if nested_wait || root.has_waiting(lane) && !self.is_choked(root) {
            self.queue.give_turn(root_key, &mut self.sessions[root_key], lane, self.limits.max_running);
        }
    }

    /// Takes a waiting task out of its lane; the caller sets its state. Entries in the middle of a lane stay, but never
    /// more of them than of live ones.
    pub(super) fn leave_queue(&mut self, key: TaskKey) {
        self.set_state(key, TaskState::Delayed);
        let entry = &self.tasks[key];
        let lane = entry.task.head.priority.index();
        let session = &mut self.sessions[entry.session];
        self.queue.lengths[lane] -= 1;
        if std::mem::take(&mut self.tasks[key].is_aside) {
            return session.forget_aside(&self.tasks);
        }
        session.stale[lane] += 1;
        if session.stale[lane] > STALE_MIN.max(session.lanes[lane].len() / 2) {
            session.lanes[lane].retain(|place| is_live(&self.tasks, *place));
            session.stale[lane] = 0;
        }
        trim(&self.tasks, session, lane);
    }
}

/// The first task of a session in a priority that a worker with these rests can start, taken out. Those before it step aside.
#[inline]
fn take_first(
    tasks: &mut Arena<TaskKey, TaskEntry>,
    session: &mut Session,
    lane: usize,
    rests: &Rests,
    looks: &mut Looks,
) -> Option<TaskKey> {
    if rests.is_empty() && session.aside.is_none() {
        let (key, _) = session.lanes[lane].pop_front()?;
        trim(tasks, session, lane);
        return Some(key);
    }
    take_around_rests(tasks, session, lane, rests, looks)
}

#[cold]
fn take_around_rests(
    tasks: &mut Arena<TaskKey, TaskEntry>,
    session: &mut Session,
    lane: usize,
    rests: &Rests,
    looks: &mut Looks,
) -> Option<TaskKey> {
    if let Some(key) = session.pop_aside(tasks, lane, rests) {
        tasks[key].is_aside = false;
        return Some(key);
    }
    while let Some(place) = session.lanes[lane].pop_front() {
        trim(tasks, session, lane);
        if rests.is_empty() {
            return Some(place.0);
        }
        let entry = &mut tasks[place.0];
        let kind = RunnerKind::asked_by(&entry.task);
        if !rests.has(kind) {
            return Some(place.0);
        }
        entry.is_aside = true;
        session.aside.get_or_insert_default().push(lane, kind, place);
        if !looks.take() {
            return None;
        }
    }
    None
}

/// Keeps a live task in front of a lane, so that who looks there sees what comes next.
fn trim(tasks: &Arena<TaskKey, TaskEntry>, session: &mut Session, lane: usize) {
    while let Some(place) = session.lanes[lane].front()
        && !is_live(tasks, *place)
    {
        session.lanes[lane].pop_front();
        session.stale[lane] -= 1;
    }
}
