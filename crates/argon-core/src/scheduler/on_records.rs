//! The store answered: what waited for its records goes on, or is taken back.

use argon_proto::conversation::client::ToClient;
use argon_proto::{Flags, Report, TaskId};

use super::chores::Chore;
use super::effect::Out;
use super::record::Record;
use super::task::{Origin, TaskState};
use super::{OnDurable, Scheduler, TaskKey};
use crate::time::Time;

impl Scheduler {
    pub(super) fn on_records_committed(&mut self, now: Time, up_to: u64, out: &mut Out) {
        self.durable_up_to = up_to;
        self.take_up(now, Chore::Commit { up_to }, out);
    }

    /// Goes on with what waited for records that the store holds. False if the rest has to wait for its turn.
    pub(super) fn pass_committed(&mut self, now: Time, up_to: u64, out: &mut Out) -> bool {
        while self.persisting.front().is_some_and(|stored| stored.number <= up_to) {
            if !self.has_time() {
                return false;
            }
            self.pass_one(now, out);
        }
        true
    }

    fn pass_one(&mut self, now: Time, out: &mut Out) {
        let Some(stored) = self.persisting.pop_front() else {
            return;
        };
        match stored.on_durable {
            OnDurable::Accept { again, .. } => self.on_accept_durable(now, stored.id, again, out),
            OnDurable::Start(stamp) => self.on_start_durable(stored.id, stamp, out),
            OnDurable::End => self.on_end_durable(stored.id, out),
            OnDurable::Forget => {}
        }
    }

    fn on_accept_durable(&mut self, now: Time, id: TaskId, again: bool, out: &mut Out) {
        let Some(key) = self.task_of(&id) else {
            return;
        };
        let entry = &mut self.tasks[key];
        entry.is_durable = true;
        let (session, weight) = (entry.session, entry.weight());
        if !self.tasks[key].is_ended() {
            self.leave_to_store(key);
        }
        if let Some(link) = self.offered_on(key) {
            let ticket = self.identity.capabilities.ticket(id);
            out.send_to_client(link, ToClient::Accepted(vec![ticket]));
            self.refund(session, weight);
        }
        match &self.tasks[key].state {
            TaskState::Persisting => self.admit(now, key, again, out),
            // It was cancelled meanwhile.
            TaskState::Ended(ended) => {
                let record = Record::TaskEnded(ended.outcome.clone());
                self.write(record, OnDurable::End, out);
            }
            TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Assigned { .. } => {}
        }
    }

    fn on_start_durable(&mut self, id: TaskId, stamp: u32, out: &mut Out) {
        // What another worker lists of it is stopped before the attempt begins.
        self.decide_about(self.now, &id, out);
        let key = self.task_of(&id);
        if let Some(key) = key.filter(|key| self.tasks[*key].stamp == stamp) {
            let leaves = |worker| self.workers[worker].draining;
            if self.tasks[key].worker().is_some_and(leaves) {
                return self.requeue_unstarted(self.now, key, out);
            }
            self.send_run(key, out);
            let has_link = |worker| self.workers[worker].link.is_some();
            if self.tasks[key].worker().is_some_and(has_link) {
                self.tasks[key].origin = Origin::Sent;
            }
        }
    }

    fn on_end_durable(&mut self, id: TaskId, out: &mut Out) {
        let Some(key) = self.task_of(&id) else {
            return;
        };
        if let TaskState::Ended(ended) = &mut self.tasks[key].state {
            ended.durable = true;
            self.settle(key);
            self.leave_to_store(key);
            self.deliver(key, out);
        }
    }

    /// True if the store does not hold a task yet that waits for this, or was cancelled meanwhile. Its client may have taken
    /// that outcome and have submitted another task under the same id, which may be with a worker.
    fn awaits_acceptance(&self, key: TaskKey) -> bool {
        let entry = &self.tasks[key];
        let waits = matches!(entry.state, TaskState::Persisting | TaskState::Ended(_));
        waits && entry.is(Flags::DETACHED) && !entry.is_durable
    }

    /// The store is full or failing: what was not accepted yet is rejected, and what happened is stored again.
    pub(super) fn on_records_refused(&mut self, now: Time, up_to: u64, why: &str, out: &mut Out) {
        // Those before them are durable.
        while self.persisting.front().is_some_and(|stored| stored.number <= self.durable_up_to) {
            self.pass_one(now, out);
        }
        let count = self.persisting.partition_point(|stored| stored.number <= up_to);
        let refused = self.persisting.drain(..count);
        let (forgotten, others): (Vec<_>, Vec<_>) =
            refused.partition(|stored| matches!(stored.on_durable, OnDurable::Forget));
        let mut forgotten: Vec<TaskId> = forgotten.into_iter().map(|stored| stored.id).collect();
        for stored in others {
            let key = self.task_of(&stored.id);
            if matches!(stored.on_durable, OnDurable::Accept { replaces: true, .. }) {
                forgotten.push(stored.id);
            }
            match (stored.on_durable, key) {
                (OnDurable::Accept { .. }, Some(key)) if self.awaits_acceptance(key) => {
                    let report = Report::rejected(
                        "store_full",
                        format!(
                            "the task could not be stored durably ({why}); make room there or start the manager with \
                             another --store, and try again later"
                        ),
                    );
                    let link = self.offered_on(key);
                    let entry = &self.tasks[key];
                    // A task that was cancelled meanwhile has no payload any more, but was charged for it.
                    let (session, charged) = (entry.session, entry.weight());
                    let task = entry.task.clone();
                    self.remove_task(key, &mut Out::default());
                    self.reject(session, link, &task, charged, report, out);
                }
                (OnDurable::Start(stamp), Some(key)) if self.tasks[key].stamp == stamp => {
                    let record = Record::AttemptStarted(self.tasks[key].attempt_id());
                    self.write(record, OnDurable::Start(stamp), out);
                }
                (OnDurable::End, Some(key)) => {
                    if let Some(ended) = self.tasks[key].ended() {
                        let record = Record::TaskEnded(ended.outcome.clone());
                        self.write(record, OnDurable::End, out);
                    }
                }
                (OnDurable::End, None)
                | (OnDurable::Accept { .. } | OnDurable::Start(_) | OnDurable::Forget, _) => {}
            }
        }
        // Last: a client may have submitted the id again, which was rejected first.
        for id in forgotten {
            self.forget_again(id, out);
        }
    }

    /// The store was to forget a task and refused. If its client has submitted the id again, the store replaces it or, when
    /// it refuses that, forgets it then.
    fn forget_again(&mut self, id: TaskId, out: &mut Out) {
        if self.task_of(&id).is_none_or(|key| !self.tasks[key].is(Flags::DETACHED)) {
            return self.write(Record::TaskForgotten(id), OnDurable::Forget, out);
        }
        for stored in self.persisting.iter_mut().filter(|stored| stored.id == id) {
            if let OnDurable::Accept { replaces, .. } = &mut stored.on_durable {
                *replaces = true;
            }
        }
    }
}
