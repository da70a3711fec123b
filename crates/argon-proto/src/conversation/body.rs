//! Bodies of messages and their one codec: fixed binary heads for what is frequent, JSON for what is rare.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::capability::{Ticket, TicketToken};
use crate::error::DecodeError;
use crate::id::{Attempt, AttemptId, BlobHash, TaskId};
use crate::outcome::Outcome;
use crate::payload::{Payload, WholePayload};
use crate::task::Task;

/// Content of a frame behind its kind.
pub(crate) trait Body: Sized {
    /// Writes the body without its payload; `stream` is 0 if the payload follows inline.
    fn encode(&self, stream: u32, out: &mut BytesMut);

    /// Reads a body; sets `whole` if it has a payload.
    fn decode(body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError>;

    fn payload(&self) -> Option<&Payload> {
        None
    }

    fn payload_mut(&mut self) -> Option<&mut Payload> {
        None
    }

    fn blob(&self) -> Option<&Blob> {
        None
    }

    fn compact(&mut self) {}
}

/// A rare body that is larger than those of tasks: every message would grow with it, and each is moved a few times.
impl<B: Body> Body for Box<B> {
    fn encode(&self, stream: u32, out: &mut BytesMut) {
        B::encode(self, stream, out);
    }

    fn decode(body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
        B::decode(body, whole).map(Self::new)
    }

    fn payload(&self) -> Option<&Payload> {
        B::payload(self)
    }

    fn payload_mut(&mut self) -> Option<&mut Payload> {
        B::payload_mut(self)
    }

    fn blob(&self) -> Option<&Blob> {
        B::blob(self)
    }
}

/// Bytes that tasks name by their hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blob {
    /// SHA-256 of the bytes.
    pub hash: BlobHash,
    /// The bytes.
    pub payload: Payload,
}

/// Credit of a client: totals that it may send on its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credit {
    /// Tasks, cumulative.
    pub tasks: u64,
    /// Payload bytes, cumulative.
    pub bytes: u64,
}

/// Output of an attempt on one of its descriptors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskOutput {
    /// The attempt that wrote it.
    pub from: AttemptId,
    /// 1 or 2; [`super::LOG_FD`] for a log record.
    pub fd: u8,
    /// The bytes.
    pub bytes: Bytes,
}

/// Total output of an attempt that has been taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputCredit {
    /// The attempt.
    pub to: AttemptId,
    /// Bytes, cumulative.
    pub bytes: u64,
}

/// A question that a task asks its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// The attempt that asks.
    pub from: AttemptId,
    /// The runner's number for the question.
    pub ask: u32,
    /// The question, in JSON.
    pub question: Bytes,
}

/// The client's answer to a task's question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The attempt that asked.
    pub to: AttemptId,
    /// The runner's number for the question.
    pub ask: u32,
    /// True if there is what was asked for.
    pub found: bool,
    /// The blob or answer, or the reason why there is none.
    pub bytes: Bytes,
}

impl Body for Task {
    fn encode(&self, stream: u32, out: &mut BytesMut) {
        self.encode_head(stream, out);
    }

    #[inline]
    fn decode(body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
        Self::decode(body, whole)
    }

    fn payload(&self) -> Option<&Payload> {
        Some(&self.payload)
    }

    fn payload_mut(&mut self) -> Option<&mut Payload> {
        Some(&mut self.payload)
    }

    fn compact(&mut self) {
        Self::compact(self);
    }
}

impl Body for Outcome {
    fn encode(&self, stream: u32, out: &mut BytesMut) {
        self.encode_head(stream, out);
    }

    #[inline]
    fn decode(body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
        Self::decode(body, whole)
    }

    fn payload(&self) -> Option<&Payload> {
        Some(&self.payload)
    }

    fn payload_mut(&mut self) -> Option<&mut Payload> {
        Some(&mut self.payload)
    }

    fn compact(&mut self) {
        Self::compact(self);
    }
}

impl Body for Blob {
    fn encode(&self, stream: u32, out: &mut BytesMut) {
        out.put_slice(&self.hash.0);
        out.put_u32(stream);
        out.put_u64(self.payload.len());
    }

    fn decode(mut body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
        if body.len() < 44 {
            return Err(DecodeError::Short("blob head"));
        }
        let mut hash = [0; 32];
        body.copy_to_slice(&mut hash);
        *whole = WholePayload { stream: body.get_u32(), length: body.get_u64() };
        Ok(Self { hash: BlobHash(hash), payload: body.into() })
    }

    fn payload(&self) -> Option<&Payload> {
        Some(&self.payload)
    }

    fn payload_mut(&mut self) -> Option<&mut Payload> {
        Some(&mut self.payload)
    }

    fn blob(&self) -> Option<&Self> {
        Some(self)
    }
}

/// A [`Body`] that has no payload.
macro_rules! plain_body {
    ($type:ty, $encode:expr, $decode:expr) => {
        impl $crate::conversation::body::Body for $type {
            fn encode(&self, _: u32, out: &mut bytes::BytesMut) {
                let encode: fn(&Self, &mut bytes::BytesMut) = $encode;
                encode(self, out);
            }

            fn decode(
                body: bytes::Bytes,
                _: &mut $crate::conversation::WholePayload,
            ) -> Result<Self, $crate::error::DecodeError> {
                let decode: fn(bytes::Bytes) -> Result<Self, $crate::error::DecodeError> = $decode;
                decode(body)
            }
        }
    };
}

pub(super) use plain_body;

plain_body!(u32, |number, out| out.put_u32(*number), |mut body| take_u32(&mut body, "number"));
plain_body!(u64, |number, out| out.put_u64(*number), |mut body| take_u64(&mut body, "number"));

plain_body!(
    Credit,
    |credit, out| {
        out.put_u64(credit.tasks);
        out.put_u64(credit.bytes);
    },
    |mut body| Ok(Self { tasks: take_u64(&mut body, "credit")?, bytes: take_u64(&mut body, "credit")? })
);

plain_body!(
    TaskOutput,
    |output, out| {
        put_attempt(output.from, out);
        out.put_u8(output.fd);
        out.put_slice(&output.bytes);
    },
    |mut body| Ok(Self { from: take_attempt(&mut body)?, fd: take_u8(&mut body, "output")?, bytes: body })
);

plain_body!(
    OutputCredit,
    |credit, out| {
        put_attempt(credit.to, out);
        out.put_u64(credit.bytes);
    },
    |mut body| Ok(Self { to: take_attempt(&mut body)?, bytes: take_u64(&mut body, "output credit")? })
);

plain_body!(
    Ask,
    |ask, out| {
        put_attempt(ask.from, out);
        out.put_u32(ask.ask);
        out.put_slice(&ask.question);
    },
    |mut body| Ok(Self { from: take_attempt(&mut body)?, ask: take_u32(&mut body, "ask")?, question: body })
);

plain_body!(
    Answer,
    |answer, out| {
        put_attempt(answer.to, out);
        out.put_u32(answer.ask);
        out.put_u8(u8::from(!answer.found));
        out.put_slice(&answer.bytes);
    },
    |mut body| {
        Ok(Self {
            to: take_attempt(&mut body)?,
            ask: take_u32(&mut body, "answer")?,
            found: take_u8(&mut body, "answer")? == 0,
            bytes: body,
        })
    }
);

plain_body!(Vec<TaskId>, |ids, out| ids.iter().for_each(|id| out.put_slice(&id.to_bytes())), |body| {
    let (ids, rest) = body.as_chunks::<{ TaskId::BYTES }>();
    if !rest.is_empty() {
        return Err(DecodeError::Short("list of task ids"));
    }
    Ok(ids.iter().map(|id| TaskId::from_bytes(*id)).collect())
});

plain_body!(Vec<Ticket>, |tickets, out| tickets.iter().for_each(|ticket| put_ticket(*ticket, out)), |body| {
    let (tickets, rest) = body.as_chunks::<{ Ticket::BYTES }>();
    if !rest.is_empty() {
        return Err(DecodeError::Short("list of tickets"));
    }
    Ok(tickets.iter().map(ticket_from).collect())
});

plain_body!(Vec<BlobHash>, |hashes, out| hashes.iter().for_each(|hash| out.put_slice(&hash.0)), |body| {
    let (hashes, rest) = body.as_chunks::<{ BlobHash::BYTES }>();
    if !rest.is_empty() {
        return Err(DecodeError::Short("list of hashes"));
    }
    Ok(hashes.iter().map(|hash| BlobHash(*hash)).collect())
});

plain_body!(Vec<AttemptId>, |ids, out| ids.iter().for_each(|id| put_attempt(*id, out)), |mut body| {
    let mut ids = Vec::with_capacity(body.len() / ATTEMPT_ID_BYTES);
    while !body.is_empty() {
        ids.push(take_attempt(&mut body)?);
    }
    Ok(ids)
});

const ATTEMPT_ID_BYTES: usize = TaskId::BYTES + 4;

fn put_ticket(ticket: Ticket, out: &mut BytesMut) {
    out.put_slice(&ticket.id.to_bytes());
    out.put_slice(&ticket.token.0);
}

fn ticket_from(bytes: &[u8; Ticket::BYTES]) -> Ticket {
    let (mut id, mut token) = ([0; TaskId::BYTES], [0; 16]);
    id.copy_from_slice(&bytes[..TaskId::BYTES]);
    token.copy_from_slice(&bytes[TaskId::BYTES..]);
    Ticket { id: TaskId::from_bytes(id), token: TicketToken(token) }
}

#[cfg(feature = "servers")]
pub(super) fn take_attempt_token(body: &mut Bytes) -> Result<crate::AttemptToken, DecodeError> {
    take_u64(body, "attempt token").map(crate::AttemptToken)
}

pub(super) fn put_attempt(id: AttemptId, out: &mut BytesMut) {
    out.put_slice(&id.task.to_bytes());
    out.put_u32(id.attempt.0);
}

pub(super) fn take_attempt(body: &mut Bytes) -> Result<AttemptId, DecodeError> {
    if body.len() < ATTEMPT_ID_BYTES {
        return Err(DecodeError::Short("attempt id"));
    }
    let mut id = [0; TaskId::BYTES];
    body.copy_to_slice(&mut id);
    Ok(AttemptId { task: TaskId::from_bytes(id), attempt: Attempt(body.get_u32()) })
}

pub(super) fn take_u8(body: &mut Bytes, what: &'static str) -> Result<u8, DecodeError> {
    body.try_get_u8().map_err(|_| DecodeError::Short(what))
}

pub(super) fn take_bool(body: &mut Bytes, what: &'static str) -> Result<bool, DecodeError> {
    match take_u8(body, what)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::Field(what, u64::from(other))),
    }
}

pub(super) fn take_u32(body: &mut Bytes, what: &'static str) -> Result<u32, DecodeError> {
    body.try_get_u32().map_err(|_| DecodeError::Short(what))
}

pub(super) fn take_u64(body: &mut Bytes, what: &'static str) -> Result<u64, DecodeError> {
    body.try_get_u64().map_err(|_| DecodeError::Short(what))
}
