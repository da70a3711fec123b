//! Bytes that are not a message. The texts name the field or the kind; the reader adds who the peer is.

use crate::handshake::RefusalCode;
use crate::id::BlobHash;
use crate::kind;

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
    /// The message exists, but its sender may not send it in this conversation.
    #[error("the peer may not send {name} here", name = kind::name(*.0).unwrap_or("that"))]
    Misplaced(u8),
    /// A JSON body that is not what its message must hold.
    #[error("{0} cannot be read: {1}")]
    Json(&'static str, String),
    /// A frame is larger than allowed, or empty.
    #[error("a frame of {0} bytes is not allowed here (at most {1})")]
    Frame(u64, u64),
    /// A payload is larger than allowed.
    #[error("a payload of {0} bytes is not allowed (at most {1})")]
    Payload(u64, u64),
    /// A chunk that belongs to nothing, or is longer than what it belongs to.
    #[error("a chunk for stream {0} does not fit anything under way")]
    Chunk(u32),
    /// A chunk without bytes: streams of them would never end.
    #[error("a chunk for stream {0} has no bytes")]
    EmptyChunk(u32),
    /// Too many payloads have begun and not ended.
    #[error("{0} payloads have begun and not ended (at most {1})")]
    Streams(usize, usize),
    /// A blob's bytes do not have the hash that was named.
    #[error("the bytes of blob {0} have another hash")]
    BlobHash(BlobHash),
}

impl DecodeError {
    /// The reason with which the sender of such bytes is refused.
    #[must_use]
    pub fn refusal_code(&self) -> RefusalCode {
        match self {
            Self::Misplaced(_) => RefusalCode::Role,
            Self::Payload(..) => RefusalCode::Payload,
            Self::Short(_)
            | Self::Field(..)
            | Self::Kind(_)
            | Self::Json(..)
            | Self::Frame(..)
            | Self::Chunk(_)
            | Self::EmptyChunk(_)
            | Self::Streams(..)
            | Self::BlobHash(_) => RefusalCode::Frame,
        }
    }

    /// A kind that the receiver's conversation does not have. Those of the handshake are in none.
    pub(crate) fn unexpected(kind: u8) -> Self {
        let is_of_handshake = (kind::HELLO..=kind::WELCOME).contains(&kind);
        let is_known = kind::name(kind).is_some() && !is_of_handshake;
        if is_known { Self::Misplaced(kind) } else { Self::Kind(kind) }
    }
}
