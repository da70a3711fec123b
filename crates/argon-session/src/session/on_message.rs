//! Messages of the manager.

use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::{Control, Incoming, TaskOutput};
use argon_proto::handshake::RefusalCode;
use argon_proto::{Attempt, Outcome, Status, Ticket, Time};

use super::effect::{Effect, Out};
use super::entry::{Completion, EntryState, Purpose};
use super::{Collect, SessionState};

impl SessionState {
    #[inline]
    pub(super) fn on_message(&mut self, now: Time, incoming: Incoming<ToClient>, out: &mut Out) {
        let Some(connection) = &mut self.connection else {
            // Read from a connection that this session has given up.
            return;
        };
        if let Incoming::Message(message) = &incoming
            && connection.unanswered.is_some()
            && !matches!(message, ToClient::Goodbye(_))
        {
            self.open.previous = connection.unanswered.take();
        }
        match incoming {
            Incoming::Message(ToClient::Outcome(outcome)) => self.on_outcome(now, outcome, out),
            Incoming::Message(message) => self.on_other_message(now, message, out),
            Incoming::Control(Control::Ping(token)) => out.frames.push(&Control::Pong(token)),
            Incoming::Control(Control::Pong(_)) => {}
            Incoming::Control(Control::Refused(refusal)) => {
                self.on_refused(now, &refusal.message, refusal.code == RefusalCode::Busy, out);
            }
        }
    }

    fn on_other_message(&mut self, now: Time, message: ToClient, out: &mut Out) {
        match message {
            ToClient::Outcome(outcome) => self.on_outcome(now, outcome, out),
            ToClient::Accepted(tickets) => {
                tickets.into_iter().for_each(|ticket| self.on_accepted(ticket, out))
            }
            ToClient::Credit(credit) => {
                if let Some(connection) = &mut self.connection {
                    connection.credit_tasks = connection.credit_tasks.max(credit.tasks);
                    connection.credit_bytes = connection.credit_bytes.max(credit.bytes);
                }
                self.send_backlog(out);
            }
            ToClient::Output(TaskOutput { from, fd, bytes }) => self.on_output(from, fd, bytes, out),
            ToClient::Ask(ask) => self.on_ask(ask, out),
            ToClient::NeedBlob(hashes) => {
                hashes.into_iter().for_each(|hash| self.send_blob_again(hash, out));
            }
            ToClient::Reply(reply) => {
                if let Some(connection) = &mut self.connection {
                    connection.has_served = true;
                }
                self.requests.reply(reply, out);
                self.look(now, out);
            }
            ToClient::Goodbye(_) => {
                out.effects.push(Effect::Disconnect);
                self.on_connection_lost(out);
            }
        }
    }

    fn on_outcome(&mut self, now: Time, outcome: Outcome, out: &mut Out) {
        if let Some(connection) = &mut self.connection {
            connection.has_served = true;
        }
        let id = outcome.head.id;
        let number = id.sequence;
        let own = if id.session == self.session { self.entries.get_mut(number) } else { None };
        match own {
            Some(entry) if entry.purpose != Purpose::Collect && !entry.is_ended() => {
                if entry.state == EntryState::Sent
                    && let Some(connection) = &mut self.connection
                {
                    connection.in_flight -= 1;
                }
                if outcome.head.status == Status::Rejected {
                    self.on_rejected(now, number, outcome, out);
                } else {
                    self.wait_monitor.restart(now);
                    self.acknowledge(now, &outcome, out);
                    self.finish(number, Completion::Outcome(outcome), out);
                }
            }
            Some(_) | None => self.on_collected(now, outcome, out),
        }
        if !self.backlog.is_empty() {
            self.send_backlog(out);
        }
    }

    /// The manager does not take the task now. It stays here and is offered again later, unless its caller set a limit.
    fn on_rejected(&mut self, now: Time, number: u64, outcome: Outcome, out: &mut Out) {
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        entry.offers += 1;
        if entry.is_cancelled && !entry.is_doubtful {
            let outcome = self.cancelled_here(number);
            return self.finish(number, Completion::Outcome(outcome), out);
        }
        if entry.offers_max != 0 && entry.offers >= entry.offers_max {
            return self.finish(number, Completion::Outcome(outcome), out);
        }
        entry.state = EntryState::HeldBack;
        let report = argon_proto::Report::from_json(&outcome.report);
        let offers = entry.offers;
        self.wait_monitor.rejected(report.code, report.message);
        self.retry_queue.hold(now, number, offers);
    }

    /// An outcome of a detached task, or one that came again.
    fn on_collected(&mut self, now: Time, outcome: Outcome, out: &mut Out) {
        let id = outcome.head.id;
        if let Some(Collect { waiting, .. }) = self.collects.remove(&id) {
            self.wait_monitor.restart(now);
            // "No such task" is not an outcome: taking it could end the real one of this session.
            let is_unknown = outcome.head.status == Status::Lost && outcome.head.attempt == Attempt(0);
            if !is_unknown {
                self.acknowledge(now, &outcome, out);
            }
            for number in waiting {
                self.finish(number, Completion::Outcome(outcome.clone()), out);
            }
        } else if !self.unwanted.remove(&id) {
            self.acknowledge(now, &outcome, out);
        }
    }

    fn on_accepted(&mut self, ticket: Ticket, out: &mut Out) {
        let id = ticket.id;
        let Some(entry) = self.entries.get_mut(id.sequence) else {
            return;
        };
        if id.session != self.session || entry.purpose != Purpose::Detached || entry.is_ended() {
            return;
        }
        if entry.state == EntryState::Sent
            && let Some(connection) = &mut self.connection
        {
            connection.in_flight -= 1;
        }
        self.finish(id.sequence, Completion::Accepted(ticket), out);
        // It was in the way of OFFERED, or of a task that must be alone.
        if !self.backlog.is_empty() {
            self.send_backlog(out);
        }
    }

    fn acknowledge(&mut self, now: Time, outcome: &Outcome, out: &mut Out) {
        if let Some(connection) = &mut self.connection {
            connection.acknowledge(now, outcome.head.id, outcome.payload.len(), out);
        }
    }
}
