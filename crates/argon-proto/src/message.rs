//! Every message of the wire as one enum, and its translation to and from a frame's kind and body.
//!
//! A message whose payload exceeds [`limit::INLINE_BYTES`] leaves here with the beginning of it only;
//! the frame codec sends and collects the rest.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::id::{Attempt, BlobHash, TaskId};
use crate::limit;
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
}

/// Bytes that are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame ends before the message does.
    #[error("a frame is too short for its {0}")]
    Short(&'static str),
    /// A field holds a value that it cannot have.
    #[error("the field {0} cannot be {1}")]
    Field(&'static str, u64),
    /// No message has this kind.
    #[error("there is no message of kind 0x{0:02x}")]
    Kind(u8),
    /// A frame is larger than allowed, or empty.
    #[error("a frame of {0} bytes is not allowed here (at most {1})")]
    Frame(u64, u64),
    /// A payload is larger than allowed.
    #[error("a payload of {0} bytes is not allowed (at most {1})")]
    Payload(u64, u64),
    /// A chunk that belongs to nothing, or is longer than what it belongs to.
    #[error("a chunk for stream {0} does not fit anything under way")]
    Chunk(u32),
    /// A blob's bytes do not have the hash that was named.
    #[error("the bytes of blob {0} have another hash")]
    BlobHash(BlobHash),
}

/// The byte that names each message on the wire.
pub mod kind {
    #![allow(missing_docs, reason = "the names are those of the specification")]
    pub const HELLO: u8 = 0x01;
    pub const CHALLENGE: u8 = 0x02;
    pub const PROOF: u8 = 0x03;
    pub const WELCOME: u8 = 0x04;
    pub const REFUSED: u8 = 0x05;
    pub const PING: u8 = 0x08;
    pub const PONG: u8 = 0x09;
    pub const GOODBYE: u8 = 0x0A;
    pub const OPEN: u8 = 0x10;
    pub const SUBMIT: u8 = 0x11;
    pub const OFFERED: u8 = 0x12;
    pub const ACK: u8 = 0x13;
    pub const CANCEL: u8 = 0x14;
    pub const COLLECT: u8 = 0x15;
    pub const REQUEST: u8 = 0x16;
    pub const REPLY: u8 = 0x17;
    pub const ACCEPTED: u8 = 0x18;
    pub const CREDIT: u8 = 0x19;
    pub const BLOB: u8 = 0x20;
    pub const NEED_BLOB: u8 = 0x21;
    pub const CHUNK: u8 = 0x22;
    pub const REGISTER: u8 = 0x30;
    pub const REGISTERED: u8 = 0x31;
    pub const RUN: u8 = 0x32;
    pub const OUTCOME: u8 = 0x33;
    pub const SETTLED: u8 = 0x34;
    pub const STOP: u8 = 0x35;
    pub const RECALL: u8 = 0x36;
    pub const RETURNED: u8 = 0x37;
    pub const OUTPUT: u8 = 0x38;
    pub const OUTPUT_CREDIT: u8 = 0x39;
    pub const DRAIN: u8 = 0x3A;
    pub const DRAINING: u8 = 0x3B;
    pub const ASK: u8 = 0x3C;
    pub const ANSWER: u8 = 0x3D;
    pub const READY: u8 = 0x40;
}

/// A message as its frame told it, perhaps with more payload to come.
pub(crate) struct Beginning {
    pub(crate) message: Message,
    /// The stream that carries the rest; 0 when there is none.
    pub(crate) stream: u32,
    /// Length of the whole payload.
    pub(crate) payload_length: u64,
}

impl AttemptId {
    const BYTES: usize = TaskId::BYTES + 4;

    fn encode(self, out: &mut BytesMut) {
        out.put_slice(&self.task.to_bytes());
        out.put_u32(self.attempt.0);
    }

    fn decode(body: &mut Bytes) -> Result<Self, DecodeError> {
        if body.len() < Self::BYTES {
            return Err(DecodeError::Short("attempt id"));
        }
        let mut id = [0; TaskId::BYTES];
        body.copy_to_slice(&mut id);
        Ok(Self { task: TaskId::from_bytes(id), attempt: Attempt(body.get_u32()) })
    }
}

impl Message {
    /// The payload that may be too big for one frame.
    #[allow(clippy::wildcard_enum_match_arm, reason = "a message without payload needs no line here")]
    pub(crate) fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Submit(task) | Self::Run(task) => Some(&task.payload),
            Self::Outcome(outcome) => Some(&outcome.payload),
            Self::Blob { payload, .. } => Some(payload),
            _ => None,
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "a message without payload needs no line here")]
    pub(crate) fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self {
            Self::Submit(task) | Self::Run(task) => Some(&mut task.payload),
            Self::Outcome(outcome) => Some(&mut outcome.payload),
            Self::Blob { payload, .. } => Some(payload),
            _ => None,
        }
    }

    /// Writes the kind and the body without its payload.
    pub(crate) fn encode_head(&self, stream: u32, out: &mut BytesMut) {
        match self {
            Self::Refused(json) => json_body(kind::REFUSED, json, out),
            Self::Ping(token) => number_body(kind::PING, *token, out),
            Self::Pong(token) => number_body(kind::PONG, *token, out),
            Self::Goodbye(json) => json_body(kind::GOODBYE, json, out),
            Self::Open(json) => json_body(kind::OPEN, json, out),
            Self::Submit(task) => {
                out.put_u8(kind::SUBMIT);
                task.encode_head(stream, out);
            }
            Self::Offered => out.put_u8(kind::OFFERED),
            Self::Ack(ids) => task_ids_body(kind::ACK, ids, out),
            Self::Cancel(ids) => task_ids_body(kind::CANCEL, ids, out),
            Self::Collect(ids) => task_ids_body(kind::COLLECT, ids, out),
            Self::Request(json) => json_body(kind::REQUEST, json, out),
            Self::Reply(json) => json_body(kind::REPLY, json, out),
            Self::Accepted(ids) => task_ids_body(kind::ACCEPTED, ids, out),
            Self::Credit { tasks, bytes } => {
                number_body(kind::CREDIT, *tasks, out);
                out.put_u64(*bytes);
            }
            Self::Blob { hash, payload } => {
                out.put_u8(kind::BLOB);
                out.put_slice(&hash.0);
                out.put_u32(stream);
                out.put_u64(payload.len());
            }
            Self::NeedBlob(hashes) => {
                out.put_u8(kind::NEED_BLOB);
                hashes.iter().for_each(|hash| out.put_slice(&hash.0));
            }
            Self::Register(json) => json_body(kind::REGISTER, json, out),
            Self::Registered(json) => json_body(kind::REGISTERED, json, out),
            Self::Run(task) => {
                out.put_u8(kind::RUN);
                task.encode_head(stream, out);
            }
            Self::Outcome(outcome) => {
                out.put_u8(kind::OUTCOME);
                outcome.encode_head(stream, out);
            }
            Self::Settled(ids) => attempt_ids_body(kind::SETTLED, ids, out),
            Self::Stop(ids) => attempt_ids_body(kind::STOP, ids, out),
            Self::Recall(count) => {
                out.put_u8(kind::RECALL);
                out.put_u32(*count);
            }
            Self::Returned(ids) => attempt_ids_body(kind::RETURNED, ids, out),
            Self::Output { from, fd, bytes } => {
                out.put_u8(kind::OUTPUT);
                from.encode(out);
                out.put_u8(*fd);
                out.put_slice(bytes);
            }
            Self::OutputCredit { to, bytes } => {
                out.put_u8(kind::OUTPUT_CREDIT);
                to.encode(out);
                out.put_u64(*bytes);
            }
            Self::Drain(json) => json_body(kind::DRAIN, json, out),
            Self::Draining(json) => json_body(kind::DRAINING, json, out),
            Self::Ask { from, ask, question } => {
                out.put_u8(kind::ASK);
                from.encode(out);
                out.put_u32(*ask);
                out.put_slice(question);
            }
            Self::Answer { to, ask, found, bytes } => {
                out.put_u8(kind::ANSWER);
                to.encode(out);
                out.put_u32(*ask);
                out.put_u8(u8::from(!*found));
                out.put_slice(bytes);
            }
            Self::Ready(json) => json_body(kind::READY, json, out),
        }
    }

    /// Reads a message from a frame's kind and body.
    pub(crate) fn decode(kind: u8, mut body: Bytes) -> Result<Beginning, DecodeError> {
        let message = match kind {
            kind::SUBMIT => {
                let (task, stream, length) = Task::decode(body)?;
                return Beginning::new(Self::Submit(task), stream, length);
            }
            kind::RUN => {
                let (task, stream, length) = Task::decode(body)?;
                return Beginning::new(Self::Run(task), stream, length);
            }
            kind::OUTCOME => {
                let (outcome, stream, length) = Outcome::decode(body)?;
                return Beginning::new(Self::Outcome(outcome), stream, length);
            }
            kind::BLOB => return decode_blob(body),
            kind::REFUSED => Self::Refused(body),
            kind::PING => Self::Ping(take_u64(&mut body, "ping")?),
            kind::PONG => Self::Pong(take_u64(&mut body, "pong")?),
            kind::GOODBYE => Self::Goodbye(body),
            kind::OPEN => Self::Open(body),
            kind::OFFERED => Self::Offered,
            kind::ACK => Self::Ack(decode_task_ids(&body)?),
            kind::CANCEL => Self::Cancel(decode_task_ids(&body)?),
            kind::COLLECT => Self::Collect(decode_task_ids(&body)?),
            kind::REQUEST => Self::Request(body),
            kind::REPLY => Self::Reply(body),
            kind::ACCEPTED => Self::Accepted(decode_task_ids(&body)?),
            kind::CREDIT => {
                Self::Credit { tasks: take_u64(&mut body, "credit")?, bytes: take_u64(&mut body, "credit")? }
            }
            kind::NEED_BLOB => Self::NeedBlob(decode_hashes(&body)?),
            kind::REGISTER => Self::Register(body),
            kind::REGISTERED => Self::Registered(body),
            kind::SETTLED => Self::Settled(decode_attempt_ids(body)?),
            kind::STOP => Self::Stop(decode_attempt_ids(body)?),
            kind::RECALL => Self::Recall(take_u32(&mut body, "recall")?),
            kind::RETURNED => Self::Returned(decode_attempt_ids(body)?),
            kind::OUTPUT => Self::Output {
                from: AttemptId::decode(&mut body)?,
                fd: take_u8(&mut body, "output")?,
                bytes: body,
            },
            kind::OUTPUT_CREDIT => Self::OutputCredit {
                to: AttemptId::decode(&mut body)?,
                bytes: take_u64(&mut body, "output credit")?,
            },
            kind::DRAIN => Self::Drain(body),
            kind::DRAINING => Self::Draining(body),
            kind::ASK => Self::Ask {
                from: AttemptId::decode(&mut body)?,
                ask: take_u32(&mut body, "ask")?,
                question: body,
            },
            kind::ANSWER => Self::Answer {
                to: AttemptId::decode(&mut body)?,
                ask: take_u32(&mut body, "answer")?,
                found: take_u8(&mut body, "answer")? == 0,
                bytes: body,
            },
            kind::READY => Self::Ready(body),
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Beginning { message, stream: 0, payload_length: 0 })
    }
}

impl Beginning {
    fn new(message: Message, stream: u32, payload_length: u64) -> Result<Self, DecodeError> {
        if payload_length > limit::PAYLOAD_BYTES {
            return Err(DecodeError::Payload(payload_length, limit::PAYLOAD_BYTES));
        }
        let here = message.payload().map_or(0, Payload::len);
        let fits = if stream == 0 { here == payload_length } else { here <= payload_length };
        if !fits {
            return Err(DecodeError::Field("payload_length", payload_length));
        }
        Ok(Self { message, stream, payload_length })
    }
}

fn json_body(kind: u8, json: &[u8], out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_slice(json);
}

fn number_body(kind: u8, number: u64, out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_u64(number);
}

fn task_ids_body(kind: u8, ids: &[TaskId], out: &mut BytesMut) {
    out.put_u8(kind);
    ids.iter().for_each(|id| out.put_slice(&id.to_bytes()));
}

fn attempt_ids_body(kind: u8, ids: &[AttemptId], out: &mut BytesMut) {
    out.put_u8(kind);
    ids.iter().for_each(|id| id.encode(out));
}

fn decode_blob(mut body: Bytes) -> Result<Beginning, DecodeError> {
    if body.len() < 44 {
        return Err(DecodeError::Short("blob head"));
    }
    let mut hash = [0; 32];
    body.copy_to_slice(&mut hash);
    let stream = body.get_u32();
    let length = body.get_u64();
    let message = Message::Blob { hash: BlobHash(hash), payload: body.into() };
    Beginning::new(message, stream, length)
}

fn decode_task_ids(body: &Bytes) -> Result<Vec<TaskId>, DecodeError> {
    let (ids, rest) = body.as_chunks::<{ TaskId::BYTES }>();
    if !rest.is_empty() {
        return Err(DecodeError::Short("list of task ids"));
    }
    Ok(ids.iter().map(|id| TaskId::from_bytes(*id)).collect())
}

fn decode_hashes(body: &Bytes) -> Result<Vec<BlobHash>, DecodeError> {
    let (hashes, rest) = body.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(DecodeError::Short("list of hashes"));
    }
    Ok(hashes.iter().map(|hash| BlobHash(*hash)).collect())
}

fn decode_attempt_ids(mut body: Bytes) -> Result<Vec<AttemptId>, DecodeError> {
    let mut ids = Vec::with_capacity(body.len() / AttemptId::BYTES);
    while !body.is_empty() {
        ids.push(AttemptId::decode(&mut body)?);
    }
    Ok(ids)
}

fn take_u8(body: &mut Bytes, what: &'static str) -> Result<u8, DecodeError> {
    body.try_get_u8().map_err(|_| DecodeError::Short(what))
}

fn take_u32(body: &mut Bytes, what: &'static str) -> Result<u32, DecodeError> {
    body.try_get_u32().map_err(|_| DecodeError::Short(what))
}

fn take_u64(body: &mut Bytes, what: &'static str) -> Result<u64, DecodeError> {
    body.try_get_u64().map_err(|_| DecodeError::Short(what))
}
