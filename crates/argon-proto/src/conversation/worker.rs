//! Between a worker and its manager (`spec/protocol.md`, section 8).

use std::collections::BTreeMap;

use bytes::BufMut;
use serde::{Deserialize, Serialize};

use super::body::{plain_body, put_attempt, take_attempt, take_bool};
use super::json::json_body;
use super::{Answer, Ask, Blob, Goodbye, OutputCredit, TaskOutput, messages};
use crate::id::{AttemptId, BlobHash, WorkerId};
use crate::outcome::Outcome;
use crate::task::Task;

messages! {
    /// Everything that a worker sends.
    pub enum FromWorker {
        /// Who I am and what I hold.
        Register(Register) = REGISTER,
        /// An attempt ended.
        Outcome(Outcome) = OUTCOME,
        /// These attempts have not started, or were stopped, and are yours again.
        Returned(Vec<AttemptId>) = RETURNED,
        /// What an attempt wrote.
        Output(TaskOutput) = OUTPUT,
        /// A task asks its client for something.
        Ask(Ask) = ASK,
        /// These blobs are not here (any more).
        NeedBlob(Vec<BlobHash>) = NEED_BLOB,
        /// An attempt lends its slot while it waits for its own tasks, or takes it back.
        Lent(Lent) = LENT,
        /// Which runners there are, for the status.
        Runners(RunnersReport) = RUNNERS,
        /// Send me no more tasks.
        Draining(Draining) = DRAINING,
        /// I leave.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}

messages! {
    /// Everything that a manager sends to a worker.
    pub enum ToWorker {
        /// You are known.
        Registered(Registered) = REGISTERED,
        /// Execute this attempt.
        Run(Task) = RUN,
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

/// Who a worker is, and what it holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Register {
    /// Attempts that it runs, has queued, or has finished without SETTLED.
    #[serde(default)]
    pub held: Vec<AttemptId>,
    /// Its host.
    #[serde(default)]
    pub host: String,
    /// Its name for people, usually `host:port`.
    #[serde(default)]
    pub name: String,
    /// Its process id.
    #[serde(default)]
    pub pid: u32,
    /// Release of its program.
    #[serde(default)]
    pub release: String,
    /// Runtimes and their versions.
    #[serde(default)]
    pub runtimes: BTreeMap<String, String>,
    /// Number of tasks that it can run at once.
    pub slots: u32,
    /// Random id of the worker process.
    pub worker: WorkerId,
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

/// Whether an attempt occupies its slot.
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
}

/// A worker takes no more tasks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Draining {
    /// Why, for people; may be empty.
    #[serde(default)]
    pub reason: String,
}

json_body!(Register, "REGISTER");
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
