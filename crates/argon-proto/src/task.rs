//! A task on its way: the fixed head of SUBMIT and RUN, and what follows it.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::id::{Attempt, AttemptId, BlobHash, TaskId};
use crate::limit;
use crate::payload::{self, Payload, WholePayload};

/// Priority of a waiting task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Priority {
    /// Before all others.
    High,
    /// The default.
    #[default]
    Normal,
    /// After all others, but never starved.
    Low,
}

/// The kind of runner that can execute a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Runtime {
    /// A Perl process.
    Perl,
    /// A Python process.
    Python,
    /// An executable that the client ships.
    Native,
    /// A plain command.
    Exec,
}

/// Encoding of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Codec {
    /// The runtime's own encoding.
    #[default]
    Own,
    /// JSON, for calls across languages.
    Json,
}

/// A set of the flag bits of a task; see the constants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(pub u16);

/// Fixed part of a task, without its blobs, meta and payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskHead {
    /// The task.
    pub id: TaskId,
    /// Number of the start; 0 when a client submits.
    pub attempt: Attempt,
    /// Flags that the client has set.
    pub flags: Flags,
    /// Its urgency.
    pub priority: Priority,
    /// Runtime that can execute it.
    pub runtime: Runtime,
    /// Time limit of one attempt, milliseconds; 0 for the worker's default.
    pub timeout_ms: u32,
    /// Further attempts that the user allows after a failed one.
    pub retries: u16,
    /// Encoding of the payload.
    pub codec: Codec,
    /// Number of its blobs; [`Task::new`] counts them.
    pub blob_count: u8,
    /// Wait before the first retry, milliseconds.
    pub backoff_ms: u32,
    /// Memory limit of the runner, MiB; 0 for none.
    pub memory_mib: u32,
}

/// A whole task as it is handed over: head, blobs, meta and payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    /// The fixed part.
    pub head: TaskHead,
    /// The hashes of its blobs, the code first, and behind them its meta data, as on the wire: one slice for both,
    /// because a manager keeps millions of tasks.
    attached: Bytes,
    /// The arguments.
    pub payload: Payload,
}

impl TaskHead {
    /// The head of a task that was not started yet and asks for nothing special.
    #[must_use]
    pub const fn new(id: TaskId, runtime: Runtime) -> Self {
        Self {
            id,
            attempt: Attempt(0),
            flags: Flags(0),
            priority: Priority::Normal,
            runtime,
            timeout_ms: 0,
            retries: 0,
            codec: Codec::Own,
            blob_count: 0,
            backoff_ms: 0,
            memory_mib: 0,
        }
    }
}

impl Flags {
    /// The task outlives its client.
    pub const DETACHED: Self = Self(0x0001);
    /// Any doubt whether it ran ends it as lost.
    pub const NEVER_TWICE: Self = Self(0x0002);
    /// The client sent this id before, on another connection.
    pub const OFFERED_AGAIN: Self = Self(0x0004);
    /// Retries apply to errors.
    pub const RETRY_ERROR: Self = Self(0x0008);
    /// Retries apply to deaths.
    pub const RETRY_DIED: Self = Self(0x0010);
    /// Retries apply to time-outs.
    pub const RETRY_TIMEOUT: Self = Self(0x0020);
    /// Output is not sent live.
    pub const CAPTURE: Self = Self(0x0040);
    /// The caller wants a list.
    pub const LIST: Self = Self(0x0080);
    /// The report of an error has the stack.
    pub const STACK: Self = Self(0x0100);
    /// Worker to runner: claim the task before you start it.
    pub const AHEAD: Self = Self(0x8000);

    /// True if all bits of `other` are set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These bits without those of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl Priority {
    /// All priorities, the most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// Position in [`Priority::ALL`], and the byte on the wire.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

impl Runtime {
    /// Every runtime, by its name.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Perl, "perl"), (Self::Python, "python"), (Self::Native, "native"), (Self::Exec, "exec")];

    /// The byte on the wire.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Perl => 1,
            Self::Python => 2,
            Self::Native => 3,
            Self::Exec => 4,
        }
    }

    /// The name that people use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Perl => "perl",
            Self::Python => "python",
            Self::Native => "native",
            Self::Exec => "exec",
        }
    }
}

impl Codec {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Own => 0,
            Self::Json => 1,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            0 => Ok(Self::Own),
            1 => Ok(Self::Json),
            other => Err(DecodeError::Field("codec", u64::from(other))),
        }
    }
}

impl Task {
    /// Bytes of the fixed head on the wire.
    pub const HEAD_BYTES: usize = 64;

    /// A task that needs these blobs, the code first. `meta` is JSON for the runtime and for people; it may be empty.
    #[must_use]
    pub fn new(
        mut head: TaskHead,
        blobs: impl IntoIterator<Item = BlobHash>,
        meta: Bytes,
        payload: Payload,
    ) -> Self {
        let mut hashes = blobs.into_iter().peekable();
        head.blob_count = 0;
        if hashes.peek().is_none() {
            return Self { head, attached: meta, payload };
        }
        let mut attached = Vec::with_capacity(BlobHash::BYTES * hashes.size_hint().0 + meta.len());
        for hash in hashes {
            attached.extend_from_slice(&hash.0);
            head.blob_count = head.blob_count.saturating_add(1);
        }
        attached.extend_from_slice(&meta);
        Self { head, attached: attached.into(), payload }
    }

    /// The attempt that this is.
    #[must_use]
    pub fn attempt_id(&self) -> AttemptId {
        AttemptId { task: self.head.id, attempt: self.head.attempt }
    }

    /// The hashes of its blobs, the code first.
    pub fn blob_hashes(&self) -> impl ExactSizeIterator<Item = BlobHash> + Clone + '_ {
        let (hashes, _) = self.attached[..self.meta_begins()].as_chunks();
        hashes.iter().copied().map(BlobHash)
    }

    /// The executable that its runner is a process of, for runtimes whose program travels with the task: the first blob.
    #[must_use]
    pub fn executable(&self) -> Option<BlobHash> {
        match self.head.runtime {
            Runtime::Native => self.blob_hashes().next(),
            Runtime::Perl | Runtime::Python | Runtime::Exec => None,
        }
    }

    /// The hashes of its blobs one behind the other, sharing its memory.
    #[must_use]
    pub fn blobs(&self) -> Bytes {
        self.attached.slice(..self.meta_begins())
    }

    /// JSON for the runtime and for people; may be empty.
    #[must_use]
    pub fn meta(&self) -> &[u8] {
        &self.attached[self.meta_begins()..]
    }

    fn meta_begins(&self) -> usize {
        (BlobHash::BYTES * usize::from(self.head.blob_count)).min(self.attached.len())
    }

    /// Bytes that the task occupies in addition to its head: what credit and memory bounds count.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.payload.len() + self.attached.len() as u64
    }

    /// Bytes of it in memory, in addition to its head.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.payload.resident() + self.attached.len() as u64
    }

    /// Copies what is small, for a task that is kept: it shares the memory of a whole read until then.
    pub fn compact(&mut self) {
        payload::compact(&mut self.attached);
        self.payload.compact();
    }

    /// Writes head, blob hashes and meta; the payload follows as the caller wants to send it.
    pub(crate) fn encode_head(&self, stream: u32, out: &mut BytesMut) {
        let head = &self.head;
        let mut bytes = [0; Self::HEAD_BYTES];
        // Written in one go: the buffer is asked once whether there is room.
        let mut fixed = bytes.as_mut_slice();
        fixed.put_slice(&head.id.to_bytes());
        fixed.put_u32(head.attempt.0);
        fixed.put_u16(head.flags.0);
        fixed.put_u8(head.priority.index() as u8);
        fixed.put_u8(head.runtime.to_byte());
        fixed.put_u32(head.timeout_ms);
        fixed.put_u16(head.retries);
        fixed.put_u8(head.codec.to_byte());
        fixed.put_u8(head.blob_count);
        fixed.put_u32(head.backoff_ms);
        fixed.put_u32(head.memory_mib);
        fixed.put_u32(self.meta().len() as u32);
        fixed.put_u32(stream);
        fixed.put_u64(self.payload.len());
        out.put_slice(&bytes);
        out.put_slice(&self.attached);
    }

    /// Reads a task with the first part of its payload.
    pub(crate) fn decode(mut body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
        let Some(mut fixed) = body.get(..Self::HEAD_BYTES) else {
            return Err(DecodeError::Short("task head"));
        };
        let mut id = [0; TaskId::BYTES];
        fixed.copy_to_slice(&mut id);
        let attempt = Attempt(fixed.get_u32());
        let flags = Flags(fixed.get_u16());
        let priority =
            *Priority::ALL.get(usize::from(fixed.get_u8())).ok_or(DecodeError::Field("priority", 0))?;
        let runtime = runtime_from_byte(fixed.get_u8())?;
        let timeout_ms = fixed.get_u32();
        let retries = fixed.get_u16();
        let codec = Codec::from_byte(fixed.get_u8())?;
        let blob_count = fixed.get_u8();
        let backoff_ms = fixed.get_u32();
        let memory_mib = fixed.get_u32();
        let meta_length = fixed.get_u32() as usize;
        *whole = WholePayload { stream: fixed.get_u32(), length: fixed.get_u64() };
        body.advance(Self::HEAD_BYTES);
        if usize::from(blob_count) > limit::BLOBS_PER_TASK {
            return Err(DecodeError::Field("blob_count", u64::from(blob_count)));
        }
        if meta_length > limit::META_BYTES {
            return Err(DecodeError::Field("meta_length", meta_length as u64));
        }
        let attached_length = BlobHash::BYTES * usize::from(blob_count) + meta_length;
        if body.len() < attached_length {
            return Err(DecodeError::Short("task blobs and meta"));
        }
        let attached = body.split_to(attached_length);
        Ok(Self {
            head: TaskHead {
                id: TaskId::from_bytes(id),
                attempt,
                flags,
                priority,
                runtime,
                timeout_ms,
                retries,
                codec,
                blob_count,
                backoff_ms,
                memory_mib,
            },
            attached,
            payload: body.into(),
        })
    }
}

fn runtime_from_byte(byte: u8) -> Result<Runtime, DecodeError> {
    match byte {
        1 => Ok(Runtime::Perl),
        2 => Ok(Runtime::Python),
        3 => Ok(Runtime::Native),
        4 => Ok(Runtime::Exec),
        other => Err(DecodeError::Field("runtime", u64::from(other))),
    }
}
