//! Ended tasks that are remembered for people, in two rings: failed ones have a ring of their own, so that many successes do
//! not push them out. Nothing here decides about a task.
//!
//! What a task costs here is paid by every task, so nothing is parsed before somebody asks.

use std::sync::Arc;

use argon_proto::{Outcome, Report, Status, TaskHead, TaskId};

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

/// A task that has ended.
#[derive(Debug)]
pub(super) struct EndedTask {
    /// `attempt` is the one that ended the task.
    pub(super) head: TaskHead,
    pub(super) client: Arc<KnownClient>,
    pub(super) status: Status,
    /// Worker of the last attempt and when it was handed over; `None` if the task ended otherwise.
    pub(super) last: Option<(Arc<str>, Time)>,
    pub(super) submitted: Time,
    pub(super) ended: Time,
    pub(super) run_us: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) meta: Option<Arc<[u8]>>,
    pub(super) report: Box<[u8]>,
    pub(super) past: Vec<PastAttempt>,
}

/// The two rings.
#[derive(Debug, Default)]
pub(super) struct History {
    ended: Ring,
    failed: Ring,
}

/// The last of many. A new one is written over the oldest, without a move of either.
#[derive(Debug, Default)]
struct Ring {
    tasks: Vec<EndedTask>,
    /// Place of the oldest.
    oldest: usize,
}

impl Ring {
    fn push(&mut self, task: EndedTask, most: usize) {
        if self.tasks.len() < most {
            return self.tasks.push(task);
        }
        if let Some(place) = self.tasks.get_mut(self.oldest) {
            *place = task;
            self.oldest += 1;
        }
        if self.oldest == self.tasks.len() {
            self.oldest = 0;
        }
    }

    /// From the oldest to the newest.
    fn iter(&self) -> impl Iterator<Item = &EndedTask> {
        let (newer, older) = self.tasks.split_at(self.oldest);
        older.iter().chain(newer)
    }
}

/// True for the ends that somebody should look at.
pub(super) fn is_failure(status: Status) -> bool {
    match status {
        Status::Ok | Status::Cancelled => false,
        Status::Error | Status::Died | Status::Timeout | Status::Lost | Status::Rejected => true,
    }
}

impl History {
    fn push(&mut self, task: EndedTask, most: usize) {
        let ring = if is_failure(task.status) { &mut self.failed } else { &mut self.ended };
        ring.push(task, most);
    }

    /// All of them; each ring begins with its oldest.
    pub(super) fn iter(&self) -> impl Iterator<Item = &EndedTask> {
        self.ended.iter().chain(self.failed.iter())
    }

    /// The last task that ended under this id.
    pub(super) fn find(&self, id: TaskId) -> Option<&EndedTask> {
        self.iter().filter(|task| task.head.id == id).max_by_key(|task| task.ended)
    }
}

impl Scheduler {
    /// Remembers a task that ends now with this outcome, before its state changes.
    pub(super) fn note_end(&mut self, key: TaskKey, outcome: &Outcome) {
        if self.limits.history == 0 {
            return;
        }
        let entry = &mut self.tasks[key];
        let last = match entry.state {
            TaskState::Assigned { worker, since, .. } => {
                Some((Arc::clone(&self.workers[worker].name), since))
            }
            TaskState::Persisting
            | TaskState::Recovering
            | TaskState::Queued { .. }
            | TaskState::Delayed
            | TaskState::Ended(_) => None,
        };
        let session = &mut self.sessions[entry.session];
        let task = EndedTask {
            head: TaskHead { attempt: outcome.head.attempt, ..entry.task.head.clone() },
            client: Arc::clone(&session.facts),
            status: outcome.head.status,
            last,
            submitted: entry.submitted,
            ended: self.now,
            run_us: outcome.head.run_us,
            bytes_in: entry.task.payload.len(),
            bytes_out: outcome.payload.len(),
            meta: session.shared_meta(entry.task.meta()),
            report: kept_report(&outcome.report),
            past: entry.cold.as_mut().map(|cold| std::mem::take(&mut cold.past)).unwrap_or_default(),
        };
        self.history.push(task, self.limits.history);
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
        if meta.is_empty() || meta.len() > KEPT_WHOLE {
            return shortened_meta(meta);
        }
        match &self.last_meta {
            Some(last) if **last == *meta => {}
            Some(_) | None => self.last_meta = Some(meta.into()),
        }
        self.last_meta.clone()
    }
}

/// The words of long meta data.
#[cold]
fn shortened_meta(meta: &[u8]) -> Option<Arc<[u8]>> {
    if meta.is_empty() {
        return None;
    }
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
