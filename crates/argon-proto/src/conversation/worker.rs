//! Between a worker and its manager (`spec/protocol.md`, section 8).

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::body::{Body, plain_body, put_attempt, take_attempt, take_attempt_token, take_bool};
use super::json::json_body;
use super::{Answer, Ask, Blob, Goodbye, OutputCredit, TaskOutput, WholePayload, messages};
use crate::capability::AttemptToken;
use crate::error::DecodeError;
use crate::id::{AttemptId, BlobHash, Incarnation, WorkerId};
use crate::limit::INTRODUCTION_BYTES;
use crate::line::Line;
use crate::outcome::{Outcome, Status};
use crate::payload::Payload;
use crate::secret::Secret;
use crate::task::Task;

messages! {
    /// Messages of a worker.
    pub enum FromWorker {
        /// These attempts are in my hands: sent before the first [`Register`] of a connection, in as many messages as it takes.
        Held(Vec<Held>) = HELD,
        /// Registers the worker.
        Register(Box<Register>) = REGISTER,
        /// An attempt ended.
        Outcome(Outcome) = OUTCOME (status_of_a_worker),
        /// These attempts have not started, or were stopped, and are yours again.
        Returned(Vec<AttemptId>) = RETURNED,
        /// Output of an attempt.
        Output(TaskOutput) = OUTPUT,
        /// A task asks its client for something.
        Ask(Ask) = ASK,
        /// These blobs are not here (any more).
        NeedBlob(Vec<BlobHash>) = NEED_BLOB,
        /// An attempt lends its slot while it waits for its own tasks, or takes it back.
        Lent(Lent) = LENT,
        /// Present runners, for the status.
        Runners(RunnersReport) = RUNNERS,
        /// Send me no more tasks.
        Draining(Draining) = DRAINING,
        /// I leave.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}

messages! {
    /// Messages of a manager to a worker.
    pub enum ToWorker {
        /// You are known.
        Registered(Registered) = REGISTERED,
        /// Execute this attempt.
        Run(Run) = RUN,
        /// Bytes that a task names by their hash.
        Blob(Blob) = BLOB,
        /// These outcomes need not be kept.
        Settled(Vec<AttemptId>) = SETTLED,
        /// Kill or forget these attempts.
        Stop(Vec<AttemptId>) = STOP,
        /// Give back up to this many attempts that have not started.
        Recall(u32) = RECALL,
        /// This much output of an attempt has been taken.
        OutputCredit(OutputCredit) = OUTPUT_CREDIT,
        /// The client's answer to a task's question.
        Answer(Answer) = ANSWER,
        /// Finish what you run, take no more, leave.
        Drain(Drain) = DRAIN,
        /// The manager leaves.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}

/// An attempt that a worker is to execute, with the token that proves that it was given to this worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Repeated by the worker when it registers again.
    pub token: AttemptToken,
    /// The attempt.
    pub task: Task,
}

/// An attempt that a worker runs, has queued, or has finished without SETTLED.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The attempt.
    pub attempt: AttemptId,
    /// From its RUN.
    pub token: AttemptToken,
}

/// Description of a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Register {
    /// Its host.
    #[serde(default)]
    pub host: Line,
    /// Its name for people, usually `host:port`.
    #[serde(default)]
    pub name: Line,
    /// Why it starts no tasks at present, because of its own limits on the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Line>,
    /// Its process id.
    #[serde(default)]
    pub pid: u32,
    /// The manager that has registered it last; none for its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Incarnation>,
    /// Release of its program.
    #[serde(default)]
    pub release: Line,
    /// User of its tasks, if that is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<Line>,
    /// Runtimes and their versions.
    #[serde(default)]
    pub runtimes: BTreeMap<Line, Line>,
    /// Sandbox of its tasks, if they are in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxView>,
    /// Proof that the id is its own.
    pub secret: Secret,
    /// Number of tasks that it can run at once.
    pub slots: u32,
    /// Id of the worker process, which is made of the secret.
    pub worker: WorkerId,
}

/// Sandbox of a worker's tasks, as far as the status shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxView {
    /// True if tasks may use the network.
    pub network: bool,
}

/// The manager's answer to a first [`Register`] on a connection.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Registered {
    /// The worker's id; none from a manager that does not repeat it.
    #[serde(default)]
    pub worker: Option<WorkerId>,
}

/// The manager wants a worker to leave.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Drain {
    /// Milliseconds after which the worker ends what still runs; none if it waits as long as that takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
}

/// Change of a slot: an attempt lends its slot, or occupies it again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lent {
    /// The attempt.
    pub attempt: AttemptId,
    /// True while it waits, so that its slot is free.
    pub waits: bool,
}

/// Runner processes of a worker. Only the status shows them; the manager decides nothing by them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunnersReport {
    /// Processes that execute a task, by runtime, such as `python3.12`.
    pub busy: BTreeMap<String, u32>,
    /// Processes that wait for a task of their session.
    pub idle: BTreeMap<String, u32>,
    /// Memory of the idle processes, bytes; 0 if it was not measured.
    pub idle_bytes: u64,
    /// Runtimes whose runners are forked from a template.
    pub templates: Vec<String>,
    /// Lists of packages that are being installed; tasks wait for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub installing: Vec<Installing>,
}

/// Packages that a worker installs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Installing {
    /// The blob with the list.
    pub list: BlobHash,
    /// Number of packages in it.
    pub packages: u32,
}

/// A worker takes no more tasks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Draining {
    /// Why, for people; may be empty.
    #[serde(default)]
    pub reason: Line,
}

json_body!(Register, "REGISTER", up to INTRODUCTION_BYTES);
json_body!(Registered, or default);
json_body!(Drain, or default);
json_body!(Draining, or default);
json_body!(RunnersReport, or default);

plain_body!(
    Lent,
    |lent, out| {
        put_attempt(lent.attempt, out);
        out.put_u8(u8::from(lent.waits));
    },
    |mut body| Ok(Self { attempt: take_attempt(&mut body)?, waits: take_bool(&mut body, "waits")? })
);

plain_body!(
    Vec<Held>,
    |held, out| held.iter().for_each(|Held { attempt, token }| {
        put_attempt(*attempt, out);
        out.put_u64(token.0);
    }),
    |mut body| {
        let mut held = Vec::with_capacity(body.len() / Held::BYTES);
        while !body.is_empty() {
            held.push(Held { attempt: take_attempt(&mut body)?, token: take_attempt_token(&mut body)? });
        }
        Ok(held)
    }
);

impl Held {
    const BYTES: usize = 36;
}

impl Body for Run {
    fn encode(&self, stream: u32, out: &mut BytesMut) {
        out.put_u64(self.token.0);
        Body::encode(&self.task, stream, out);
    }

    fn decode(mut body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
        let token = take_attempt_token(&mut body)?;
        Ok(Self { token, task: Task::decode(body, whole)? })
    }

    fn payload(&self) -> Option<&Payload> {
        Some(&self.task.payload)
    }

    fn payload_mut(&mut self) -> Option<&mut Payload> {
        Some(&mut self.task.payload)
    }
}

/// The other statuses are decisions of the manager.
fn status_of_a_worker(outcome: &Outcome) -> Result<(), DecodeError> {
    match outcome.head.status {
        Status::Ok | Status::Error | Status::Died | Status::Timeout => Ok(()),
        decided @ (Status::Cancelled | Status::Lost | Status::Rejected) => {
            Err(DecodeError::Field("status", u64::from(decided.to_byte())))
        }
    }
}
