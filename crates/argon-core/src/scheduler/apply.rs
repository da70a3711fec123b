//! The only writer of which tasks exist and how they ended; recovery replays records through here.

use crate::arena::Arena;
use argon_proto::holder::OwnerName;
use argon_proto::{Attempt, Outcome, SessionId, Task};

use super::effect::Out;
use super::kept::{attempt_of, kept_weight};
use super::memory::MemoryUse;
use super::on_submit::release_blobs;
use super::owners::class;
use super::past::UNKNOWN;
use super::record::Record;
use super::session::Session;
use super::task::{Ended, Origin, TaskEntry, TaskState};
use super::task_index::TaskIndex;
use super::timers::Timer;
use super::{OnDurable, Persisting, Scheduler, SessionKey, TaskKey, place_of};
use crate::time::Time;

/// Number of tasks for which room is kept when there is none.
const ROOM_KEPT: usize = 1024;

impl Scheduler {
    /// Replays the durable records of an earlier life, before the first step. Tasks that had not ended wait for a
    /// worker that may still run them, as tasks that a client offers again do.
    pub fn recover(&mut self, now: Time, records: impl IntoIterator<Item = Record>) {
        for record in records {
            match record {
                Record::TaskAccepted(task, owner) => {
                    let session = self.session_of(task.head.id.session, &owner);
                    let key = self.insert_task(session, task, false);
                    self.tasks[key].is_durable = true;
                    self.tasks[key].submitted = UNKNOWN;
                    self.expect_holder(now, key);
                }
                Record::AttemptStarted(attempt) => {
                    if let Some(key) = self.task_of(&attempt.task) {
                        let entry = &mut self.tasks[key];
                        entry.task.head.attempt = attempt.attempt;
                        entry.last = attempt.attempt;
                    }
                }
                Record::TaskEnded(outcome) => {
                    // Written again after a refusal, an end may be there twice: the first one may have been sent.
                    if let Some(key) = self.task_of(&outcome.head.id)
                        && !self.tasks[key].is_ended()
                    {
                        self.await_no_holder(key);
                        self.set_ended(key, outcome, true);
                        self.expire_later(now, key);
                    }
                }
                Record::TaskForgotten(id) => {
                    if let Some(key) = self.task_of(&id) {
                        self.await_no_holder(key);
                        self.remove_task(key, &mut Out::default());
                    }
                }
            }
        }
    }

    /// The session of this id, made without a client for this owner if there is none.
    pub(super) fn session_of(&mut self, id: SessionId, owner: &OwnerName) -> SessionKey {
        if let Some(key) = self.session_by_id.get(&id) {
            return *key;
        }
        let name = owner;
        let owner = self.owner_of_name(name);
        let key = self.sessions.insert_with(|key| Session::new(id, (owner, name), key));
        self.queue.owners[owner].sessions += 1;
        self.session_by_id.insert(id, key);
        key
    }

    /// Makes a task known, which its client has `offered` and was charged for, or the store held. Its state is `Persisting`
    /// until the caller says otherwise.
    pub(super) fn insert_task(&mut self, session: SessionKey, task: Task, offered: bool) -> TaskKey {
        let id = task.head.id;
        let of = &mut self.sessions[session];
        of.counts.add(&TaskState::Persisting, task.head.runtime);
        self.queue.owners[of.owner].counts[class(&TaskState::Persisting)] += 1;
        let stamp = of.stamp;
        let tasks = &mut of.tasks;
        let entry = TaskEntry {
            session,
            session_place: place_of(tasks.len()),
            state: TaskState::Persisting,
            stamp: 0,
            last: Attempt(0),
            origin: Origin::Sent,
            offered_at: if offered { stamp } else { 0 },
            is_durable: false,
            is_aside: false,
            is_lent: false,
            submitted: self.now,
            cold: None,
            task,
        };
        let key = self.tasks.insert(entry);
        tasks.push(key);
        self.charge_memory(key);
        self.task_by_id.insert(key, &id, |key| self.tasks[key].task.head.id);
        key
    }

    /// Keeps the outcome; the caller has taken the task from queue and worker before.
    pub(super) fn set_ended(&mut self, key: TaskKey, outcome: Outcome, durable: bool) {
        self.note_end(key, &outcome);
        let stamp = self.next_stamp();
        let entry = &mut self.tasks[key];
        let memory = MemoryUse::of(entry);
        assert!(!entry.is_ended(), "a task ends once: {:?}", entry.attempt_id());
        let weight = entry.weight();
        entry.stamp = stamp;
        // Nobody will start it again: its arguments need not be kept.
        entry.task.payload = argon_proto::Payload::default();
        let outcome_weight = outcome.weight();
        let ended = Ended { outcome, durable, expires: None, weight, outcome_weight, keeper: None };
        let ended = self.spare_ends.fill(ended);
        self.set_state(key, TaskState::Ended(ended));
        self.recharge_memory(key, memory);
    }

    /// Moves a task to another state, and counts it there for its session.
    pub(super) fn set_state(&mut self, key: TaskKey, state: TaskState) {
        self.touched += 1;
        if self.tasks[key].is_lent {
            self.set_lent_of_owner(key, false);
        }
        self.note_progress();
        let entry = &mut self.tasks[key];
        let session = &mut self.sessions[entry.session];
        session.counts.remove(&entry.state, entry.task.head.runtime);
        session.counts.add(&state, entry.task.head.runtime);
        let (owner, from, to) = (session.owner, class(&entry.state), class(&state));
        entry.state = state;
        self.move_in_owner(owner, from, to);
    }

    /// Forgets a task that is neither queued nor assigned, and lets the worker forget its outcome.
    pub(super) fn remove_task(&mut self, key: TaskKey, out: &mut Out) {
        self.note_progress();
        self.discharge_memory(key);
        let entry = self.tasks.remove(key);
        self.task_by_id.remove(key, &entry.task.head.id);
        if let Some(ended) = entry.ended() {
            if let Some(keeper) = ended.keeper {
                self.settle_with(keeper, (key, entry.stamp), attempt_of(ended), kept_weight(ended));
            }
            if let Some(at) = ended.expires {
                self.timers.cancel(at, Timer::ResultExpiry(key, entry.stamp));
            }
        }
        let session = &mut self.sessions[entry.session];
        session.counts.remove(&entry.state, entry.task.head.runtime);
        self.queue.owners[session.owner].counts[class(&entry.state)] -= 1;
        session.tasks.swap_remove(entry.session_place as usize);
        if let Some(moved) = session.tasks.get(entry.session_place as usize) {
            self.tasks[*moved].session_place = entry.session_place;
        }
        release_blobs(&entry.task, out);
        if let TaskState::Ended(ended) = entry.state {
            self.spare_ends.put(ended);
        }
        if session.is_abandoned() {
            self.remove_session(entry.session);
        }
        if self.tasks.is_empty() {
            self.make_anew();
        }
    }

    /// After many tasks have come and gone, the free places are in no order. New tasks would be spread over memory, and the
    /// most that there ever were would keep their room.
    fn make_anew(&mut self) {
        if self.tasks.capacity() > ROOM_KEPT {
            self.tasks = Arena::default();
            self.task_by_id = TaskIndex::default();
        } else {
            self.tasks.clear();
        }
    }

    /// Forgets a session that has no tasks and no client, and its root if that is abandoned then.
    pub(super) fn remove_session(&mut self, key: SessionKey) {
        self.forget_turns(key);
        self.forget_held_back(key);
        let session = self.sessions.remove(key);
        self.session_by_id.remove(&session.id);
        self.leave_owner(session.owner);
        if self.root_of_family.get(&session.id.family()) == Some(&key) {
            self.root_of_family.remove(&session.id.family());
        }
        if let Some(parent) = session.parent {
            self.forget_child(parent, key);
        }
        if session.root == key {
            return;
        }
        let root = &mut self.sessions[session.root];
        if let Some(nested) = &mut root.nested {
            nested.count -= 1;
        }
        if root.is_abandoned() {
            self.remove_session(session.root);
        }
    }

    /// Hands a record to the store and remembers what waits for it.
    pub(super) fn write(&mut self, record: Record, on_durable: OnDurable, out: &mut Out) {
        let id = match &record {
            Record::TaskAccepted(task, _) => task.head.id,
            Record::AttemptStarted(attempt) => attempt.task,
            Record::TaskEnded(outcome) => outcome.head.id,
            Record::TaskForgotten(id) => *id,
        };
        self.records_written += 1;
        self.persisting.push_back(Persisting { number: self.records_written, id, on_durable });
        out.records.push(record);
    }

    pub(super) fn expire_later(&mut self, now: Time, key: TaskKey) {
        let at = now + self.limits.result_ttl;
        let entry = &mut self.tasks[key];
        if let TaskState::Ended(ended) = &mut entry.state {
            ended.expires = Some(at);
            self.timers.set(at, Timer::ResultExpiry(key, entry.stamp));
        }
    }
}
