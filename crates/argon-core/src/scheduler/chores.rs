//! Work that later steps go on with, so that no step takes long.
//!
//! A session may end with a million tasks, a worker may be lost with a hundred thousand attempts, and an admin may cancel
//! everything. At one moment at most [`Limits::at_once`](super::Limits) tasks are looked at for all of this. The rest is a
//! chore, and a timer brings the next part. Chores take turns.

use std::sync::Arc;
use std::vec::IntoIter;

use argon_proto::{Flags, SessionId, TaskId};

use super::effect::Out;
use super::input::ConnId;
use super::session::Session;
use super::timers::{STEP, Timer};
use super::{Scheduler, SessionKey, WorkerKey};
use crate::time::Time;

/// Work that continues over several steps.
#[derive(Debug)]
pub(super) enum Chore {
    /// Look at the tasks of a session from this place of its list down to the first.
    Session { id: SessionId, below: usize, each: EachTask },
    /// Cancel these tasks.
    Cancel { ids: IntoIter<TaskId>, canceller: Canceller },
    /// Give up what the worker holds, unless it has come back: then it has another stamp.
    LoseWorker { key: WorkerKey, stamp: u32 },
    /// Decide about what the worker has listed, unless it has come again.
    Decide { key: WorkerKey, stamp: u32 },
    /// Go on with what waited for records that the store holds.
    Commit { up_to: u64 },
}

/// Action for each task of a session.
#[derive(Debug)]
pub(super) enum EachTask {
    /// Drops an attached task, because the session has ended, unless its client has come back with another stamp.
    Drop { stamp: u32 },
    /// Drops an attached task that its client has not named on the connection of this stamp.
    DropUnwanted { stamp: u32 },
    /// Cancels it.
    Cancel(Canceller),
}

/// Peer that cancels tasks.
#[derive(Clone, Debug)]
pub(super) struct Canceller {
    pub(super) link: ConnId,
    /// For people; empty for a client.
    pub(super) by: Arc<str>,
}

impl Scheduler {
    /// True if there is time at this moment to look at one more task. Otherwise the next step goes on.
    pub(super) fn has_time(&mut self) -> bool {
        if self.time_left == 0 {
            return false;
        }
        self.time_left -= 1;
        self.touched += 1;
        true
    }

    /// The beginning of a step. Steps of one moment share its time.
    pub(super) fn begin_step(&mut self, now: Time) {
        if now != self.now {
            self.now = now;
            self.time_left = self.limits.at_once;
            self.timers_left = self.limits.at_once;
        }
    }

    /// Tasks, timers and records that were looked at since the start. What one step adds is bounded.
    #[must_use]
    pub fn touched(&self) -> u64 {
        self.touched
    }

    /// Does as much of a chore as there is time for, and leaves the rest for later.
    pub(super) fn take_up(&mut self, now: Time, chore: Chore, out: &mut Out) {
        if let Some(rest) = self.work_at(now, chore, out) {
            self.chores.push_back(rest);
            self.timers.set(now + STEP, Timer::ChoresGoOn);
        }
    }

    /// Goes on with the chores, each in its turn.
    pub(super) fn go_on_with_chores(&mut self, now: Time, out: &mut Out) {
        for _ in 0..self.chores.len() {
            if self.time_left == 0 {
                self.timers.set(now + STEP, Timer::ChoresGoOn);
                return;
            }
            if let Some(chore) = self.chores.pop_front() {
                self.take_up(now, chore, out);
            }
        }
    }

    /// The part of a chore that is left, if any.
    fn work_at(&mut self, now: Time, chore: Chore, out: &mut Out) -> Option<Chore> {
        match chore {
            Chore::Session { id, below, each } => self.look_at_session(now, id, below, each, out),
            Chore::Cancel { mut ids, canceller } => {
                while !ids.as_slice().is_empty() {
                    if !self.has_time() {
                        return Some(Chore::Cancel { ids, canceller });
                    }
                    if let Some(key) = ids.next().and_then(|id| self.task_of(&id)) {
                        self.cancel_task(now, key, &canceller, out);
                    }
                }
                None
            }
            Chore::LoseWorker { key, stamp } => {
                let is_gone = !self.lose_part(now, key, stamp, out);
                if is_gone { None } else { Some(Chore::LoseWorker { key, stamp }) }
            }
            Chore::Decide { key, stamp } => {
                let is_left = self.decide_part(now, key, stamp, out);
                if is_left { Some(Chore::Decide { key, stamp }) } else { None }
            }
            Chore::Commit { up_to } => {
                let is_done = self.pass_committed(now, up_to, out);
                if is_done { None } else { Some(Chore::Commit { up_to }) }
            }
        }
    }

    /// Looks at the tasks of a session from the last one down: one that goes has its place taken by the last, which was
    /// looked at before.
    fn look_at_session(
        &mut self,
        now: Time,
        id: SessionId,
        mut below: usize,
        each: EachTask,
        out: &mut Out,
    ) -> Option<Chore> {
        loop {
            // Its last task takes the session along.
            let key = self.session_by_id.get(&id).copied()?;
            let session = &self.sessions[key];
            match &each {
                EachTask::Drop { stamp } | EachTask::DropUnwanted { stamp } if *stamp != session.stamp => {
                    return None;
                }
                EachTask::Drop { .. } | EachTask::DropUnwanted { .. } | EachTask::Cancel(_) => {}
            }
            below = below.min(session.tasks.len());
            if below == 0 {
                if matches!(each, EachTask::Drop { .. }) {
                    self.finish_end(key);
                }
                return None;
            }
            if !self.has_time() {
                return Some(Chore::Session { id, below, each });
            }
            below -= 1;
            let session = &self.sessions[key];
            let task = session.tasks[below];
            let entry = &self.tasks[task];
            let is_attached = !entry.is(Flags::DETACHED);
            match &each {
                EachTask::Drop { .. } if is_attached => self.drop_task(task, out),
                EachTask::DropUnwanted { .. } if is_attached && !session.has_offered(entry) => {
                    self.drop_task(task, out);
                }
                EachTask::Drop { .. } | EachTask::DropUnwanted { .. } => {}
                EachTask::Cancel(canceller) => self.cancel_task(now, task, canceller, out),
            }
        }
    }

    /// All attached tasks of a session that has ended are gone. Its detached tasks may start again.
    fn finish_end(&mut self, key: SessionKey) {
        self.sessions[key].is_ending = false;
        if self.sessions.get(key).is_some_and(Session::is_abandoned) {
            self.remove_session(key);
        } else {
            self.readmit(key);
        }
    }
}
