//! The client's journal: every task is kept here until its outcome is in hand, and offered again after each reconnect.
//!
//! Pure: no socket, no clock, no chance. The session's shell calls [`SessionState::connected`], [`SessionState::hear`],
//! [`SessionState::lost`] and [`SessionState::pass`] with what happened, writes what [`SessionState::outbox`] holds, and wakes
//! [`SessionState::take_wakers`] when it has let go of its lock. Callers add work with [`SessionState::add`] and follow it by its
//! number, which is the task's sequence number. The rules are those of `spec/delivery.md`, section 4, and
//! `spec/protocol.md`, section 7.

mod ask;
mod connection;
mod entries;
mod entry;
mod group;
mod on_message;
mod output;
mod request;
mod retry_queue;
mod send;
mod wait_monitor;

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::conversation::{Answer, Goodbye};
use argon_proto::frame::Outbox;
use argon_proto::handshake::Welcome;
use argon_proto::limit::IDS_PER_FRAME;
use argon_proto::{SessionId, TaskId};
use rustc_hash::{FxHashMap, FxHashSet};

pub use ask::Question;
pub use entry::{Addition, Completion, OutputMode};
pub use group::Member;
pub use on_message::Disposition;
pub use output::{OutputAccount, OutputChunk, Printed};

use crate::error_kind::ErrorKind;
use connection::ConnectionState;
use entries::Entries;
use entry::EntryState;
use group::Group;
use request::Requests;
use retry_queue::RetryQueue;
use wait_monitor::WaitMonitor;

/// The session of a client: see the module.
#[derive(Debug)]
pub struct SessionState {
    session: SessionId,
    last: u64,
    /// What each connection begins with.
    open: Open,
    entries: Entries,
    /// Who waits for the outcome of a detached task.
    collects: FxHashMap<TaskId, Vec<u64>>,
    /// Outcomes that were asked for and are not wanted any more: they stay with the manager.
    unwanted: FxHashSet<TaskId>,
    groups: FxHashMap<u64, Group>,
    last_group: u64,
    requests: Requests,
    waits: WaitMonitor,
    backlog: VecDeque<BacklogItem>,
    retry_queue: RetryQueue,
    late_answers: Vec<Answer>,
    connection: Option<ConnectionState>,
    connections: u32,
    /// Why nothing can be added any more.
    ended: Option<(ErrorKind, String)>,
    wakers: Vec<Waker>,
    prints: Vec<Printed>,
}

/// What waits for its turn to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum BacklogItem {
    Task(u64),
    /// Everything that had been sent before has been offered again.
    Offered,
}

impl SessionState {
    /// A journal for the session of `open`.
    pub fn new(open: Open) -> Self {
        Self {
            session: open.session,
            last: 0,
            open,
            entries: Entries::default(),
            collects: FxHashMap::default(),
            unwanted: FxHashSet::default(),
            groups: FxHashMap::default(),
            last_group: 0,
            requests: Requests::default(),
            waits: WaitMonitor::default(),
            backlog: VecDeque::new(),
            retry_queue: RetryQueue::default(),
            late_answers: Vec::new(),
            connection: None,
            connections: 0,
            ended: None,
            wakers: Vec::new(),
            prints: Vec::new(),
        }
    }

    /// The id of the task with this number.
    pub fn task_id(&self, number: u64) -> TaskId {
        TaskId { session: self.session, sequence: number }
    }

    /// A manager has let us in: everything unfinished is offered again.
    pub fn connected(&mut self, welcome: &Welcome) {
        self.lost();
        self.connections += 1;
        let mut connection = ConnectionState::new(welcome.credit_tasks, welcome.credit_bytes);
        connection.outbox.push(&ToManager::Open(self.open.clone()));
        self.connection = Some(connection);
        let mut again: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state == EntryState::Waiting && entry.is_doubtful)
            .map(|(number, _)| number)
            .collect();
        again.sort_unstable();
        let waiting = std::mem::take(&mut self.backlog);
        let fresh = waiting.into_iter().filter(
            |turn| matches!(turn, BacklogItem::Task(number) if self.entries.get(*number).is_some_and(|entry| !entry.is_doubtful)),
        );
        self.backlog =
            again.into_iter().map(BacklogItem::Task).chain([BacklogItem::Offered]).chain(fresh).collect();
        self.send_backlog();
    }

    /// The connection is gone; what was sent on it will be offered again.
    pub fn lost(&mut self) {
        if self.connection.take().is_none() {
            return;
        }
        for entry in self.entries.iter_mut().filter(|entry| entry.state == EntryState::Sent) {
            entry.state = EntryState::Waiting;
            entry.is_doubtful = true;
        }
    }

    /// Time has passed: what the manager rejected may be offered again, acknowledgements have waited long enough.
    pub fn pass(&mut self, now: Instant) {
        // While those that were rejected are still held back: that is why they wait.
        self.look(now);
        self.backlog.extend(self.retry_queue.due(now).into_iter().map(|number| {
            if let Some(entry) =
                self.entries.get_mut(number).filter(|entry| entry.state == EntryState::HeldBack)
            {
                entry.state = EntryState::Waiting;
            }
            BacklogItem::Task(number)
        }));
        self.send_backlog();
        if let Some(connection) = &mut self.connection
            && connection.acks_due().is_some_and(|due| due <= now)
        {
            connection.send_acks();
        }
    }

    /// When [`SessionState::pass`] is wanted.
    pub fn next_pass(&self) -> Option<Instant> {
        let acks = self.connection.as_ref().and_then(ConnectionState::acks_due);
        [acks, self.retry_queue.next()].into_iter().flatten().min()
    }

    /// What is to be written, if there is a connection; acknowledgements ride along with anything else.
    pub fn outbox(&mut self) -> Option<&mut Outbox> {
        let connection = self.connection.as_mut()?;
        if !connection.outbox.is_empty() {
            connection.send_acks();
        }
        Some(&mut connection.outbox)
    }

    /// Bytes that wait to be written, without acknowledgements that can wait.
    pub fn to_write(&self) -> u64 {
        self.connection.as_ref().map_or(0, |connection| connection.outbox.len())
    }

    /// Whether nothing waits to be written but acknowledgements that can wait.
    pub fn is_quiet(&self) -> bool {
        self.to_write() == 0
    }

    /// Tasks that the manager has and whose outcome is not here.
    pub fn in_flight(&self) -> u64 {
        self.connection.as_ref().map_or(0, |connection| connection.in_flight)
    }

    /// Those to wake, after the lock is gone.
    pub fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }

    /// What tasks printed for the client's own output.
    pub fn take_prints(&mut self) -> Vec<Printed> {
        std::mem::take(&mut self.prints)
    }

    /// Ends everything that is not finished, and whatever will be added, in this way. Acknowledgements and
    /// `farewell` still go out.
    pub fn end(&mut self, kind: ErrorKind, message: &str, farewell: Option<Goodbye>) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some((kind, message.to_owned()));
        if let Some(connection) = &mut self.connection {
            connection.send_acks();
            farewell.into_iter().for_each(|word| connection.outbox.push(&ToManager::Goodbye(word)));
        }
        let open: Vec<u64> = self.entries.iter().map(|(number, _)| number).collect();
        for number in open {
            self.finish(number, Completion::Failed(kind, message.to_owned()));
        }
        self.requests.fail(kind, message, &mut self.wakers);
        self.backlog.clear();
        self.collects.clear();
    }

    /// Why there is nothing under a number: the session has ended, or its outcome is gone.
    fn taken(&self) -> (ErrorKind, String) {
        self.ended.clone().unwrap_or_else(|| (ErrorKind::Closed, "its outcome was taken before".to_owned()))
    }

    /// Whether [`SessionState::end`] was called.
    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.iter().all(|(_, entry)| entry.is_ended())
    }

    fn say_offered(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        connection.outbox.push(&ToManager::Offered);
        connection.has_offered = true;
        let ids: Vec<TaskId> = self.collects.keys().copied().collect();
        for part in ids.chunks(IDS_PER_FRAME) {
            connection.outbox.push(&ToManager::Collect(part.to_vec()));
        }
        self.requests.unanswered().for_each(|request| connection.outbox.push(&ToManager::Request(request)));
        self.late_answers.drain(..).for_each(|answer| connection.outbox.push(&ToManager::Answer(answer)));
    }
}

#[cfg(test)]
mod tests;
