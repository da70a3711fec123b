//! Payloads of detached tasks that leave memory when the store holds them, and those that it cannot give back.
//!
//! The scheduler keeps a placeholder of the same length, so that credit and placement do not change. The shell reads the
//! bytes when it sends the message. A payload that it cannot read ends the task, or its result, in words.

use argon_proto::conversation::client::ToClient;
use argon_proto::{Attempt, AttemptId, Outcome, Payload, Report, Status, TaskId};

use super::effect::Out;
use super::input::ConnId;
use super::memory::MemoryUse;
use super::task::TaskState;
use super::{Scheduler, TaskKey};
use crate::time::Time;

impl Scheduler {
    /// Drops the bytes of a payload that the store holds now.
    pub(super) fn leave_to_store(&mut self, key: TaskKey) {
        let above = self.limits.stored_above;
        let entry = &mut self.tasks[key];
        let memory = MemoryUse::of(entry);
        let payload = match &mut entry.state {
            TaskState::Ended(ended) => &mut ended.outcome.payload,
            TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Assigned { .. } => &mut entry.task.payload,
        };
        if payload.len() > above {
            *payload = Payload::stored(payload.len());
        }
        self.recharge_memory(key, memory);
    }

    pub(super) fn on_arguments_unreadable(
        &mut self,
        now: Time,
        link: ConnId,
        attempt: AttemptId,
        why: &str,
        out: &mut Out,
    ) {
        let Some(worker) = self.worker_at(link) else {
            return;
        };
        if self.release_without_task(worker, attempt) {
            return;
        }
        let Some(key) = self.task_of(&attempt.task) else {
            return;
        };
        let entry = &self.tasks[key];
        if entry.worker() == Some(worker) && entry.attempt_id() == attempt {
            self.unassign(key);
            let report = Report::of(format!(
                "the task did not start: the manager cannot read its arguments from its store ({why}); submit it again"
            ));
            self.end_reported(now, key, Status::Lost, report, out);
        }
    }

    /// The outcome that replaces an unreadable one is not stored: a later manager finds the same.
    pub(super) fn on_result_unreadable(&mut self, link: ConnId, id: TaskId, why: &str, out: &mut Out) {
        let key = self.task_of(&id);
        if let Some(key) = key {
            self.discharge_memory(key);
        }
        let ended = key.and_then(|key| match &mut self.tasks[key].state {
            TaskState::Ended(ended) => Some(ended),
            TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Assigned { .. } => None,
        });
        let outcome = match ended {
            Some(ended) => {
                if ended.outcome.payload.is_stored() {
                    ended.outcome = unreadable(&ended.outcome, why);
                }
                ended.outcome.clone()
            }
            None => {
                let report = Report::of("the outcome was collected by another client, or it expired");
                Outcome::reported(id, Attempt(0), Status::Lost, 0, &report)
            }
        };
        if let Some(key) = key {
            self.charge_memory(key);
        }
        out.send_to_client(link, ToClient::Outcome(outcome));
    }
}

fn unreadable(outcome: &Outcome, why: &str) -> Outcome {
    let head = &outcome.head;
    let report = Report {
        attempt: Some(head.attempt.0),
        ..Report::of(format!(
            "the task ended ({}), but the manager cannot read its result from its store ({why}); submit it again if \
             you need the result",
            head.status.name()
        ))
    };
    Outcome::reported(head.id, head.attempt, Status::Lost, head.run_us, &report)
}
