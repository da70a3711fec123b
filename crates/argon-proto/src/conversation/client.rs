//! Between a client and its manager (`spec/protocol.md`, section 7).

use serde::{Deserialize, Serialize};

use super::admin::{Reply, Request};
use super::child::ChildOpen;
use super::json::json_body;
use super::{Answer, Ask, Blob, Credit, Goodbye, Output, OutputCredit, messages};
use crate::id::{BlobHash, SessionId, TaskId};
use crate::outcome::Outcome;
use crate::task::Task;

messages! {
    /// Everything that a client sends.
    pub enum ToManager {
        /// This is my session.
        Open(Open) = OPEN,
        /// This is the session of a task's client. Only a worker that relays for the task may send it.
        ChildOpen(ChildOpen) = CHILD_OPEN,
        /// Run this task.
        Submit(Task) = SUBMIT,
        /// These outcomes are in hand.
        Ack(Vec<TaskId>) = ACK,
        /// I do not want these tasks any more.
        Cancel(Vec<TaskId>) = CANCEL,
        /// Deliver the outcomes of these detached tasks.
        Collect(Vec<TaskId>) = COLLECT,
        /// A question to the manager.
        Request(Request) = REQUEST,
        /// Bytes that tasks of mine name by their hash.
        Blob(Blob) = BLOB,
        /// This much output of an attempt has been taken.
        OutputCredit(OutputCredit) = OUTPUT_CREDIT,
        /// The answer to a task's question.
        Answer(Answer) = ANSWER,
        /// My session ends.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {
        /// Those were all the tasks that I still wait for.
        Offered = OFFERED,
    }
}

messages! {
    /// Everything that a manager sends to a client.
    pub enum ToClient {
        /// A task ended.
        Outcome(Outcome) = OUTCOME,
        /// These detached tasks are durable.
        Accepted(Vec<TaskId>) = ACCEPTED,
        /// This much may have been submitted on this connection.
        Credit(Credit) = CREDIT,
        /// These blobs are not here (any more).
        NeedBlob(Vec<BlobHash>) = NEED_BLOB,
        /// What a task wrote.
        Output(Output) = OUTPUT,
        /// A task asks its client for something.
        Ask(Ask) = ASK,
        /// The answer to a request.
        Reply(Reply) = REPLY,
        /// The manager leaves.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}

/// Who a client is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Open {
    /// Its name for people; may be empty.
    #[serde(default)]
    pub client: String,
    /// Its host; may be empty.
    #[serde(default)]
    pub host: String,
    /// Its process id; 0 if unknown.
    #[serde(default)]
    pub pid: u32,
    /// Its session.
    pub session: SessionId,
}

impl Open {
    /// A client of which nothing but its session is known.
    #[must_use]
    pub fn of(session: SessionId) -> Self {
        Self { client: String::new(), host: String::new(), pid: 0, session }
    }
}

json_body!(Open, "OPEN");
