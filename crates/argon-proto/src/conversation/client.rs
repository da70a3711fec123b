//! Between a client and its manager (`spec/protocol.md`, section 7).

use super::admin::{Reply, Request};
use super::child::ChildOpen;
pub use super::open::Open;
use super::{Answer, Ask, Blob, Credit, Goodbye, OutputCredit, TaskOutput, messages};
use crate::capability::Ticket;
use crate::id::{BlobHash, TaskId};
use crate::outcome::Outcome;
use crate::task::Task;

messages! {
    /// Messages of a client.
    pub enum ToManager {
        /// This is my session.
        Open(Open) = OPEN,
        /// This is the session of a task's client. Only a worker that relays for the task may send it.
        ChildOpen(Box<ChildOpen>) = CHILD_OPEN,
        /// Run this task.
        Submit(Task) = SUBMIT,
        /// These outcomes are in hand.
        Ack(Vec<TaskId>) = ACK,
        /// I do not want these tasks of my session any more.
        Cancel(Vec<TaskId>) = CANCEL,
        /// Deliver the outcomes of these detached tasks.
        Collect(Vec<Ticket>) = COLLECT,
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
        /// The client has offered all tasks that it still waits for.
        Offered = OFFERED,
    }
}

messages! {
    /// Messages of a manager to a client.
    pub enum ToClient {
        /// A task ended.
        Outcome(Outcome) = OUTCOME,
        /// These detached tasks are durable, and this is the right to each.
        Accepted(Vec<Ticket>) = ACCEPTED,
        /// This much may have been submitted on this connection.
        Credit(Credit) = CREDIT,
        /// These blobs are not here (any more).
        NeedBlob(Vec<BlobHash>) = NEED_BLOB,
        /// Output of a task.
        Output(TaskOutput) = OUTPUT,
        /// A task asks its client for something.
        Ask(Ask) = ASK,
        /// The answer to a request.
        Reply(Reply) = REPLY,
        /// The manager leaves.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}
