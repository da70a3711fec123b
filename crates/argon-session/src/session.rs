//! The session of a client: every task is kept here until its outcome is in hand, and offered again after each reconnect.
//!
//! [`SessionState::step`] takes what happened outside; the methods that callers use ([`SessionState::add`],
//! [`SessionState::cancel`] and so on) answer at once. Both add to an [`Out`]: frames to write, and effects to carry out.
//! Before it writes, the shell calls [`SessionState::finish_batch`]; when [`SessionState::next_deadline`] has come, it
//! steps with [`Input::TimePassed`]. Callers follow a task by its number, which is its sequence number in the session. The
//! rules are those of `spec/delivery.md`, section 4, and `spec/protocol.md`, section 7.

mod ask;
mod connection;
mod effect;
mod entries;
mod entry;
mod group;
mod input;
mod invariants;
mod on_message;
mod output;
mod output_state;
mod reconnect;
mod request;
mod retry_queue;
mod send;
mod tasks;
mod wait_monitor;

use std::collections::VecDeque;
use std::time::Duration;

use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::conversation::{Answer, Goodbye};
use argon_proto::handshake::Welcome;
use argon_proto::limit::{IDS_PER_FRAME, SILENCE};
use argon_proto::{BlobHash, Machine, SessionId, TaskId, Ticket, Time};
use rustc_hash::{FxHashMap, FxHashSet};

pub use effect::{Effect, Out, Printed};
pub use entry::{Addition, Completion, Member, OutputMode};
pub use input::Input;
pub use output_state::{OutputAccount, OutputChunk, Question};

use crate::error_kind::ErrorKind;
use connection::ConnectionState;
use entries::Entries;
use entry::EntryState;
use group::Group;
use reconnect::{DialState, Reconnect};
use request::Requests;
use retry_queue::RetryQueue;
use wait_monitor::WaitMonitor;

/// State of a client's session.
#[derive(Debug)]
pub struct SessionState {
    session: SessionId,
    last: u64,
    /// First message of each connection. Names the manager of the last one.
    open: Open,
    entries: Entries,
    collects: FxHashMap<TaskId, Collect>,
    /// Outcomes that were asked for and are not wanted any more: they stay with the manager.
    unwanted: FxHashSet<TaskId>,
    groups: FxHashMap<u64, Group>,
    last_group: u64,
    requests: Requests,
    wait_monitor: WaitMonitor,
    backlog: VecDeque<BacklogItem>,
    retry_queue: RetryQueue,
    /// Blobs that the manager has from another session: they are sent only if it asks.
    assumed_blobs: FxHashSet<BlobHash>,
    late_answers: Vec<Answer>,
    reconnect: Reconnect,
    connection: Option<ConnectionState>,
    connections: u32,
    /// Why nothing can be added any more.
    ended: Option<(ErrorKind, String)>,
}

/// Callers that wait for the outcome of a detached task, by number.
#[derive(Debug)]
struct Collect {
    ticket: Ticket,
    waiting: Vec<u64>,
}

/// Item that waits to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum BacklogItem {
    Task(u64),
    /// All that had been sent before has been offered again.
    Offered,
}

impl Machine for SessionState {
    type Input = Input;
    type Output = Out;

    #[inline]
    fn step(&mut self, now: Time, input: Input, out: &mut Out) {
        match input {
            Input::MessageReceived(incoming) => self.on_message(now, incoming, out),
            Input::BytesReceived => {
                if let Some(connection) = &mut self.connection {
                    connection.received_at = now;
                }
            }
            Input::TimePassed => self.on_time(now, out),
            Input::OutputPrinted { number, account, bytes } => self.on_printed(number, account, bytes, out),
            Input::Started => {
                self.reconnect.start(now, out);
                self.look(now, out);
            }
            Input::Connected { welcome, address } => self.on_connected(now, &welcome, address, out),
            Input::DialFailed { why, advice, is_final } => {
                self.on_dial_failed(now, why, &advice, is_final, out);
            }
            Input::MisplacedFrameReceived { why } => self.on_refused(now, &why, false, out),
            Input::ConnectionLost => self.on_connection_lost(out),
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        if self.is_ended() {
            return None;
        }
        let silent = self.connection.as_ref().map(|connection| connection.received_at + SILENCE);
        let acks = self.connection.as_ref().and_then(ConnectionState::acks_due);
        let look = self.wait_monitor.next_look();
        [silent, acks, look, self.retry_queue.next(), self.reconnect.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn assert_invariants(&self) {
        self.check_invariants();
    }
}

impl SessionState {
    /// A session that begins each connection with `open`. The user named `addresses` managers; the first one must be found
    /// within `first_within`.
    #[must_use]
    pub fn new(open: Open, addresses: usize, first_within: Duration) -> Self {
        Self {
            session: open.session,
            last: 0,
            entries: Entries::default(),
            collects: FxHashMap::default(),
            unwanted: FxHashSet::default(),
            groups: FxHashMap::default(),
            last_group: 0,
            requests: Requests::default(),
            wait_monitor: WaitMonitor::default(),
            backlog: VecDeque::new(),
            retry_queue: RetryQueue::default(),
            assumed_blobs: FxHashSet::default(),
            late_answers: Vec::new(),
            reconnect: Reconnect::new(open.session, addresses, first_within),
            connection: None,
            connections: 0,
            ended: None,
            open,
        }
    }

    /// Lets acknowledgements ride along with anything else that is about to be written.
    #[inline]
    pub fn finish_batch(&mut self, out: &mut Out) {
        if let Some(connection) = &mut self.connection
            && !out.frames.is_empty()
        {
            connection.send_acks(out);
        }
    }

    /// The id of the task with this number.
    #[must_use]
    #[inline]
    pub fn task_id(&self, number: u64) -> TaskId {
        TaskId { session: self.session, sequence: number }
    }

    /// The manager has this blob from another session, so it is sent only if the manager asks.
    pub fn assume_blob(&mut self, hash: BlobHash) {
        self.assumed_blobs.insert(hash);
    }

    /// True while a manager is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Number of tasks that the manager has and whose outcome is not here.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> u64 {
        self.connection.as_ref().map_or(0, |connection| connection.in_flight)
    }

    /// True if this task was sent on the present connection and has not ended.
    #[must_use]
    pub fn is_sent(&self, number: u64) -> bool {
        self.entries.get(number).is_some_and(|entry| entry.state == EntryState::Sent)
    }

    /// True if the session is over.
    #[must_use]
    #[inline]
    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.iter().all(|(_, entry)| entry.is_ended())
    }

    /// Why the session is over, if it is.
    #[must_use]
    pub fn ended(&self) -> Option<(ErrorKind, &str)> {
        self.ended.as_ref().map(|(kind, message)| (*kind, message.as_str()))
    }

    /// Ends the session: everything unfinished, and all that will be added, ends in this way. Acknowledgements and the
    /// `farewell` still go out; the shell closes the connection after them.
    pub fn end(&mut self, kind: ErrorKind, message: &str, farewell: Option<Goodbye>, out: &mut Out) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some((kind, message.to_owned()));
        self.reconnect.dial = DialState::Idle;
        if let Some(connection) = &mut self.connection {
            connection.send_acks(out);
            farewell.into_iter().for_each(|goodbye| out.frames.push(&ToManager::Goodbye(goodbye)));
        }
        let mut open: Vec<u64> = self.entries.iter().map(|(number, _)| number).collect();
        open.sort_unstable();
        for number in open {
            self.finish(number, Completion::Failed(kind, message.to_owned()), out);
        }
        self.requests.fail(kind, message, out);
        self.backlog.clear();
        self.retry_queue = RetryQueue::default();
        self.collects.clear();
    }

    /// Why there is nothing under a number: the session is over, or the outcome was taken.
    fn taken(&self) -> (ErrorKind, String) {
        self.ended.clone().unwrap_or_else(|| (ErrorKind::Closed, "its outcome was taken before".to_owned()))
    }

    /// A manager has let this client in: everything unfinished is offered again.
    fn on_connected(&mut self, now: Time, welcome: &Welcome, address: String, out: &mut Out) {
        self.forget_connection();
        out.frames = argon_proto::frame::Outbox::default();
        if self.is_ended() {
            return out.effects.push(Effect::Disconnect);
        }
        self.reconnect.succeeded();
        self.wait_monitor.manager = address;
        self.connections += 1;
        self.connection = Some(ConnectionState::new(now, welcome));
        out.frames.push(&ToManager::Open(self.open.clone()));
        let mut again: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state == EntryState::Waiting && entry.is_doubtful)
            .map(|(number, _)| number)
            .collect();
        again.sort_unstable();
        let waiting = std::mem::take(&mut self.backlog);
        let fresh = waiting.into_iter().filter(|item| {
            matches!(item, BacklogItem::Task(number) if self.entries.get(*number).is_some_and(|entry| !entry.is_doubtful))
        });
        self.backlog =
            again.into_iter().map(BacklogItem::Task).chain([BacklogItem::Offered]).chain(fresh).collect();
        self.send_backlog(out);
        self.look(now, out);
    }

    /// Forgets the connection; what was sent on it will be offered again. True if the manager did something for this
    /// client on it.
    fn forget_connection(&mut self) -> bool {
        let Some(connection) = self.connection.take() else {
            return false;
        };
        for entry in self.entries.iter_mut().filter(|entry| entry.state == EntryState::Sent) {
            entry.state = EntryState::Waiting;
            entry.is_doubtful = true;
        }
        connection.has_served
    }

    fn on_time(&mut self, now: Time, out: &mut Out) {
        if self.is_ended() {
            return;
        }
        if self.connection.as_ref().is_some_and(|connection| connection.received_at + SILENCE <= now) {
            out.effects.push(Effect::Disconnect);
            self.on_connection_lost(out);
        }
        if matches!(self.reconnect.dial, DialState::Pausing { until } if until <= now) {
            self.reconnect.dial_now(out);
        }
        // While those that were rejected are still held back: that is why they wait.
        self.look(now, out);
        if self.retry_queue.next().is_some_and(|next| next <= now) {
            self.backlog.extend(self.retry_queue.due(now).into_iter().map(|number| {
                if let Some(entry) =
                    self.entries.get_mut(number).filter(|entry| entry.state == EntryState::HeldBack)
                {
                    entry.state = EntryState::Waiting;
                }
                BacklogItem::Task(number)
            }));
            self.send_backlog(out);
        }
        if let Some(connection) = &mut self.connection
            && connection.acks_due().is_some_and(|due| due <= now)
        {
            connection.send_acks(out);
        }
    }

    fn send_offered(&mut self, out: &mut Out) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        out.frames.push(&ToManager::Offered);
        connection.has_offered = true;
        let mut tickets: Vec<Ticket> = self.collects.values().map(|collect| collect.ticket).collect();
        tickets.sort_unstable_by_key(|ticket| ticket.id);
        for part in tickets.chunks(IDS_PER_FRAME) {
            out.frames.push(&ToManager::Collect(part.to_vec()));
        }
        let requests = self.requests.unanswered();
        requests.into_iter().for_each(|request| out.frames.push(&ToManager::Request(request)));
        self.late_answers.drain(..).for_each(|answer| out.frames.push(&ToManager::Answer(answer)));
    }
}

#[cfg(test)]
mod tests;
