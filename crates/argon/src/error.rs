//! Why a call gave no value: one error type with a kind, the sentence, and what is known of the attempt.

use std::fmt;

use argon_net::key_file::KeyError;
use argon_net::trust::TrustError;
use argon_proto::{Codec, Outcome, Report, Status, TaskId};
use argon_session::ErrorKind;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::own;

/// A call that gave no value: the kind, a sentence for people, and the story of the attempt.
#[derive(Clone)]
pub struct Error {
    facts: Box<Facts>,
}

#[derive(Clone)]
struct Facts {
    kind: ErrorKind,
    message: String,
    task: Option<TaskId>,
    report: Report,
    thrown: Option<Thrown>,
}

/// The error of the task itself.
#[derive(Clone, Debug)]
pub(crate) struct Thrown {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) place: Option<String>,
    pub(crate) backtrace: Option<String>,
    /// The error value itself, if it can travel.
    pub(crate) own: Option<(Codec, Bytes)>,
}

impl Thrown {
    pub(crate) fn new(kind: ErrorKind, message: String) -> Self {
        Self { kind, message, place: None, backtrace: None, own: None }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let facts =
            Facts { kind, message: message.into(), task: None, report: Report::default(), thrown: None };
        Self { facts: Box::new(facts) }
    }

    /// The error that an outcome is, for those who read outcomes themselves; the payload of `error` is not looked into.
    #[must_use]
    pub fn from_outcome(outcome: &Outcome) -> Self {
        let status = outcome.head.status;
        let kind = match status {
            Status::Ok | Status::Error => ErrorKind::Failed,
            Status::Died => ErrorKind::Died,
            Status::Timeout => ErrorKind::Timeout,
            Status::Cancelled => ErrorKind::Cancelled,
            Status::Lost => ErrorKind::Lost,
            Status::Rejected => ErrorKind::Rejected,
        };
        let report = Report::from_json(&outcome.report);
        let message = if report.message.is_empty() {
            format!("the task ended as {}", status.name())
        } else {
            report.message.clone()
        };
        let mut error = Self::new(kind, message);
        error.facts.task = Some(outcome.head.id);
        error.facts.report = report;
        error
    }

    pub(crate) fn with_task(mut self, task: TaskId) -> Self {
        self.facts.task = Some(task);
        self
    }

    pub(crate) fn set_thrown(&mut self, thrown: Thrown) {
        self.facts.kind = thrown.kind;
        self.facts.message.clone_from(&thrown.message);
        self.facts.thrown = Some(thrown);
    }

    /// The error value that the task returned, as its own type: `None` if it is of another type, or cannot travel
    /// because it does not implement serde's `Serialize`. What a task in Perl or Python threw can be read from JSON.
    #[must_use]
    pub fn own<E: DeserializeOwned>(&self) -> Option<E> {
        let (codec, bytes) = self.facts.thrown.as_ref()?.own.as_ref()?;
        match codec {
            Codec::Own => own::from_slice(bytes).ok(),
            Codec::Json => serde_json::from_slice(bytes).ok(),
        }
    }

    /// Place of the panic: `file:line:column`.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.facts.thrown.as_ref()?.place.as_deref()
    }

    /// The backtrace of a panic, or the traceback of a Python exception.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.facts.thrown.as_ref()?.backtrace.as_deref()
    }

    /// Kind of the end.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.facts.kind
    }

    /// The sentence, without the facts that follow it in the text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.facts.message
    }

    /// The task, if there was one.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        self.facts.task
    }

    /// Facts about the attempt: worker, host, process id, signal, exit status, last output, the story of
    /// earlier attempts. Fields that are not known are empty.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.facts.report
    }

    /// Ends of all attempts, one line each.
    #[must_use]
    pub fn story(&self) -> &[String] {
        &self.facts.report.story
    }

    fn facts(&self) -> Vec<String> {
        let report = &self.facts.report;
        let mut facts = Vec::new();
        if let Some(host) = report.host.as_ref().filter(|host| !self.facts.message.contains(host.as_str())) {
            facts.push(format!("host {host}"));
        }
        if let (Some(attempt), Some(attempts)) = (report.attempt, report.attempts)
            && attempts > 1
        {
            facts.push(format!("attempt {attempt} of {attempts}"));
        }
        if let (Some(peak), ErrorKind::Died) = (report.peak_kib, self.facts.kind) {
            facts.push(format!("peak memory {} MiB", peak.div_ceil(1024)));
        }
        facts
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.facts();
        f.write_str(self.facts.message.trim_end_matches(['.', ' ', '\n']))?;
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        if let Some(place) = self.place() {
            write!(f, ", at {place}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    /// The text with everything that is known: this is what `unwrap` and `fn main() -> Result` print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{}]", self.facts.kind.name())?;
        for line in self.story() {
            write!(f, "\n  {line}")?;
        }
        if let Some(output) = self.facts.report.output.as_deref().filter(|output| !output.is_empty()) {
            f.write_str("\n  Its last output:")?;
            for line in output.trim_end().lines() {
                write!(f, "\n  | {line}")?;
            }
        }
        if let Some(backtrace) = self.backtrace() {
            write!(f, "\n{}", backtrace.trim_end())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<TrustError> for Error {
    fn from(error: TrustError) -> Self {
        Self::new(ErrorKind::Unreachable, error.to_string())
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::new(ErrorKind::Unreachable, error.to_string())
    }
}
