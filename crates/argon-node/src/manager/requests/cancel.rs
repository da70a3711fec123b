//! The request `cancel`: ends tasks, and reports the result for each.

use argon_core::Time;
use argon_core::scheduler::{Cancelled, ConnId, Input};
use argon_proto::capability::ParseTicketError;
use argon_proto::conversation::admin::{AllCancelled, Cancel, CancelledTask, Reply, TasksCancelled};
use argon_proto::holder::OwnerName;
use argon_proto::key::Role;
use argon_proto::{Status, TaskId, Ticket};

use super::tasks::UNKNOWN_TASK;
use crate::manager::event_loop::ManagerLoop;

/// Tasks that one request may name: its answer fits into a frame.
pub(crate) const TASKS_PER_REQUEST: usize = 1000;
/// Letters of what the asker calls itself.
const BY_LETTERS: usize = 100;

impl ManagerLoop {
    /// Cancels the named tasks. A client needs the ticket of each, unless it is of its own session, or of the same person. An
    /// admin names tasks by their ids or the beginnings of ids. An admin may cancel everything, a person its own tasks.
    pub(in crate::manager) fn cancel(
        &mut self,
        now: Time,
        link: ConnId,
        role: Role,
        number: u64,
        cancel: &Cancel,
    ) -> Result<Reply, String> {
        let by = self.described(link, role, &cancel.by);
        if cancel.all {
            let owner = self.meant_by_all(link, role, &cancel.owner)?;
            let cancelled = self.cancel_all(now, link, owner.as_ref(), by);
            return Ok(Reply::with(number, &AllCancelled { cancelled }));
        }
        let named = &cancel.tasks;
        if !(1..=TASKS_PER_REQUEST).contains(&named.len()) {
            return Err(format!("name from 1 to {TASKS_PER_REQUEST} tasks in 'tasks', not {}", named.len()));
        }
        let tasks = named.iter().map(|name| self.cancel_one(now, link, role, name, &by)).collect();
        Ok(Reply::with(number, &TasksCancelled { tasks }))
    }

    /// Whose tasks a requester means by all of them; `None` for those of all owners.
    fn meant_by_all(&self, link: ConnId, role: Role, named: &str) -> Result<Option<OwnerName>, String> {
        match (role, self.person_at(link)) {
            (Role::Admin, _) if named.is_empty() => Ok(None),
            (Role::Admin, _) => match OwnerName::read(named) {
                Some(owner) => Ok(Some(owner)),
                None => Err("'owner' is not the name of an owner".to_owned()),
            },
            (Role::Client, Some(person)) if named.is_empty() || person.as_str() == named => Ok(Some(person)),
            (Role::Client, Some(person)) => Err(format!(
                "{person} may cancel the tasks of {person} only; an admin may cancel those of others"
            )),
            (Role::Client | Role::Worker | Role::Observer, _) => {
                Err("only an admin may cancel the tasks of all; use the cluster key or an admin's".to_owned())
            }
        }
    }

    fn cancel_all(&mut self, now: Time, link: ConnId, owner: Option<&OwnerName>, by: String) -> usize {
        let of = |id: &TaskId| self.scheduler.owner_of_session(id.session);
        let is_meant = |id: &TaskId| owner.is_none_or(|owner| of(id) == Some(owner));
        let parked: Vec<TaskId> = self.gate.parked().filter(is_meant).collect();
        let count = self.scheduler.unfinished_of(owner) + parked.len();
        self.step(now, Input::AllTasksCancelled { link, owner: owner.cloned(), by: by.clone() });
        for id in parked {
            self.withdraw_parked(now, id, &by);
        }
        count
    }

    /// The person whose client is at this connection; `None` for the cluster's own keys.
    pub(super) fn person_at(&self, link: ConnId) -> Option<OwnerName> {
        let proven = &self.peers.get(&link)?.proven;
        // The client of a task came with the key of its worker.
        let holder = proven.holder.as_ref().filter(|_| proven.role == Role::Client);
        holder.map(|holder| holder.name.clone())
    }

    /// True if a client may end a task by its id alone: it is of its own session, or of the same person.
    fn may_cancel(&self, link: ConnId, id: TaskId) -> bool {
        self.scheduler.is_own(link, id)
            || self
                .person_at(link)
                .is_some_and(|person| self.scheduler.owner_of_session(id.session) == Some(&person))
    }

    fn cancel_one(&mut self, now: Time, link: ConnId, role: Role, name: &str, by: &str) -> CancelledTask {
        let answer = |task: &str, result: &str, message: String| CancelledTask {
            task: task.to_owned(),
            result: result.to_owned(),
            message,
            ..CancelledTask::default()
        };
        let id = match name.parse::<Ticket>() {
            Ok(ticket) if role == Role::Admin || self.scheduler.verifies(&ticket) => ticket.id,
            Ok(ticket) => return answer(&ticket.id.to_string(), "unknown", UNKNOWN.to_owned()),
            Err(ParseTicketError::IdOnly(id)) if role == Role::Admin || self.may_cancel(link, id) => id,
            Err(ParseTicketError::IdOnly(_)) => return answer(name, "refused", NEEDS_TICKET.to_owned()),
            Err(error) => match self.named_task(link, role, name) {
                // A key without a person's name shares the owner of all such keys: whole tickets only.
                _ if role != Role::Admin && self.person_at(link).is_none() => {
                    return answer(name, "refused", error.to_string());
                }
                Ok(id) => id,
                Err(message) if message == UNKNOWN_TASK => {
                    return answer(name, "unknown", UNKNOWN.to_owned());
                }
                Err(message) => return answer(name, "ambiguous", message),
            },
        };
        let before = self.scheduler.if_cancelled(id);
        let text = id.to_string();
        match before {
            Cancelled::Unknown if self.withdraw_parked(now, id, by) => {
                answer(&text, "cancelled", "cancelled".to_owned())
            }
            Cancelled::Unknown => answer(&text, "unknown", UNKNOWN.to_owned()),
            Cancelled::Ended(Status::Cancelled) => {
                answer(&text, "cancelled", "was cancelled before".to_owned())
            }
            Cancelled::Ended(status) => {
                let ended = answer(&text, "ended", format!("already ended: {}", status.name()));
                CancelledTask { status: Some(status.name().to_owned()), ..ended }
            }
            Cancelled::Waiting => {
                self.cancel_known(now, link, id, by);
                answer(&text, "cancelled", "cancelled".to_owned())
            }
            Cancelled::Running { worker } => {
                self.cancel_known(now, link, id, by);
                let message = format!("cancelled; it was running on {worker}: its runner is being ended");
                CancelledTask { worker: Some(worker), ..answer(&text, "cancelled", message) }
            }
        }
    }

    fn cancel_known(&mut self, now: Time, link: ConnId, id: TaskId, by: &str) {
        self.step(now, Input::CancelRequested { link, ids: vec![id], by: by.to_owned() });
    }

    /// The message CANCEL, which has no answer.
    pub(in crate::manager) fn on_cancel(&mut self, now: Time, link: ConnId, role: Role, ids: Vec<TaskId>) {
        let by = self.described(link, role, "");
        for id in &ids {
            match self.gate.owner_of(*id) {
                Some(owner) if owner == link => {
                    self.withdraw_parked(now, *id, "");
                }
                Some(_) if role == Role::Admin => {
                    self.withdraw_parked(now, *id, &by);
                }
                Some(_) | None => {}
            }
        }
        let input = match role {
            Role::Admin => Input::CancelRequested { link, ids, by },
            Role::Client | Role::Worker | Role::Observer => Input::OwnTasksCancelled { link, ids },
        };
        self.step(now, input);
    }

    /// Takes a task away that waits for its blobs, if there is one of this id.
    fn withdraw_parked(&mut self, now: Time, id: TaskId, by: &str) -> bool {
        let Some((link, task)) = self.gate.withdraw(id) else {
            return false;
        };
        self.step(now, Input::TaskWithdrawn { link, task, by: by.to_owned() });
        true
    }

    /// Description of the requester, for the owner of a task.
    fn described(&self, link: ConnId, role: Role, by: &str) -> String {
        let from = self.peers.get(&link).map_or("", |peer| peer.from.as_str());
        let by: String = by.chars().filter(|letter| !letter.is_control()).take(BY_LETTERS).collect();
        let key = match role {
            Role::Admin => "an admin".to_owned(),
            Role::Client | Role::Worker | Role::Observer => match self.person_at(link) {
                Some(person) => format!("a client of {person}"),
                None => "another client".to_owned(),
            },
        };
        if by.is_empty() { format!("{key} at {from}") } else { format!("{by} ({key} at {from})") }
    }
}

const NEEDS_TICKET: &str = "that is the id of a task, not its ticket; without the ticket only the client that submitted \
                            it, a client with a key of the same person, or an admin, may cancel a task";
const UNKNOWN: &str = "unknown here: it was never submitted, its outcome was taken, or it expired";
