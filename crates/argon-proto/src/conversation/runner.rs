//! Between a worker and the runner process in one of its slots (`spec/runner.md`).

use serde::{Deserialize, Serialize};

use super::json::json_body;
use super::{Answer, Ask, Blob, Log, messages};
use crate::error::DecodeError;
use crate::id::BlobHash;
use crate::outcome::{Outcome, Status};
use crate::task::Task;

messages! {
    /// Messages of a worker to a runner.
    pub enum ToRunner {
        /// Execute this attempt.
        Run(Task) = RUN,
        /// Bytes that a task names by their hash.
        Blob(Blob) = BLOB,
        /// The client's answer to a task's question.
        Answer(Answer) = ANSWER,
    }
    without a body {
        /// The worker has read everything that was in the output pipes.
        OutputTaken = OUTPUT_TAKEN,
    }
}

messages! {
    /// Messages of a runner.
    pub enum FromRunner {
        /// Ready for tasks.
        Ready(Ready) = READY,
        /// The task ended.
        Outcome(Outcome) = OUTCOME (status_of_a_runner),
        /// These blobs are not here (any more).
        NeedBlob(Vec<BlobHash>) = NEED_BLOB,
        /// The task asks its client for something.
        Ask(Ask) = ASK,
        /// A log record of the task.
        Log(Log) = LOG,
    }
    without a body {
        /// The pipes hold output of the task that ends now.
        OutputLeft = OUTPUT_LEFT,
    }
}

/// Description of a runner. Language and version are for people who read the traffic.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ready {
    /// True if it claims prefetched tasks, and reports output that it leaves in the pipes.
    #[serde(default)]
    pub claims: bool,
    /// Its process id.
    #[serde(default)]
    pub pid: u32,
    /// Name of its runtime.
    #[serde(default)]
    pub runtime: String,
    /// True for a template, which forks runners and executes nothing itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
    /// Version of its runtime.
    #[serde(default)]
    pub version: String,
}

json_body!(Ready, "READY");

/// A runner reports what the code of its task did. The other statuses are those of its worker and the manager.
fn status_of_a_runner(outcome: &Outcome) -> Result<(), DecodeError> {
    match outcome.head.status {
        Status::Ok | Status::Error => Ok(()),
        other @ (Status::Died | Status::Timeout | Status::Cancelled | Status::Lost | Status::Rejected) => {
            Err(DecodeError::Field("status", u64::from(other.to_byte())))
        }
    }
}
