//! Clients come, take, cancel, collect and go.

use std::sync::Arc;

use argon_proto::conversation::client::ToClient;
use argon_proto::handshake::RefusalCode;
use argon_proto::holder::OwnerName;
use argon_proto::{Attempt, Flags, Incarnation, Outcome, Report, Secret, SessionId, Status, TaskId, Ticket};

use super::chores::{Chore, EachTask};
use super::effect::Out;
use super::input::{ClientProgram, ConnId};
use super::on_submit::close;
use super::past::KnownClient;
use super::record::Record;
use super::task::TaskState;
use super::timers::Timer;
use super::{OnDurable, PeerKey, Scheduler, SessionKey, TaskKey};
use crate::time::Time;

/// The id of a session is public, so it opens nothing.
pub(super) const NOT_ITS_SECRET: &str = "the secret of this session is not the one that its id is made of";

/// Opening of a session by a client.
pub(super) struct Opening {
    pub(super) link: ConnId,
    /// Whose key it has proven; that of a client inside a task is the owner of the task.
    pub(super) owner: OwnerName,
    pub(super) session: SessionId,
    pub(super) secret: Secret,
    /// The manager that the session was connected to before.
    pub(super) previous: Option<Incarnation>,
    pub(super) client: ClientProgram,
}

impl Scheduler {
    pub(super) fn on_session_opened(&mut self, now: Time, opening: Opening, out: &mut Out) {
        let (link, id) = (opening.link, opening.session);
        if self.peers.contains_key(&link) {
            return close(link, RefusalCode::Frame, "this connection has introduced itself already", out);
        }
        if id != SessionId::of(&opening.secret) {
            return close(link, RefusalCode::Session, NOT_ITS_SECRET, out);
        }
        let root = self.root_of_family.get(&id.family());
        let is_child = |key| self.sessions[key].parent.is_some();
        if root.is_some_and(|root| self.sessions[*root].id != id)
            || self.session_by_id.get(&id).is_some_and(|key| is_child(*key))
        {
            let why = "the first half of this session's id is that of another session, and random ids have halves of \
                       their own; open one with a new random id";
            return close(link, RefusalCode::Session, why, out);
        }
        let key = self.session_of(id, &opening.owner);
        if self.owner_of(key).name != opening.owner {
            let why = "this session was opened with the key of another owner; open a session of your own";
            return close(link, RefusalCode::Session, why, out);
        }
        self.root_of_family.insert(id.family(), key);
        self.open_session(now, key, opening, out);
    }

    /// Gives a session its new connection.
    pub(super) fn open_session(&mut self, now: Time, key: SessionKey, opening: Opening, out: &mut Out) {
        let Opening { link, owner: _, session: _, secret: _, previous, client } = opening;
        self.note_arrival(now, key, previous);
        let credit = self.open_credit();
        let stamp = self.next_stamp();
        let mut replaced = None;
        let session = &mut self.sessions[key];
        if let Some(old) = session.link.replace(link) {
            self.peers.remove(&old);
            replaced = Some(old);
            close(old, RefusalCode::Session, "this session was opened on another connection", out);
        }
        session.facts = Arc::new(KnownClient {
            inside: session.parent.map(|parent| parent.task),
            program: client.clone(),
            ..KnownClient::clone(&session.facts)
        });
        session.client = client.name;
        session.away_until = None;
        let was_ending = std::mem::take(&mut session.is_ending);
        session.stamp = stamp;
        session.credit = credit;
        self.peers.insert(link, PeerKey::Client(key));
        if was_ending {
            self.readmit(key);
        }
        if let Some(old) = replaced {
            self.write_off_output(key, out);
            self.forget_collector(key, old);
        }
    }

    pub(super) fn on_offer_ended(&mut self, now: Time, link: ConnId, out: &mut Out) {
        let Some(session) = self.client_at(link) else {
            return;
        };
        let session = &mut self.sessions[session];
        session.recovery.is_offering = false;
        let each = EachTask::DropUnwanted { stamp: session.stamp };
        let chore = Chore::Session { id: session.id, below: session.tasks.len(), each };
        self.take_up(now, chore, out);
    }

    pub(super) fn on_outcomes_taken(&mut self, link: ConnId, ids: &[TaskId], out: &mut Out) {
        let Some(taker) = self.client_at(link) else {
            return;
        };
        for id in ids {
            let Some(key) = self.task_of(id) else {
                continue;
            };
            let entry = &self.tasks[key];
            let detached = entry.is(Flags::DETACHED);
            let is_handed = entry.session == taker || self.sessions[taker].handed.remove(id);
            // The outcome of a detached task is sent when it is durable, and not taken before.
            let was_sent = entry.ended().is_some_and(|ended| ended.durable);
            if !was_sent || !is_handed {
                continue;
            }
            if detached {
                self.write(Record::TaskForgotten(*id), OnDurable::Forget, out);
            }
            self.forget_ended(key, out);
        }
    }

    pub(super) fn on_collect_requested(&mut self, link: ConnId, tickets: &[Ticket], out: &mut Out) {
        let Some(collector) = self.client_at(link) else {
            return close(
                link,
                RefusalCode::Frame,
                "an outcome was asked for before the session was opened",
                out,
            );
        };
        for ticket in tickets {
            let id = &ticket.id;
            let key = if self.identity.capabilities.verifies(ticket) { self.task_of(id) } else { None };
            let known = key.map(|key| &self.tasks[key]);
            match known.map(|entry| (&entry.state, entry.is(Flags::DETACHED))) {
                Some((TaskState::Ended(ended), true)) if ended.durable => {
                    out.send_to_client(link, ToClient::Outcome(ended.outcome.clone()));
                    self.sessions[collector].handed.insert(*id);
                }
                Some((_, true)) => {
                    if self.sessions[collector].collecting.insert(*id) {
                        self.collectors.entry(*id).or_default().push(link);
                    }
                }
                Some((_, false)) | None => {
                    let report = Report::of(
                        "there is no such task here to collect: it was never submitted, its outcome was collected before, \
                         or it expired",
                    );
                    let outcome = Outcome::reported(*id, Attempt(0), Status::Lost, 0, &report);
                    out.send_to_client(link, ToClient::Outcome(outcome));
                }
            }
        }
    }

    pub(super) fn on_client_lost(&mut self, now: Time, link: ConnId, closed_cleanly: bool, out: &mut Out) {
        // A worker's connection may become that of a task's client.
        self.forget_listing(link);
        let Some(key) = self.client_at(link) else {
            return;
        };
        self.forget_collector(key, link);
        self.peers.remove(&link);
        let stamp = self.next_stamp();
        let session = &mut self.sessions[key];
        session.link = None;
        session.stamp = stamp;
        self.write_off_output(key, out);
        if closed_cleanly {
            self.end_session(now, key, out);
        } else {
            let until = now + self.limits.session_grace;
            self.sessions[key].away_until = Some(until);
            self.timers.set(until, Timer::SessionGrace(key, stamp));
        }
    }

    /// Forgets what a session's connection wanted to collect.
    pub(super) fn forget_collector(&mut self, key: SessionKey, link: ConnId) {
        self.sessions[key].handed.clear();
        for id in std::mem::take(&mut self.sessions[key].collecting) {
            if let Some(waiting) = self.collectors.get_mut(&id) {
                waiting.retain(|other| *other != link);
                if waiting.is_empty() {
                    self.collectors.remove(&id);
                }
            }
        }
    }

    /// Drops the attached tasks of a client that is gone for good.
    pub(super) fn end_session(&mut self, now: Time, key: SessionKey, out: &mut Out) {
        let session = &mut self.sessions[key];
        // Once the name is gone, the session goes with its last task.
        session.client.clear();
        session.away_until = None;
        session.is_ending = true;
        let each = EachTask::Drop { stamp: session.stamp };
        let chore = Chore::Session { id: session.id, below: session.tasks.len(), each };
        self.take_up(now, chore, out);
    }

    /// Sends an outcome to the connected client that waits for it, if there is one.
    pub(super) fn deliver(&mut self, key: TaskKey, out: &mut Out) {
        let entry = &self.tasks[key];
        let Some(ended) = entry.ended() else {
            return;
        };
        let id = entry.task.head.id;
        if entry.is(Flags::DETACHED) {
            let waiting = if ended.durable { self.collectors.remove(&id) } else { None };
            for link in waiting.into_iter().flatten() {
                if let Some(collector) = self.client_at(link) {
                    let collector = &mut self.sessions[collector];
                    collector.collecting.remove(&id);
                    collector.handed.insert(id);
                }
                out.send_to_client(link, ToClient::Outcome(ended.outcome.clone()));
            }
            return;
        }
        let session = &mut self.sessions[entry.session];
        session.untaken_bytes += ended.outcome_weight;
        if let Some(link) = session.link {
            out.send_to_client(link, ToClient::Outcome(ended.outcome.clone()));
        }
    }

    /// Forgets an ended task and gives back its credit.
    pub(super) fn forget_ended(&mut self, key: TaskKey, out: &mut Out) {
        let entry = &self.tasks[key];
        let Some(ended) = entry.ended() else {
            return;
        };
        let is_charged = self.sessions[entry.session].has_offered(entry);
        let (session, weight) = (entry.session, ended.weight);
        let outcome_weight = ended.outcome_weight;
        if !entry.is(Flags::DETACHED) {
            // Output comes before its outcome: it is in hand too.
            let printed = self.forget_output(key);
            self.release_credit(session, outcome_weight + printed);
            if is_charged {
                self.refund(session, weight);
            }
        }
        self.remove_task(key, out);
    }

    /// Outcomes of this size, bytes, wait no longer for the client; its tasks start again if they were held up for that.
    pub(super) fn release_credit(&mut self, key: SessionKey, bytes: u64) {
        let session = &mut self.sessions[key];
        let was_choked = session.untaken_bytes > self.limits.untaken_bytes;
        session.untaken_bytes = session.untaken_bytes.saturating_sub(bytes);
        if was_choked && session.untaken_bytes <= self.limits.untaken_bytes {
            self.readmit(key);
        }
    }

    /// Stops and forgets a task that nobody waits for.
    pub(super) fn drop_task(&mut self, key: TaskKey, out: &mut Out) {
        if !self.tasks[key].is_ended() {
            self.withdraw(key, out);
            self.totals.cancelled += 1;
            let id = self.tasks[key].attempt_id();
            let report = Report::of("its client is gone");
            let outcome = Outcome::reported(id.task, id.attempt, Status::Cancelled, 0, &report);
            self.set_ended(key, outcome, true);
        } else if let Some(ended) = self.tasks[key].ended() {
            let weight = ended.outcome_weight;
            self.release_credit(self.tasks[key].session, weight);
        }
        let printed = self.forget_output(key);
        self.release_credit(self.tasks[key].session, printed);
        self.remove_task(key, out);
    }
}
