//! Ended tasks that are remembered for people, in two rings: failed ones have a ring of their own, so that many successes do
//! not push them out. Nothing here decides about a task.
//!
//! What a task costs here is paid by every task, so nothing is parsed before somebody asks.

use std::sync::Arc;

use argon_proto::{Attempt, Flags, Outcome, Priority, Report, Runtime, Status, TaskHead, TaskId};

use super::past::{KnownClient, PastAttempt};
use super::session::Session;
use super::task::{TaskEntry, TaskState};
use super::{Scheduler, TaskKey};
use crate::time::Time;

/// Longest meta data and report that are kept as they are, bytes.
const KEPT_WHOLE: usize = 1024;
/// Letters of the parts of a longer report that are kept.
const PART_LETTERS: usize = 300;
/// Past attempts that are remembered of one task.
const PAST_MAX: usize = 64;

/// A task that has ended. Of two cache lines: each end writes one.
#[derive(Debug)]
pub(super) struct EndedTask {
    pub(super) id: TaskId,
    pub(super) client: Arc<KnownClient>,
    /// Worker of the last attempt; `None` if the task ended while no worker had it.
    pub(super) worker: Option<Arc<String>>,
    pub(super) meta: Option<Arc<[u8]>>,
    /// Parts that few tasks have.
    pub(super) more: Option<Box<EndedMore>>,
    pub(super) submitted: Time,
    /// When the worker was handed the last attempt, if there is one.
    pub(super) started: Time,
    pub(super) ended: Time,
    pub(super) run_us: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// The attempt that ended the task.
    pub(super) attempt: Attempt,
    pub(super) flags: Flags,
    pub(super) priority: Priority,
    pub(super) runtime: Runtime,
    pub(super) status: Status,
}

/// Report and earlier attempts of a task that has ended.
#[derive(Debug)]
pub(super) struct EndedMore {
    report: Box<[u8]>,
    past: Vec<PastAttempt>,
}

/// The last tasks that ended, in no order.
#[derive(Debug, Default)]
struct EndedRing {
    tasks: Vec<EndedTask>,
    /// Place of the oldest when the ring is full.
    oldest: usize,
}

/// The two rings.
#[derive(Debug, Default)]
pub(super) struct History {
    ended: EndedRing,
    failed: EndedRing,
}

/// True for the ends that somebody should look at.
pub(super) fn is_failure(status: Status) -> bool {
    match status {
        Status::Ok | Status::Cancelled => false,
        Status::Error | Status::Died | Status::Timeout | Status::Lost | Status::Rejected => true,
    }
}

impl EndedRing {
    #[inline]
    fn push(&mut self, task: EndedTask, most: usize) {
        if self.tasks.len() < most {
            return self.tasks.push(task);
        }
        if let Some(oldest) = self.tasks.get_mut(self.oldest) {
            *oldest = task;
        }
        self.oldest = if self.oldest + 1 < most { self.oldest + 1 } else { 0 };
    }
}

impl EndedTask {
    /// The head that it had, as far as it is remembered.
    pub(super) fn head(&self) -> TaskHead {
        let Self { attempt, flags, priority, .. } = *self;
        TaskHead { attempt, flags, priority, ..TaskHead::new(self.id, self.runtime) }
    }

    /// Its report; empty for most that ended well.
    pub(super) fn report(&self) -> &[u8] {
        self.more.as_ref().map_or(&[], |more| &more.report)
    }

    /// Attempts that did not end it.
    pub(super) fn past(&self) -> &[PastAttempt] {
        self.more.as_ref().map_or(&[], |more| &more.past)
    }
}

impl History {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &EndedTask> {
        self.ended.tasks.iter().chain(&self.failed.tasks)
    }

    /// The last task that ended under this id.
    pub(super) fn find(&self, id: TaskId) -> Option<&EndedTask> {
        self.iter().filter(|task| task.id == id).max_by_key(|task| task.ended)
    }
}

impl Scheduler {
    /// Remembers a task that ends now with this outcome, before its state changes.
    pub(super) fn note_end(&mut self, key: TaskKey, outcome: &Outcome) {
        if self.limits.history == 0 {
            return;
        }
        let entry = &mut self.tasks[key];
        let (worker, started) = match entry.state {
            TaskState::Assigned { worker, since, .. } => {
                (Some(Arc::clone(&self.workers[worker].name)), since)
            }
            TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Ended(_) => (None, Time(0)),
        };
        let more = if entry.cold.is_some() || !outcome.report.is_empty() {
            ended_more(entry, &outcome.report)
        } else {
            None
        };
        let session = &mut self.sessions[entry.session];
        let task = EndedTask {
            id: entry.task.head.id,
            client: Arc::clone(&session.facts),
            worker,
            meta: session.shared_meta(entry.task.meta()),
            more,
            submitted: entry.submitted,
            started,
            ended: self.now,
            run_us: outcome.head.run_us,
            bytes_in: entry.task.payload.len(),
            bytes_out: outcome.payload.len(),
            attempt: outcome.head.attempt,
            flags: entry.task.head.flags,
            priority: entry.task.head.priority,
            runtime: entry.task.head.runtime,
            status: outcome.head.status,
        };
        let history = &mut self.history;
        let ring = if is_failure(task.status) { &mut history.failed } else { &mut history.ended };
        ring.push(task, self.limits.history);
    }

    /// Remembers the present attempt of a task, which ends now and does not end the task.
    #[cold]
    pub(super) fn note_past(&mut self, key: TaskKey, end: Status, message: &str) {
        let TaskState::Assigned { worker, since, .. } = self.tasks[key].state else {
            return;
        };
        let past = PastAttempt {
            attempt: self.tasks[key].task.head.attempt,
            worker: Arc::clone(&self.workers[worker].name),
            started: since,
            ended: self.now,
            end,
            message: cut(message).into(),
        };
        let cold = self.tasks[key].cold_mut();
        if cold.past.len() < PAST_MAX {
            cold.past.push(past);
        }
    }
}

impl Session {
    /// Meta data of a task, shared with the task before it if that had the same.
    fn shared_meta(&mut self, meta: &[u8]) -> Option<Arc<[u8]>> {
        if meta.is_empty() {
            return None;
        }
        if meta.len() > KEPT_WHOLE {
            return shortened_meta(meta);
        }
        match &self.last_meta {
            Some(last) if **last == *meta => {}
            Some(_) | None => self.last_meta = Some(meta.into()),
        }
        self.last_meta.clone()
    }
}

/// Report and earlier attempts of a task that ends.
#[cold]
fn ended_more(entry: &mut TaskEntry, report: &[u8]) -> Option<Box<EndedMore>> {
    let past = entry.cold.as_mut().map(|cold| std::mem::take(&mut cold.past)).unwrap_or_default();
    Some(Box::new(EndedMore { report: kept_report(report), past }))
}

/// The words of long meta data.
#[cold]
fn shortened_meta(meta: &[u8]) -> Option<Arc<[u8]>> {
    let words = super::view::words(meta);
    serde_json::to_vec(&words).ok().map(Into::into)
}

fn kept_report(report: &[u8]) -> Box<[u8]> {
    if report.len() <= KEPT_WHOLE {
        return report.into();
    }
    let report = Report::from_json(report);
    let output = report.output.map(|output| {
        let letters = output.chars().count();
        output.chars().skip(letters.saturating_sub(PART_LETTERS)).collect()
    });
    let short = Report { message: cut(&report.message), output, stack: None, story: Vec::new(), ..report };
    short.to_json().as_ref().into()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(PART_LETTERS) {
        // The last line says most.
        Some(_) => {
            let letters = text.chars().count();
            text.chars().skip(letters - PART_LETTERS).collect()
        }
        None => text.to_owned(),
    }
}

impl TaskEntry {
    /// Attempts that ended without ending it.
    pub(super) fn past(&self) -> &[PastAttempt] {
        self.cold.as_ref().map_or(&[], |cold| &cold.past)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each end writes one of these.
    #[test]
    fn an_ended_task_stays_small() {
        assert!(size_of::<EndedTask>() <= 128, "{} bytes", size_of::<EndedTask>());
    }
}
