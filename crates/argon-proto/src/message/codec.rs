//! Between messages and the kind and body of a frame.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{AttemptId, Message, kind};
use crate::error::DecodeError;
use crate::id::{Attempt, BlobHash, TaskId};
use crate::limit;
use crate::outcome::Outcome;
use crate::payload::Payload;
use crate::task::Task;

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
            Self::OutputLeft => out.put_u8(kind::OUTPUT_LEFT),
            Self::OutputTaken => out.put_u8(kind::OUTPUT_TAKEN),
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
            kind::OUTPUT_LEFT => Self::OutputLeft,
            kind::OUTPUT_TAKEN => Self::OutputTaken,
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
