//! Messages in the trace: a number for its hash, and a few words for people.

use argon_core::scheduler::ConnId;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, Run, ToWorker};
use argon_proto::{AttemptId, Outcome, Task};

use crate::trace::Trace;

/// A message that can stand in the trace.
pub(crate) trait Described {
    /// Its kind in the low byte, and above it what it names.
    fn number(&self) -> u64;

    /// Returns a short description.
    fn brief(&self) -> String;
}

impl Trace {
    /// Notes that a message left the manager, or came to it.
    pub(crate) fn note_message(
        &mut self,
        now: u64,
        what: (u64, &str),
        link: ConnId,
        message: &impl Described,
    ) {
        let (kind, verb) = what;
        self.note(now, [kind, link.0, message.number()], || {
            format!("manager {verb} {link:?}: {}", message.brief())
        });
    }
}

impl Described for ToManager {
    #[allow(clippy::wildcard_enum_match_arm, reason = "rare kinds share a number")]
    fn number(&self) -> u64 {
        match self {
            Self::Submit(task) => 1 + (task.head.id.sequence << 8),
            Self::Ack(ids) => 7 + ((ids.len() as u64) << 8),
            _ => 8,
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the derived form is brief enough for the rest")]
    fn brief(&self) -> String {
        match self {
            Self::Blob(blob) => format!("BLOB {:?}", blob.hash),
            Self::Submit(task) => format!("SUBMIT {:?} flags {:#x}", task.head.id, task.head.flags.0),
            other => format!("{other:?}"),
        }
    }
}

impl Described for FromWorker {
    #[allow(clippy::wildcard_enum_match_arm, reason = "rare kinds share a number")]
    fn number(&self) -> u64 {
        match self {
            Self::Outcome(outcome) => outcome_number(outcome),
            Self::Returned(attempts) => 5 + ((attempts.len() as u64) << 8),
            _ => 8,
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the derived form is brief enough for the rest")]
    fn brief(&self) -> String {
        match self {
            Self::Outcome(outcome) => outcome_brief(outcome),
            other => format!("{other:?}"),
        }
    }
}

impl Described for ToClient {
    #[allow(clippy::wildcard_enum_match_arm, reason = "rare kinds share a number")]
    fn number(&self) -> u64 {
        match self {
            Self::Outcome(outcome) => outcome_number(outcome),
            _ => 8,
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the derived form is brief enough for the rest")]
    fn brief(&self) -> String {
        match self {
            Self::Outcome(outcome) => outcome_brief(outcome),
            other => format!("{other:?}"),
        }
    }
}

impl Described for ToWorker {
    #[allow(clippy::wildcard_enum_match_arm, reason = "rare kinds share a number")]
    fn number(&self) -> u64 {
        match self {
            Self::Run(run) => 2 + (run.task.head.id.sequence << 8),
            Self::Stop(attempts) => 4 + ((attempts.len() as u64) << 8),
            Self::Settled(attempts) => 6 + ((attempts.len() as u64) << 8),
            _ => 8,
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the derived form is brief enough for the rest")]
    fn brief(&self) -> String {
        match self {
            Self::Blob(blob) => format!("BLOB {:?}", blob.hash),
            Self::Run(Run { task: Task { head, .. }, .. }) => {
                format!("RUN {:?} attempt {}", head.id, head.attempt.0)
            }
            other => format!("{other:?}"),
        }
    }
}

fn outcome_number(outcome: &Outcome) -> u64 {
    3 + (outcome.head.id.sequence << 8)
}

pub(crate) fn outcome_brief(outcome: &Outcome) -> String {
    format!("OUTCOME {:?} {}", attempt_of(outcome), outcome.head.status.name())
}

pub(crate) fn attempt_of(outcome: &Outcome) -> AttemptId {
    AttemptId { task: outcome.head.id, attempt: outcome.head.attempt }
}
