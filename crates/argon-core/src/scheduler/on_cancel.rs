//! Tasks are cancelled: by their client, or by somebody else who may. What a cancel would do is told before it is done.

use argon_proto::conversation::client::ToClient;
use argon_proto::handshake::RefusalCode;
use argon_proto::{Attempt, Outcome, Report, Status, Task, TaskId, Ticket};

use super::effect::Out;
use super::input::ConnId;
use super::on_submit::{close, release_blobs};
use super::task::TaskState;
use super::{Scheduler, SessionKey};
use crate::time::Time;

/// Shortest beginning of an id that names a task.
const PREFIX_DIGITS: usize = 8;

/// What becomes of a task that is cancelled now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cancelled {
    /// It does not start any more.
    Waiting,
    /// It is with this worker, which ends its runner.
    Running {
        /// The worker's name.
        worker: String,
    },
    /// It had ended so before.
    Ended(Status),
    /// No such task is known here.
    Unknown,
}

/// Tasks that a text names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NamedTasks {
    /// This one.
    One(TaskId),
    /// None.
    Unknown,
    /// A number of tasks.
    Several(usize),
}

impl Scheduler {
    /// What [`Input::CancelRequested`](super::Input::CancelRequested) would do to a task now.
    #[must_use]
    pub fn if_cancelled(&self, id: TaskId) -> Cancelled {
        let Some(key) = self.task_of(&id) else {
            return Cancelled::Unknown;
        };
        match &self.tasks[key].state {
            TaskState::Persisting | TaskState::Recovering | TaskState::Queued { .. } | TaskState::Delayed => {
                Cancelled::Waiting
            }
            TaskState::Assigned { worker, .. } => {
                Cancelled::Running { worker: self.workers[*worker].profile.name.clone() }
            }
            TaskState::Ended(ended) => Cancelled::Ended(ended.outcome.head.status),
        }
    }

    /// The tasks whose ids begin with these hexadecimal digits. Costs time in proportion to the tasks.
    #[must_use]
    pub fn tasks_named(&self, prefix: &str) -> NamedTasks {
        if let Ok(id) = prefix.parse::<TaskId>() {
            return if self.task_of(&id).is_some() { NamedTasks::One(id) } else { NamedTasks::Unknown };
        }
        if prefix.len() < PREFIX_DIGITS {
            return NamedTasks::Unknown;
        }
        let prefix = prefix.to_ascii_lowercase();
        let mut found = None;
        let mut count = 0;
        for entry in self.tasks.values() {
            let id = entry.task.head.id;
            if id.to_string().starts_with(&prefix) {
                count += 1;
                found = Some(id);
            }
        }
        match (found, count) {
            (Some(id), 1) => NamedTasks::One(id),
            (Some(_), several) => NamedTasks::Several(several),
            (None, _) => NamedTasks::Unknown,
        }
    }

    /// The tasks that have not ended.
    #[must_use]
    pub fn unfinished(&self) -> Vec<TaskId> {
        let unfinished = self.tasks.iter().filter(|(_, entry)| !entry.is_ended());
        unfinished.map(|(_, entry)| entry.task.head.id).collect()
    }

    pub(super) fn on_own_tasks_cancelled(
        &mut self,
        now: Time,
        link: ConnId,
        mut ids: Vec<TaskId>,
        out: &mut Out,
    ) {
        let own = self.client_at(link).map(|key| self.sessions[key].id);
        ids.retain(|id| Some(id.session) == own);
        self.on_cancel_requested(now, link, &ids, "", out);
    }

    /// True if a task is one of the session of the client at this connection, which needs no ticket for it.
    #[must_use]
    pub fn is_own(&self, link: ConnId, id: TaskId) -> bool {
        self.client_at(link).is_some_and(|key| self.sessions[key].id == id.session)
    }

    /// True if managers with this manager's key have given the ticket to somebody.
    #[must_use]
    pub fn verifies(&self, ticket: &Ticket) -> bool {
        self.identity.capabilities.verifies(ticket)
    }

    pub(super) fn on_cancel_requested(
        &mut self,
        now: Time,
        link: ConnId,
        ids: &[TaskId],
        by: &str,
        out: &mut Out,
    ) {
        let asker = self.client_at(link);
        for id in ids {
            let Some(key) = self.task_of(id) else {
                continue;
            };
            let entry = &self.tasks[key];
            let moment = match &entry.state {
                TaskState::Persisting | TaskState::Recovering | TaskState::Queued { .. } => {
                    "before it started".to_owned()
                }
                TaskState::Delayed => "while it waited for its next attempt".to_owned(),
                TaskState::Assigned { worker, .. } => {
                    let worker = &self.workers[*worker].profile.name;
                    format!("while it was with worker {worker}; its runner is killed")
                }
                TaskState::Ended(_) => continue,
            };
            let by = self.named(asker, entry.session, by);
            let report = Report::of(format!("the task was cancelled{by} {moment}"));
            self.withdraw(key, out);
            self.end_reported(now, key, Status::Cancelled, report, out);
        }
    }

    /// A task that never came in is charged like any other, and its client gets an outcome.
    pub(super) fn on_task_withdrawn(&mut self, link: ConnId, task: &Task, by: &str, out: &mut Out) {
        release_blobs(task, out);
        let Some(session) = self.client_at(link) else {
            return;
        };
        if !self.charge(session, task.weight()) {
            return close(link, RefusalCode::Credit, "more was submitted than the manager had granted", out);
        }
        self.refund(session, task.weight());
        self.totals.cancelled += 1;
        let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
        let report = Report::of(format!("the task was cancelled{by} before its code had arrived"));
        let outcome = Outcome::reported(task.head.id, Attempt(0), Status::Cancelled, 0, &report);
        out.send_to_client(link, ToClient::Outcome(outcome));
    }

    /// Who cancels a task, for a sentence; nothing if it is its own client.
    fn named(&self, asker: Option<SessionKey>, owner: SessionKey, by: &str) -> String {
        match by {
            _ if asker == Some(owner) => String::new(),
            "" => " by another client".to_owned(),
            by => format!(" by {by}"),
        }
    }
}
