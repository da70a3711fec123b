//! Tasks are cancelled by their client, or by another peer that may. The effect is reported before it happens.

use argon_proto::conversation::client::ToClient;
use argon_proto::handshake::RefusalCode;
use argon_proto::holder::OwnerName;
use argon_proto::{Attempt, Outcome, Report, Status, Task, TaskId, Ticket};

use super::chores::{Canceller, Chore, EachTask};
use super::effect::Out;
use super::input::ConnId;
use super::on_submit::{close, release_blobs};
use super::session::Session;
use super::task::TaskState;
use super::{Scheduler, SessionKey, TaskKey};
use crate::time::Time;

/// Effect of a cancellation on a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cancelled {
    /// The task waited, and will not start.
    Waiting,
    /// The task is with this worker, which will end its runner.
    Running {
        /// The worker's name.
        worker: String,
    },
    /// The task had ended already, with this status.
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
    /// Returns the effect that [`Input::CancelRequested`](super::Input::CancelRequested) would have on a task now.
    #[must_use]
    pub fn if_cancelled(&self, id: TaskId) -> Cancelled {
        let Some(key) = self.task_of(&id) else {
            return self.ended_as(id).map_or(Cancelled::Unknown, Cancelled::Ended);
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

    /// Number of tasks that have not ended. Costs time in proportion to the sessions.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.unfinished_of(None)
    }

    /// Number of tasks that have not ended, of one owner or of all. Costs time in proportion to the sessions.
    #[must_use]
    pub fn unfinished_of(&self, owner: Option<&OwnerName>) -> usize {
        let unfinished = |session: &Session| session.tasks.len() - session.counts.ended as usize;
        let is_meant =
            |session: &&Session| owner.is_none_or(|owner| self.queue.owners[session.owner].name == *owner);
        self.sessions.values().filter(is_meant).map(unfinished).sum()
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
        self.on_cancel_requested(now, link, ids, "", out);
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
        ids: Vec<TaskId>,
        by: &str,
        out: &mut Out,
    ) {
        let canceller = Canceller { link, by: by.into() };
        self.take_up(now, Chore::Cancel { ids: ids.into_iter(), canceller }, out);
    }

    /// Cancels what has not ended of all sessions, or of those of one owner.
    pub(super) fn on_all_tasks_cancelled(
        &mut self,
        now: Time,
        link: ConnId,
        owner: Option<&OwnerName>,
        by: &str,
        out: &mut Out,
    ) {
        let canceller = Canceller { link, by: by.into() };
        let chores: Vec<Chore> = self
            .sessions
            .values()
            .filter(|session| owner.is_none_or(|owner| self.queue.owners[session.owner].name == *owner))
            .map(|session| {
                let each = EachTask::Cancel(canceller.clone());
                Chore::Session { id: session.id, below: session.tasks.len(), each }
            })
            .collect();
        chores.into_iter().for_each(|chore| self.take_up(now, chore, out));
    }

    /// Cancels a task, unless it has ended.
    pub(super) fn cancel_task(&mut self, now: Time, key: TaskKey, canceller: &Canceller, out: &mut Out) {
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
            TaskState::Ended(_) => return,
        };
        let by = self.named(self.client_at(canceller.link), entry.session, &canceller.by);
        let report = Report::of(format!("the task was cancelled{by} {moment}"));
        self.withdraw(key, out);
        self.end_reported(now, key, Status::Cancelled, report, out);
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

    /// Name of the peer that cancels a task, for a sentence; empty for its own client.
    fn named(&self, asker: Option<SessionKey>, owner: SessionKey, by: &str) -> String {
        match by {
            _ if asker == Some(owner) => String::new(),
            "" => " by another client".to_owned(),
            by => format!(" by {by}"),
        }
    }
}
