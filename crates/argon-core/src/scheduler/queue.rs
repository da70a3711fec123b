//! What waits: strict priorities with ageing; within a priority sessions take turns, each first-in first-out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::arena::Arena;

use super::session::Session;
use super::task::{TaskEntry, TaskState};
use super::{Scheduler, SessionKey, TaskKey};
use crate::time::Time;

/// An aged task takes at most one turn in so many.
const AGED_TURNS: u32 = 4;

/// Stale entries that a lane may hold whatever its length.
const STALE_MIN: usize = 32;

/// The order of sessions in each priority. The tasks themselves wait in their session's lanes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    rings: [VecDeque<SessionKey>; 3],
    lengths: [usize; 3],
    turn: u32,
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

    /// Whether nothing could be taken out, though tasks of clients that take no outcomes may wait.
    pub(super) fn is_dry(&self) -> bool {
        self.rings.iter().all(VecDeque::is_empty)
    }

    /// Puts a session into the rings of its lanes that are not empty, as after an obstacle was removed.
    pub(super) fn readmit(&mut self, key: SessionKey, session: &mut Session) {
        for lane in 0..3 {
            if !session.lanes[lane].is_empty() {
                self.give_turn(key, session, lane);
            }
        }
    }

    fn give_turn(&mut self, key: SessionKey, session: &mut Session, lane: usize) {
        if !std::mem::replace(&mut session.has_turn[lane], true) {
            self.rings[lane].push_back(key);
        }
    }

    /// Whether the session has its turn in each priority in which it has tasks.
    pub(super) fn admits(&self, key: SessionKey, session: &Session) -> bool {
        (0..3).all(|lane| {
            let has_turn = self.rings[lane].contains(&key);
            has_turn == session.has_turn[lane] && (has_turn || session.lanes[lane].is_empty())
        })
    }

    /// Takes a session out of all rings.
    pub(super) fn forget_session(&mut self, key: SessionKey) {
        self.rings.iter_mut().for_each(|ring| ring.retain(|other| *other != key));
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
        let session = &mut self.sessions[session_key];
        if in_front {
            session.lanes[lane].push_front((key, stamp));
        } else {
            session.lanes[lane].push_back((key, stamp));
        }
        self.queue.lengths[lane] += 1;
        self.queue.give_turn(session_key, session, lane);
    }

    /// The task whose turn it is, taken out of the queue.
    pub(super) fn pop_queued(&mut self, now: Time) -> Option<TaskKey> {
        self.queue.turn = self.queue.turn.wrapping_add(1);
        if self.queue.turn.is_multiple_of(AGED_TURNS)
            && let Some(lane) = self.aged_lane(now)
            && let Some(key) = self.pop_lane(lane)
        {
            return Some(key);
        }
        (0..3).find_map(|lane| self.pop_lane(lane))
    }

    /// The less urgent lane whose next task has waited longest beyond the ageing limit.
    fn aged_lane(&self, now: Time) -> Option<usize> {
        let waited = |lane: usize| -> Option<Duration> {
            let session = self.queue.rings[lane].front()?;
            let (key, _) = self.sessions[*session].lanes[lane].front()?;
            queued_since(self.tasks.get(*key)?).map(|since| now.since(since))
        };
        (1..3)
            .filter_map(|lane| Some((waited(lane)?, lane)))
            .filter(|(wait, _)| *wait >= self.limits.ageing)
            .max()
            .map(|(_, lane)| lane)
    }

    fn pop_lane(&mut self, lane: usize) -> Option<TaskKey> {
        while let Some(session_key) = self.queue.rings[lane].pop_front() {
            let session = &mut self.sessions[session_key];
            session.has_turn[lane] = false;
            if session.untaken_bytes > self.limits.untaken_bytes {
                // Readmitted when the client has taken enough.
                continue;
            }
            if let Some((key, _)) = session.lanes[lane].pop_front() {
                self.queue.lengths[lane] -= 1;
                trim(&self.tasks, session, lane);
                if !session.lanes[lane].is_empty() {
                    self.queue.give_turn(session_key, session, lane);
                }
                return Some(key);
            }
        }
        None
    }

    /// Takes a waiting task out of its lane; the caller sets its state. Entries in the middle of a lane stay, but never
    /// more of them than of live ones.
    pub(super) fn leave_queue(&mut self, key: TaskKey) {
        self.set_state(key, TaskState::Delayed);
        let entry = &self.tasks[key];
        let lane = entry.task.head.priority.index();
        let session = &mut self.sessions[entry.session];
        session.stale[lane] += 1;
        self.queue.lengths[lane] -= 1;
        if session.stale[lane] > STALE_MIN.max(session.lanes[lane].len() / 2) {
            session.lanes[lane].retain(|place| is_live(&self.tasks, *place));
            session.stale[lane] = 0;
        }
        trim(&self.tasks, session, lane);
    }
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

pub(super) fn is_live(tasks: &Arena<TaskKey, TaskEntry>, (key, stamp): (TaskKey, u32)) -> bool {
    tasks.get(key).is_some_and(|entry| entry.stamp == stamp && queued_since(entry).is_some())
}

fn queued_since(entry: &TaskEntry) -> Option<Time> {
    match entry.state {
        TaskState::Queued { since } => Some(since),
        TaskState::Persisting
        | TaskState::Recovering
        | TaskState::Delayed
        | TaskState::Assigned { .. }
        | TaskState::Ended(_) => None,
    }
}
