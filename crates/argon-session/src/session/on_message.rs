//! What the manager says, message by message.

use std::time::Instant;

use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::{Control, Incoming, Output};
use argon_proto::{Outcome, Status, TaskId};

use super::SessionState;
use super::entry::{Completion, EntryState, Purpose};

/// What the shell must know of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Nothing: it was dealt with.
    Fine,
    /// The manager ends this connection, in these words.
    Refused(String),
    /// The manager leaves.
    Goodbye,
}

impl SessionState {
    /// Takes a frame in.
    pub fn hear(&mut self, now: Instant, incoming: Incoming<ToClient>) -> Disposition {
        match incoming {
            Incoming::Message(ToClient::Goodbye(_)) => return Disposition::Goodbye,
            Incoming::Message(message) => self.on_message(now, message),
            Incoming::Control(Control::Ping(token)) => {
                if let Some(connection) = &mut self.connection {
                    connection.outbox.push(&Control::Pong(token));
                }
            }
            Incoming::Control(Control::Pong(_)) => {}
            Incoming::Control(Control::Refused(refusal)) => return Disposition::Refused(refusal.message),
        }
        Disposition::Fine
    }

    fn on_message(&mut self, now: Instant, message: ToClient) {
        match message {
            ToClient::Outcome(outcome) => self.on_outcome(now, outcome),
            ToClient::Accepted(ids) => ids.into_iter().for_each(|id| self.on_accepted(id)),
            ToClient::Credit(credit) => {
                if let Some(connection) = &mut self.connection {
                    connection.credit_tasks = connection.credit_tasks.max(credit.tasks);
                    connection.credit_bytes = connection.credit_bytes.max(credit.bytes);
                }
                self.send_backlog();
            }
            ToClient::Output(Output { from, fd, bytes }) => self.on_output(from, fd, bytes),
            ToClient::Ask(ask) => self.on_ask(ask),
            ToClient::NeedBlob(hashes) => hashes.into_iter().for_each(|hash| self.send_blob_again(hash)),
            ToClient::Reply(reply) => {
                self.requests.reply(reply, &mut self.wakers);
                self.look(now);
            }
            // Its caller has ended the connection already.
            ToClient::Goodbye(_) => {}
        }
    }

    fn on_outcome(&mut self, now: Instant, outcome: Outcome) {
        let id = outcome.head.id;
        let number = id.sequence;
        let own = if id.session == self.session { self.entries.get_mut(number) } else { None };
        match own {
            Some(entry) if !matches!(entry.purpose, Purpose::Collect(_)) && !entry.is_ended() => {
                if entry.state == EntryState::Sent
                    && let Some(connection) = &mut self.connection
                {
                    connection.in_flight -= 1;
                }
                if outcome.head.status == Status::Rejected {
                    self.on_rejected(now, number, outcome);
                } else {
                    self.waits_anew(now);
                    self.acknowledge(now, &outcome);
                    self.finish(number, Completion::Outcome(outcome));
                }
            }
            Some(_) | None => self.on_collected(now, outcome),
        }
        if !self.backlog.is_empty() {
            self.send_backlog();
        }
    }

    /// Not now: it stays ours, and is offered again later, unless its caller set a limit.
    fn on_rejected(&mut self, now: Instant, number: u64, outcome: Outcome) {
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        entry.offers += 1;
        if entry.is_cancelled || (entry.offers_max != 0 && entry.offers >= entry.offers_max) {
            return self.finish(number, Completion::Outcome(outcome));
        }
        entry.state = EntryState::HeldBack;
        let report = argon_proto::Report::from_json(&outcome.report);
        let offers = entry.offers;
        self.rejected(report.code, report.message);
        self.retry_queue.hold(now, number, offers);
    }

    /// An outcome of a detached task, or one that came again.
    fn on_collected(&mut self, now: Instant, outcome: Outcome) {
        let id = outcome.head.id;
        if let Some(waiting) = self.collects.remove(&id) {
            self.acknowledge(now, &outcome);
            for number in waiting {
                self.finish(number, Completion::Outcome(outcome.clone()));
            }
        } else if !self.unwanted.remove(&id) {
            self.acknowledge(now, &outcome);
        }
    }

    fn on_accepted(&mut self, id: TaskId) {
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
        self.finish(id.sequence, Completion::Accepted);
        // It was in the way of OFFERED, or of a task that must be alone.
        if !self.backlog.is_empty() {
            self.send_backlog();
        }
    }

    fn acknowledge(&mut self, now: Instant, outcome: &Outcome) {
        if let Some(connection) = &mut self.connection {
            connection.acknowledge(now, outcome.head.id, outcome.payload.len());
        }
    }
}
