//! Tasks of the session as callers see them: added, collected, followed, cancelled, given up.

use std::task::{Poll, Waker};

use argon_proto::conversation::client::ToManager;
use argon_proto::{Attempt, Codec, Outcome, OutcomeHead, Payload, Report, Status, Ticket};

use serde_json::Value;

use super::effect::Out;
use super::entry::{Addition, Completion, Content, Entry, EntryState, OutputMode, Purpose, keep};
use super::output_state::OutputChunk;
use super::{BacklogItem, Collect, SessionState};
use crate::blob::Blobs;

/// Most tasks that one request `cancel` names.
const TASKS_PER_REQUEST: usize = 1000;

impl SessionState {
    /// Takes a task in and sends it if the credit allows; returns its number.
    pub fn add(&mut self, addition: Addition, out: &mut Out) -> u64 {
        self.last += 1;
        let number = self.last;
        let Addition { mut task, blobs, is_detached, output_mode, offers_max } = addition;
        task.head.id = self.task_id(number);
        let weight = task.weight();
        let purpose = if is_detached { Purpose::Detached } else { Purpose::Attached };
        let entry = Entry {
            blobs,
            weight,
            offers_max,
            output_mode,
            ..Entry::new(purpose, Content::Submit(ToManager::Submit(task)))
        };
        self.entries.insert(number, entry);
        if let Some((kind, message)) = self.ended.clone() {
            self.finish(number, Completion::Failed(kind, message), out);
        } else if !self.backlog.is_empty() || !self.send_if_allowed(number, out) {
            self.backlog.push_back(BacklogItem::Task(number));
        }
        number
    }

    /// Asks for the outcome of a detached task; returns the number to follow it by.
    pub fn collect(&mut self, ticket: Ticket, out: &mut Out) -> u64 {
        self.last += 1;
        let number = self.last;
        self.entries.insert(number, Entry::new(Purpose::Collect, Content::Collect(ticket)));
        if let Some((kind, message)) = self.ended.clone() {
            self.finish(number, Completion::Failed(kind, message), out);
            return number;
        }
        self.unwanted.remove(&ticket.id);
        let known = self.collects.entry(ticket.id);
        let collect = known.or_insert_with(|| Collect { ticket, waiting: Vec::new() });
        collect.waiting.push(number);
        // The later ticket counts: an earlier one may have been wrong.
        let is_news = collect.waiting.len() == 1 || collect.ticket != ticket;
        collect.ticket = ticket;
        if is_news && self.has_offered() {
            out.frames.push(&ToManager::Collect(vec![ticket]));
        }
        number
    }

    /// Takes the end of a task, or leaves `waker` to be woken at it. A task is forgotten when its end was taken.
    pub fn poll_end(&mut self, number: u64, waker: &Waker) -> Poll<Completion> {
        let Some(entry) = self.entries.get_mut(number) else {
            let (kind, message) = self.taken();
            return Poll::Ready(Completion::Failed(kind, message));
        };
        if !entry.is_ended() || entry.is_printing() {
            keep(&mut entry.waker, waker);
            return Poll::Pending;
        }
        let Content::Completion(completion) = std::mem::replace(&mut entry.content, Content::Nothing) else {
            return Poll::Pending;
        };
        self.entries.remove(number);
        Poll::Ready(completion)
    }

    /// Takes the next chunk of what a task printed or asked; `None` when it has ended and nothing is left.
    pub fn poll_chunk(&mut self, number: u64, waker: &Waker, out: &mut Out) -> Poll<Option<OutputChunk>> {
        let Some(entry) = self.entries.get_mut(number) else {
            return Poll::Ready(None);
        };
        if let Some(output) = &mut entry.output
            && let Some((chunk, account)) = output.chunks.pop_front()
        {
            self.on_chunk_taken(number, account, &chunk, out);
            return Poll::Ready(Some(chunk));
        }
        if entry.is_ended() {
            return Poll::Ready(None);
        }
        keep(&mut entry.waker, waker);
        Poll::Pending
    }

    /// Cancels a task. It ends at once if no manager has it, otherwise with the outcome that the manager sends.
    pub fn cancel(&mut self, number: u64, out: &mut Out) {
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        if entry.is_ended() || entry.is_cancelled {
            return;
        }
        entry.is_cancelled = true;
        if let Content::Collect(ticket) = entry.content {
            return self.cancel_detached(&[ticket], out);
        }
        match entry.state {
            EntryState::Sent => {
                let id = self.task_id(number);
                out.frames.push(&ToManager::Cancel(vec![id]));
            }
            // A manager or a worker may have it: it is offered again, and then cancelled.
            EntryState::Waiting | EntryState::HeldBack if entry.is_doubtful => {}
            EntryState::Waiting | EntryState::HeldBack => {
                let outcome = self.cancelled_here(number);
                self.finish(number, Completion::Outcome(outcome), out);
            }
            EntryState::Ended => {}
        }
    }

    /// The outcome of a task that the manager never had.
    pub(super) fn cancelled_here(&self, number: u64) -> Outcome {
        let head = OutcomeHead {
            id: self.task_id(number),
            attempt: Attempt(0),
            status: Status::Cancelled,
            codec: Codec::Own,
            run_us: 0,
            leaves: false,
        };
        let report = Report::of("the task was cancelled before it was sent").to_json();
        Outcome { head, report, payload: Payload::default() }
    }

    /// Cancels detached tasks of any client.
    ///
    /// Without a connection the request waits for the next one.
    pub fn cancel_detached(&mut self, tickets: &[Ticket], out: &mut Out) {
        for part in tickets.chunks(TASKS_PER_REQUEST) {
            let tasks = part.iter().map(|ticket| Value::from(ticket.to_string())).collect();
            let fields = serde_json::Map::from_iter([("tasks".to_owned(), Value::Array(tasks))]);
            let number = self.request("cancel", fields, out);
            self.requests.drop_reply(number);
        }
    }

    /// The caller gives the task up. The task goes on; output for its caller is dropped.
    pub fn abandon(&mut self, number: u64, out: &mut Out) {
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        entry.waker = None;
        if entry.is_ended() {
            self.entries.remove(number);
            return;
        }
        if let Content::Collect(Ticket { id, .. }) = entry.content {
            self.entries.remove(number);
            if let Some(collect) = self.collects.get_mut(&id) {
                collect.waiting.retain(|other| *other != number);
                if collect.waiting.is_empty() {
                    self.collects.remove(&id);
                    self.unwanted.insert(id);
                }
            }
            return;
        }
        entry.is_abandoned = true;
        if entry.output_mode == OutputMode::Caller {
            entry.output_mode = OutputMode::Discard;
            self.drop_chunks(number, out);
        }
    }

    pub(super) fn finish(&mut self, number: u64, completion: Completion, out: &mut Out) {
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        if entry.is_ended() {
            return;
        }
        if entry.is_abandoned {
            self.entries.remove(number);
            return;
        }
        entry.state = EntryState::Ended;
        entry.content = Content::Completion(completion);
        entry.blobs = Blobs::default();
        if !entry.is_printing() {
            entry.announce(number, &mut self.groups, out);
        }
    }

    pub(super) fn has_offered(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.has_offered)
    }
}
