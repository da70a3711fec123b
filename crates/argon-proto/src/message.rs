//! Every message of the wire as one enum, and its translation to and from a frame's kind and body.
//!
//! A message whose payload exceeds [`crate::limit::INLINE_BYTES`] leaves here with the beginning of it only;
//! the frame codec sends and collects the rest.

mod codec;
pub mod kind;

use bytes::Bytes;

use crate::id::{Attempt, BlobHash, TaskId};
use crate::outcome::Outcome;
use crate::payload::Payload;
use crate::task::Task;

/// A task's one start: what STOP, SETTLED and RETURNED name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// Which start of it.
    pub attempt: Attempt,
}

/// A message after the handshake. Cold ones carry their JSON unread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// A refusal in words; the connection ends.
    Refused(Bytes),
    /// A sign of life that wants an answer.
    Ping(u64),
    /// The answer.
    Pong(u64),
    /// An orderly end of the connection.
    Goodbye(Bytes),
    /// Client: this is my session.
    Open(Bytes),
    /// Client: run this task.
    Submit(Task),
    /// Client: those were all the tasks I still wait for.
    Offered,
    /// Client: these outcomes are in hand.
    Ack(Vec<TaskId>),
    /// Client: I do not want these tasks any more.
    Cancel(Vec<TaskId>),
    /// Client: deliver the outcomes of these detached tasks.
    Collect(Vec<TaskId>),
    /// Client: a question, in JSON.
    Request(Bytes),
    /// Manager: its answer, in JSON.
    Reply(Bytes),
    /// Manager: these detached tasks are durable.
    Accepted(Vec<TaskId>),
    /// Manager: this much may have been submitted on this connection, in all.
    Credit {
        /// Tasks, cumulative.
        tasks: u64,
        /// Payload bytes, cumulative.
        bytes: u64,
    },
    /// Bytes that tasks name by their hash.
    Blob {
        /// SHA-256 of the bytes.
        hash: BlobHash,
        /// The bytes.
        payload: Payload,
    },
    /// These blobs are not here (any more).
    NeedBlob(Vec<BlobHash>),
    /// Worker: who I am and what I hold.
    Register(Bytes),
    /// Manager: you are known as this.
    Registered(Bytes),
    /// Manager, worker: execute this attempt.
    Run(Task),
    /// An attempt, or a task, ended.
    Outcome(Outcome),
    /// Manager: these outcomes need not be kept.
    Settled(Vec<AttemptId>),
    /// Manager: kill or forget these attempts.
    Stop(Vec<AttemptId>),
    /// Manager: give back up to so many attempts that have not started.
    Recall(u32),
    /// Worker: these have not started and are yours again.
    Returned(Vec<AttemptId>),
    /// What a task wrote.
    Output {
        /// The attempt that wrote it.
        from: AttemptId,
        /// 1 or 2.
        fd: u8,
        /// The bytes.
        bytes: Bytes,
    },
    /// So many output bytes of the attempt have been taken, in all.
    OutputCredit {
        /// The attempt.
        to: AttemptId,
        /// Bytes, cumulative.
        bytes: u64,
    },
    /// Manager: finish what you run, take no more, leave.
    Drain(Bytes),
    /// Worker: send me no more.
    Draining(Bytes),
    /// A task asks its client for something, in JSON.
    Ask {
        /// The attempt that asks.
        from: AttemptId,
        /// The runner's number for the question.
        ask: u32,
        /// The question.
        question: Bytes,
    },
    /// The client's answer.
    Answer {
        /// The attempt that asked.
        to: AttemptId,
        /// The runner's number for the question.
        ask: u32,
        /// Whether there is what was asked for.
        found: bool,
        /// It, or why not.
        bytes: Bytes,
    },
    /// Runner: ready for tasks.
    Ready(Bytes),
    /// Runner: the pipes hold output of the task that ends now.
    OutputLeft,
    /// Worker: what the pipes held has been taken.
    OutputTaken,
}
