//! The store answered: what waited for its records goes on, or is taken back.

use argon_proto::conversation::client::ToClient;
use argon_proto::{AttemptId, Report, TaskId};

use super::effect::Out;
use super::record::Record;
use super::task::State;
use super::{Awaits, Scheduler, WorkerKey};
use crate::time::Time;

impl Scheduler {
    pub(super) fn on_records_committed(&mut self, now: Time, up_to: u64, out: &mut Out) {
        while let Some(stored) = self.storing.pop_front_if(|stored| stored.number <= up_to) {
            match stored.awaits {
                Awaits::Accept => self.on_accept_durable(now, stored.id, out),
                Awaits::Start(stamp) => self.on_start_durable(stored.id, stamp, out),
                Awaits::End(settles) => self.on_end_durable(stored.id, settles, out),
                Awaits::Forget => {}
            }
        }
    }

    fn on_accept_durable(&mut self, now: Time, id: TaskId, out: &mut Out) {
        let Some(key) = self.task_of(&id) else {
            return;
        };
        let entry = &mut self.tasks[key.index()];
        entry.is_durable = true;
        let (session, weight) = (entry.session, entry.weight());
        if let Some(link) = self.offered_on(key) {
            out.send_to_client(link, ToClient::Accepted(vec![id]));
            self.refund(session, weight);
        }
        match &self.tasks[key.index()].state {
            State::Storing => self.settle_in(now, key, false, out),
            // It was cancelled meanwhile.
            State::Ended(ended) => {
                let record = Record::TaskEnded(ended.outcome.clone());
                self.write(record, Awaits::End(None), out);
            }
            State::Recovering | State::Queued { .. } | State::Delayed | State::Assigned { .. } => {}
        }
    }

    fn on_start_durable(&mut self, id: TaskId, stamp: u32, out: &mut Out) {
        let key = self.task_of(&id);
        if let Some(key) = key.filter(|key| self.tasks[key.index()].stamp == stamp) {
            self.send_run(key, out);
        }
    }

    fn on_end_durable(&mut self, id: TaskId, settles: Option<(WorkerKey, AttemptId)>, out: &mut Out) {
        let Some(key) = self.task_of(&id) else {
            return;
        };
        if let State::Ended(ended) = &mut self.tasks[key.index()].state {
            ended.durable = true;
            if let Some((worker, attempt)) = settles {
                let weight = ended.outcome.weight();
                self.settle(worker, attempt, weight);
            }
            self.deliver(key, out);
        }
    }

    /// The store is full or failing: what was not accepted yet is rejected, what happened is told to it again.
    pub(super) fn on_records_refused(&mut self, up_to: u64, why: &str, out: &mut Out) {
        let count = self.storing.partition_point(|stored| stored.number <= up_to);
        let refused: Vec<_> = self.storing.drain(..count).collect();
        for stored in refused {
            let key = self.task_of(&stored.id);
            match (stored.awaits, key) {
                (Awaits::Accept, Some(key)) => {
                    let report = Report::rejected(
                        "store_full",
                        format!(
                            "the task could not be stored durably ({why}); make room there or start the manager with \
                             another --store, and try again later"
                        ),
                    );
                    let link = self.offered_on(key);
                    let entry = &self.tasks[key.index()];
                    // A task that was cancelled meanwhile has no payload any more, but was charged for it.
                    let (session, charged) = (entry.session, entry.weight());
                    let task = entry.task.clone();
                    self.remove_task(key, &mut Out::default());
                    self.reject(session, link, &task, charged, report, out);
                }
                (Awaits::Start(stamp), Some(key)) if self.tasks[key.index()].stamp == stamp => {
                    let record = Record::AttemptStarted(self.tasks[key.index()].attempt_id());
                    self.write(record, Awaits::Start(stamp), out);
                }
                (Awaits::End(settles), Some(key)) => {
                    if let Some(ended) = self.tasks[key.index()].ended() {
                        let record = Record::TaskEnded(ended.outcome.clone());
                        self.write(record, Awaits::End(settles), out);
                    }
                }
                (Awaits::Forget, None) => {
                    self.write(Record::TaskForgotten(stored.id), Awaits::Forget, out);
                }
                (Awaits::Accept | Awaits::End(_), None) | (Awaits::Start(_) | Awaits::Forget, _) => {}
            }
        }
    }
}
