//! Clients inside tasks: their sessions belong to an attempt, start their tasks in the turns of the session at the root, and
//! end with the attempt.

use std::cmp::Reverse;

use argon_proto::conversation::worker::{Lent, ToWorker};
use argon_proto::handshake::RefusalCode;
use argon_proto::{AttemptId, AttemptToken, SessionId, WorkerId};

use super::effect::Out;
use super::input::ConnId;
use super::on_client::{NOT_ITS_SECRET, Opening};
use super::on_submit::close;
use super::session::Session;
use super::task::TaskState;
use super::worker::WorkerRetractState;
use super::{Scheduler, SessionKey, WorkerKey};
use crate::time::Time;

/// Opening of a session from inside a task.
pub(super) struct ChildOpening {
    pub(super) opening: Opening,
    pub(super) parent: AttemptId,
    pub(super) token: AttemptToken,
    pub(super) worker: WorkerId,
}

/// State of the attempt that a client claims to run in.
enum Parent {
    /// Runs, for a task of this session.
    Runs(SessionKey),
    /// May run: its worker or its client has not come back yet.
    MayRun,
    Ended,
}

impl Scheduler {
    pub(super) fn on_child_session_opened(&mut self, now: Time, opening: ChildOpening, out: &mut Out) {
        let ChildOpening { opening, parent, token, worker } = opening;
        let (link, session) = (opening.link, opening.session);
        if self.peers.contains_key(&link) {
            return close(link, RefusalCode::Frame, "this connection has introduced itself already", out);
        }
        if session.family() != parent.task.session.family() {
            let why = "the session of a client inside a task has an id that begins with the first half of its task's";
            return close(link, RefusalCode::Frame, why, out);
        }
        if session != SessionId::of_child(session.family(), &opening.secret) {
            return close(link, RefusalCode::Session, NOT_ITS_SECRET, out);
        }
        if !self.identity.capabilities.of_worker(worker).verifies(parent, token) {
            self.totals.unproven += 1;
            let why = "the worker of this client's task has not shown that it was given the task's attempt";
            return close(link, RefusalCode::Session, why, out);
        }
        self.decide_about(now, &parent.task, out);
        let of = match self.parent_of(parent, worker) {
            Parent::Runs(of) => of,
            Parent::MayRun => {
                let why = "the task of this client is not known here yet; another try may succeed";
                return close(link, RefusalCode::Busy, why, out);
            }
            Parent::Ended => return close(link, RefusalCode::Session, PARENT_ENDED, out),
        };
        match self.child_session(session, parent, of) {
            Some(key) => {
                self.open_session(now, key, opening, out);
                self.keep_slots_for_children(self.sessions[key].root, out);
            }
            None => {
                close(link, RefusalCode::Session, "this session belongs to another client", out);
            }
        }
    }

    fn parent_of(&self, parent: AttemptId, worker: WorkerId) -> Parent {
        let Some(worker) = self.worker_by_id.get(&worker).copied() else {
            return Parent::MayRun;
        };
        if self.orphans.get(&parent.task).is_some_and(|orphan| orphan.attempt == parent) {
            return Parent::MayRun;
        }
        let Some(entry) = self.task_of(&parent.task).map(|key| &self.tasks[key]) else {
            return Parent::Ended;
        };
        match entry.state {
            TaskState::Assigned { worker: its_worker, .. }
                if its_worker == worker && entry.attempt_id() == parent =>
            {
                Parent::Runs(entry.session)
            }
            TaskState::Persisting | TaskState::Recovering => Parent::MayRun,
            TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Assigned { .. }
            | TaskState::Ended(_) => Parent::Ended,
        }
    }

    /// The session of a client inside this attempt, whose task is one of the session `of`. `None` if the id is taken.
    fn child_session(&mut self, id: SessionId, parent: AttemptId, of: SessionKey) -> Option<SessionKey> {
        let owner = self.owner_of(of).name.clone();
        let key = self.session_of(id, &owner);
        let session = &self.sessions[key];
        if session.owner != self.sessions[of].owner
            || session.parent.is_some_and(|known| known != parent)
            || key == of
            || self.root_of_family.get(&id.family()) == Some(&key)
        {
            return None;
        }
        if session.parent.is_some() {
            // Its attempt may have been given up meanwhile, and goes on after all.
            let children = self.children.entry(parent).or_default();
            if !children.contains(&key) {
                children.push(key);
            }
            return Some(key);
        }
        let (root, depth) = (self.sessions[of].root, self.sessions[of].depth.saturating_add(1));
        if root == key {
            return None;
        }
        // It may hold detached tasks that a store has kept, and clients inside its tasks may have come back before it: from
        // now on all of them start in the root's turns.
        let below = self.take_from_root(key);
        self.forget_turns(key);
        let session = &mut self.sessions[key];
        session.parent = Some(parent);
        session.nested = None;
        (session.root, session.depth) = (root, depth);
        self.children.entry(parent).or_default().push(key);
        self.sessions[root].nested.get_or_insert_default().count += 1;
        self.readmit(key);
        for child in below {
            let session = &mut self.sessions[child];
            (session.root, session.depth) = (root, session.depth.saturating_add(depth));
            self.sessions[root].nested.get_or_insert_default().count += 1;
            self.readmit(child);
        }
        Some(key)
    }

    /// Takes the sessions below a root out of its turns.
    fn take_from_root(&mut self, root: SessionKey) -> Vec<SessionKey> {
        if self.sessions[root].nested.is_none() {
            return Vec::new();
        }
        let is_below = |(key, session): &(SessionKey, &Session)| session.root == root && *key != root;
        let below: Vec<SessionKey> = self.sessions.iter().filter(is_below).map(|(key, _)| key).collect();
        below.iter().for_each(|key| self.forget_turns(*key));
        below
    }

    /// Workers give back what they hold beyond their slots when a session has its first client inside a task: from now on
    /// it is sent no work ahead, so that tasks run before those that would wait for them.
    fn keep_slots_for_children(&mut self, root: SessionKey, out: &mut Out) {
        let Some(nested) = self.sessions[root].nested.as_mut() else {
            return;
        };
        if std::mem::replace(&mut nested.was_noticed, true) {
            return;
        }
        let full: Vec<WorkerKey> = self.placement.fullest().collect();
        for key in full {
            let worker = &mut self.workers[key];
            if let (Some(link), WorkerRetractState::Possible) = (worker.link, worker.retract) {
                worker.retract = WorkerRetractState::Asked;
                let count = u32::try_from(worker.surplus()).unwrap_or(u32::MAX);
                out.send_to_worker(link, ToWorker::Recall(count));
            }
        }
    }

    /// Notes that an attempt ends, and with it the sessions of its clients.
    pub(super) fn end_children_of(&mut self, attempt: AttemptId) {
        if !self.children.is_empty()
            && let Some(children) = self.children.remove(&attempt)
        {
            self.ending_children.extend(children);
        }
    }

    /// Ends the sessions of clients whose attempts have ended, and so on below them.
    pub(super) fn end_children(&mut self, now: Time, out: &mut Out) {
        while let Some(key) = self.ending_children.pop() {
            let stamp = self.next_stamp();
            let session = &mut self.sessions[key];
            session.stamp = stamp;
            if let Some(link) = session.link.take() {
                self.peers.remove(&link);
                self.write_off_output(key, out);
                self.forget_collector(key, link);
                close(link, RefusalCode::Session, PARENT_ENDED, out);
            }
            self.end_session(now, key, out);
        }
    }

    /// A session is no child of an attempt any more.
    pub(super) fn forget_child(&mut self, parent: AttemptId, key: SessionKey) {
        if let Some(children) = self.children.get_mut(&parent) {
            children.retain(|child| *child != key);
            if children.is_empty() {
                self.children.remove(&parent);
            }
        }
        self.ending_children.retain(|child| *child != key);
    }

    /// A worker says that an attempt lends its slot, or takes it back.
    pub(super) fn on_attempt_lent(&mut self, now: Time, link: ConnId, lent: Lent, out: &mut Out) {
        let Lent { attempt, waits } = lent;
        let Some(worker) = self.worker_at(link) else {
            return;
        };
        self.decide_about(now, &attempt.task, out);
        let is_assigned = self
            .task_of(&attempt.task)
            .map(|key| &self.tasks[key])
            .is_some_and(|entry| entry.worker() == Some(worker) && entry.attempt_id() == attempt);
        if is_assigned || self.workers[worker].without_task.contains(&attempt) {
            self.set_lent(worker, attempt, waits);
        }
    }

    pub(super) fn set_lent(&mut self, key: WorkerKey, attempt: AttemptId, is_lent: bool) {
        let worker = &mut self.workers[key];
        if is_lent {
            worker.lent.insert(attempt);
        } else {
            worker.lent.remove(&attempt);
        }
        self.placement.update(key, worker);
        if let Some(task) = self.task_of(&attempt.task)
            && self.tasks[task].worker() == Some(key)
            && self.tasks[task].attempt_id() == attempt
        {
            self.set_lent_of_owner(task, is_lent);
        }
        self.note_progress();
    }

    pub(super) fn assert_children_are_mutual(&self) {
        assert!(self.ending_children.is_empty(), "the client of an attempt that has ended is still here");
        let mut count = 0;
        for (parent, children) in &self.children {
            for key in children {
                assert_eq!(self.sessions[*key].parent, Some(*parent), "a child has another parent");
                count += 1;
            }
            let entry = self.task_of(&parent.task).map(|key| &self.tasks[key]);
            let runs = entry.is_some_and(|entry| entry.worker().is_some() && entry.attempt_id() == *parent);
            assert!(runs, "the client of an attempt that does not run is still here");
        }
        let open =
            self.sessions.values().filter(|session| session.parent.is_some() && session.link.is_some());
        assert!(open.count() <= count, "a child is not listed");
        for (key, session) in self.sessions.iter() {
            if session.root != key {
                let root = &self.sessions[session.root];
                assert_eq!(root.root, session.root, "a root has a root");
                let nested = root.nested.as_ref().expect("a root of others has a list of them");
                for lane in 0..3 {
                    let is_listed = nested.waiting[lane].contains(&(Reverse(session.depth), key));
                    let must = !session.lanes[lane].is_empty() && !self.is_choked(session);
                    assert!(is_listed || !must, "a child with waiting tasks has no turn");
                }
            }
        }
        for (key, session) in self.sessions.iter().filter(|(_, session)| session.nested.is_some()) {
            let count =
                self.sessions.iter().filter(|(other, child)| child.root == key && *other != key).count();
            assert_eq!(session.nested.as_ref().map(|nested| nested.count as usize), Some(count));
        }
        for (_, worker) in self.workers.iter() {
            for attempt in &worker.lent {
                let is_assigned = worker.assigned.iter().any(|key| self.tasks[*key].attempt_id() == *attempt);
                assert!(is_assigned || worker.without_task.contains(attempt), "a slot is lent by nobody");
            }
        }
    }
}

const PARENT_ENDED: &str = "the task that this client belongs to has ended";
