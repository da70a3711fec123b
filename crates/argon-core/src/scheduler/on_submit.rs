//! A task arrives: is it known, may it come in, and where does it wait?

use argon_proto::conversation::client::ToClient;
use argon_proto::handshake::RefusalCode;
use argon_proto::{Attempt, Flags, Outcome, Report, Status, Task};

use super::effect::{Effect, Out};
use super::input::ConnId;
use super::record::Record;
use super::{OnDurable, Scheduler, SessionKey, TaskKey};
use crate::time::Time;

impl Scheduler {
    pub(super) fn on_task_submitted(&mut self, now: Time, link: ConnId, mut task: Task, out: &mut Out) {
        self.decide_about(now, &task.head.id, out);
        let known = self.task_of(&task.head.id);
        let session = match self.charged_session(link, &task, known) {
            Ok(session) => session,
            Err((code, why)) => {
                release_blobs(&task, out);
                return close(link, code, why, out);
            }
        };
        if let Some(key) = known {
            return self.on_known_task_offered(link, key, &task, out);
        }
        let again = task.head.flags.contains(Flags::OFFERED_AGAIN);
        if !self.has_room_for(session, &task) {
            let message = format!(
                "the queue is full ({} tasks wait): the system is at capacity; try again later, or add workers",
                self.waiting_len()
            );
            return self.reject(
                session,
                Some(link),
                &task,
                task.weight(),
                Report::rejected("queue_full", message),
                out,
            );
        }
        if !again && let Some(message) = self.owner_refusal(self.sessions[session].owner) {
            let report = Report::rejected("owner_queue_full", message);
            return self.reject(session, Some(link), &task, task.weight(), report, out);
        }
        // What a worker holds must have an owner again.
        let is_held = again && self.orphans.contains_key(&task.head.id);
        if !is_held && let Some(refusal) = self.memory_refusal(session, task.resident(), again) {
            return self.refuse(session, Some(link), &task, task.weight(), refusal, out);
        }
        task.head.attempt = Attempt(0);
        task.head.flags = task.head.flags.without(Flags::OFFERED_AGAIN);
        self.totals.submitted += 1;
        let detached = task.head.flags.contains(Flags::DETACHED);
        let owner = || self.owner_of(session).name.clone();
        let record = detached.then(|| Record::TaskAccepted(task.clone(), owner()));
        let key = self.insert_task(session, task, true);
        match record {
            Some(record) => self.write(record, OnDurable::Accept { again, replaces: false }, out),
            None => self.admit(now, key, again, out),
        }
    }

    /// The session that submits a task, charged for it; or the fault of its client, for which its connection ends.
    fn charged_session(
        &mut self,
        link: ConnId,
        task: &Task,
        known: Option<TaskKey>,
    ) -> Result<SessionKey, (RefusalCode, &'static str)> {
        let Some(session) = self.client_at(link) else {
            return Err((RefusalCode::Frame, "a task was submitted before the session was opened"));
        };
        if task.head.id.session != self.sessions[session].id {
            return Err((RefusalCode::Frame, "a task was submitted under the id of another session"));
        }
        // A known task counts the same each time, whatever its weight is now.
        let weight = known.map_or(task.weight(), |key| self.tasks[key].weight());
        if !self.charge(session, weight) {
            return Err((RefusalCode::Credit, "more was submitted than the manager had granted"));
        }
        Ok(session)
    }

    /// Gives a task that came in its first place: with the worker that holds it, waiting for such a worker, or in the queue.
    pub(super) fn admit(&mut self, now: Time, key: TaskKey, again: bool, out: &mut Out) {
        let id = self.tasks[key].task.head.id;
        self.decide_about(now, &id, out);
        if !self.orphans.is_empty()
            && let Some(orphan) = self.orphans.remove(&id)
        {
            return self.claim(now, key, orphan, out);
        }
        if !again || !self.recover_task(now, key, out) {
            self.enqueue(now, key, false);
        }
    }

    /// True if a task that is not known here may come in. One that a worker holds needs no room. While a client offers
    /// again what it waits for, there is as much room again: these tasks were let in before.
    fn has_room_for(&self, session: SessionKey, task: &Task) -> bool {
        let waiting = self.waiting_len();
        let limit = self.limits.queue_size;
        waiting < limit
            || task.head.flags.contains(Flags::OFFERED_AGAIN)
                && (self.sessions[session].recovery.is_offering && waiting < limit.saturating_mul(2)
                    || self.orphans.contains_key(&task.head.id))
    }

    /// Tasks that wait in the queue, or will when no worker turns out to hold them.
    pub(super) fn waiting_len(&self) -> usize {
        self.queue.len() + self.recovering
    }

    /// A task that must never run twice, and of which nobody can say whether it ran.
    pub(super) fn end_in_doubt(&mut self, now: Time, key: TaskKey, out: &mut Out) {
        let report = Report::of(
            "nobody can tell whether this task ran, and it must never run twice: the manager that had it is gone \
             and no worker holds it; see for yourself whether it took effect, then submit it again",
        );
        // The first attempt may have run: with none, the outcome would look like the answer for an unknown task.
        let attempt = &mut self.tasks[key].task.head.attempt;
        *attempt = (*attempt).max(Attempt(1));
        self.end_reported(now, key, Status::Lost, report, out);
    }

    /// A task whose blobs or payload had no room is charged like any other, and may be offered again.
    pub(super) fn on_task_without_room(
        &mut self,
        link: ConnId,
        task: &Task,
        payload_bytes: u64,
        out: &mut Out,
    ) {
        let Some(session) = self.client_at(link) else {
            return release_blobs(task, out);
        };
        let weight = task.weight() + payload_bytes - task.payload.len();
        if task.head.id.session != self.sessions[session].id || !self.charge(session, weight) {
            release_blobs(task, out);
            return close(link, RefusalCode::Credit, "more was submitted than the manager had granted", out);
        }
        let refusal = self.refusal_without_room(session, weight);
        self.refuse(session, Some(link), task, weight, refusal, out);
    }

    fn on_known_task_offered(&mut self, link: ConnId, key: TaskKey, offered: &Task, out: &mut Out) {
        release_blobs(offered, out);
        let entry = &mut self.tasks[key];
        let session = entry.session;
        let was_charged_here = self.sessions[session].has_offered(entry);
        entry.offered_at = self.sessions[session].stamp;
        let is_accepted = entry.is(Flags::DETACHED) && entry.is_durable;
        // Charged twice on this connection, or already out of the client's hands.
        if was_charged_here || is_accepted {
            let weight = entry.weight();
            self.refund(session, weight);
        }
        let entry = &self.tasks[key];
        if is_accepted {
            let ticket = self.identity.capabilities.ticket(entry.task.head.id);
            out.send_to_client(link, ToClient::Accepted(vec![ticket]));
        } else if !entry.is(Flags::DETACHED)
            && let Some(ended) = entry.ended()
        {
            out.send_to_client(link, ToClient::Outcome(ended.outcome.clone()));
        } else {
            self.ask_again(key, out);
        }
    }

    /// Refuses a task on the connection that charged for it, if that is still there.
    pub(super) fn reject(
        &mut self,
        session: SessionKey,
        link: Option<ConnId>,
        task: &Task,
        charged: u64,
        report: Report,
        out: &mut Out,
    ) {
        self.refuse(session, link, task, charged, (Status::Rejected, report), out);
    }

    /// As `reject`, with the status that the task has from now on: `rejected` is not its last.
    fn refuse(
        &mut self,
        session: SessionKey,
        link: Option<ConnId>,
        task: &Task,
        charged: u64,
        (status, report): (Status, Report),
        out: &mut Out,
    ) {
        self.totals.rejected += 1;
        if let Some(link) = link {
            self.refund(session, charged);
            let outcome = Outcome::reported(task.head.id, Attempt(0), status, 0, &report);
            out.send_to_client(link, ToClient::Outcome(outcome));
        }
        release_blobs(task, out);
    }
}

/// The task needs its blobs no more.
pub(super) fn release_blobs(task: &Task, out: &mut Out) {
    if task.head.blob_count > 0 {
        out.effects.push(Effect::ReleaseBlobs { blobs: task.blobs() });
    }
}

pub(super) fn close(link: ConnId, code: RefusalCode, why: &str, out: &mut Out) {
    out.effects.push(Effect::Close { link, code, why: why.to_owned() });
}
