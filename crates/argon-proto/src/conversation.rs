//! Conversations: who talks to whom after the handshake, and every message that each side may send.
//!
//! A conversation has two enums, one for each direction. A receiver decodes the enum of its direction and
//! matches on that, so it never sees a message that its peer may not send: such a frame is a
//! [`DecodeError::Misplaced`]. Every variant holds one body, and every body has one codec.
//!
//! | between | module | sent by the one | sent by the other |
//! |---|---|---|---|
//! | client and manager | [`client`] | [`client::ToManager`] | [`client::ToClient`] |
//! | worker and manager | [`worker`] | [`worker::FromWorker`] | [`worker::ToWorker`] |
//! | runner and worker | [`runner`] | [`runner::FromRunner`] | [`runner::ToRunner`] |
//! | template and worker | [`template`] | [`template::FromTemplate`] | [`template::ToTemplate`] |
//! | task and worker | [`child`] | [`child::FromChild`] | relayed [`client::ToClient`] |
//! | operator and manager | [`admin`] | [`admin::FromAdmin`] | [`admin::ToAdmin`] |
//!
//! Heartbeats and refusals belong to no conversation but to the connection below it: [`Control`]. A receiver on a
//! network connection decodes [`Incoming`], the two together.
//!
//! A message whose payload exceeds [`crate::limit::INLINE_BYTES`] is encoded with the beginning of it only; the frame
//! codec sends and collects the rest.

pub mod admin;
mod body;
pub mod child;
pub mod client;
mod json;
mod log;
mod open;
pub mod runner;
#[cfg(feature = "servers")]
pub mod template;
#[cfg(feature = "servers")]
pub mod worker;

use bytes::{Bytes, BytesMut};

pub use body::{Answer, Ask, Blob, Credit, OutputCredit, TaskOutput};
pub use json::Goodbye;
pub use log::{LOG_FD, Log, LogRecord};
pub use open::Open;

pub use crate::payload::WholePayload;

use crate::error::DecodeError;
use crate::handshake::Refusal;
use crate::payload::Payload;
use crate::{kind, limit};
use body::Body;

/// One direction of a conversation: what the frame codec needs of its messages.
pub trait Message: Sized {
    /// Payload that may be too big for one frame.
    fn payload(&self) -> Option<&Payload>;

    /// The payload, to be replaced once all of it has arrived.
    fn payload_mut(&mut self) -> Option<&mut Payload>;

    /// The blob, if the message is one.
    fn blob(&self) -> Option<&Blob>;

    /// Copies the small parts of a message that is kept, so that it does not keep the memory alive that it was read to.
    fn compact(&mut self) {}

    /// Writes the kind and the body without its payload; `stream` is 0 if the payload follows inline.
    fn encode_head(&self, stream: u32, out: &mut BytesMut);

    /// Reads a message from a frame's kind and body, with the part of its payload that is there. Sets `whole` if the
    /// message has a payload: inside the message it would be moved with it, each time.
    ///
    /// # Errors
    /// If the sender has no message of this kind, or the body is not what that message holds.
    fn decode(kind: u8, body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError>;
}

/// Reads a body, and checks the length that it gives for its payload.
#[inline]
fn read<B: Body>(body: Bytes, whole: &mut WholePayload) -> Result<B, DecodeError> {
    let message = B::decode(body, whole)?;
    if let Some(payload) = message.payload() {
        let WholePayload { stream, length } = *whole;
        if length > limit::PAYLOAD_BYTES {
            return Err(DecodeError::Payload(length, limit::PAYLOAD_BYTES));
        }
        let here = payload.len();
        let fits = if stream == 0 { here == length } else { here <= length };
        if !fits {
            return Err(DecodeError::Field("payload_length", length));
        }
    }
    Ok(message)
}

/// Defines one direction of a conversation: its enum, and the table from the kinds of frames to bodies.
macro_rules! messages {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident($body:ty) = $kind:ident $(($check:path))?,)*
        }
        without a body {
            $($(#[$unit_doc:meta])* $unit:ident = $unit_kind:ident,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$doc])* $variant($body),)*
            $($(#[$unit_doc])* $unit,)*
        }

        impl $crate::conversation::Message for $name {
            fn payload(&self) -> Option<&$crate::payload::Payload> {
                match self {
                    $(Self::$variant(body) => $crate::conversation::body::Body::payload(body),)*
                    $(Self::$unit => None,)*
                }
            }

            fn payload_mut(&mut self) -> Option<&mut $crate::payload::Payload> {
                match self {
                    $(Self::$variant(body) => $crate::conversation::body::Body::payload_mut(body),)*
                    $(Self::$unit => None,)*
                }
            }

            fn blob(&self) -> Option<&$crate::conversation::Blob> {
                match self {
                    $(Self::$variant(body) => $crate::conversation::body::Body::blob(body),)*
                    $(Self::$unit => None,)*
                }
            }

            fn compact(&mut self) {
                match self {
                    $(Self::$variant(body) => $crate::conversation::body::Body::compact(body),)*
                    $(Self::$unit => {})*
                }
            }

            fn encode_head(&self, stream: u32, out: &mut bytes::BytesMut) {
                match self {
                    $(Self::$variant(body) => {
                        bytes::BufMut::put_u8(out, $crate::kind::$kind);
                        $crate::conversation::body::Body::encode(body, stream, out);
                    })*
                    $(Self::$unit => bytes::BufMut::put_u8(out, $crate::kind::$unit_kind),)*
                }
            }

            fn decode(
                kind: u8,
                body: bytes::Bytes,
                whole: &mut $crate::conversation::WholePayload,
            ) -> Result<Self, $crate::error::DecodeError> {
                match kind {
                    $($crate::kind::$kind => {
                        let message = $crate::conversation::read::<$body>(body, whole)?;
                        $($check(&message)?;)?
                        Ok(Self::$variant(message))
                    })*
                    $($crate::kind::$unit_kind => Ok(Self::$unit),)*
                    other => Err($crate::error::DecodeError::unexpected(other)),
                }
            }
        }
    };
}
use messages;

messages! {
    /// Messages of the connection itself: either side of a network connection may send them.
    pub enum Control {
        /// The connection ends, and why.
        Refused(Refusal) = REFUSED,
        /// A sign of life that wants an answer.
        Ping(u64) = PING,
        /// The answer.
        Pong(u64) = PONG,
    }
    without a body {}
}

/// A frame of a network connection: the connection's own, or a message of the conversation over it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming<M> {
    /// The connection's own.
    Control(Control),
    /// The conversation's.
    Message(M),
}

impl<M: Message> Message for Incoming<M> {
    fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Control(_) => None,
            Self::Message(message) => message.payload(),
        }
    }

    fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self {
            Self::Control(_) => None,
            Self::Message(message) => message.payload_mut(),
        }
    }

    fn blob(&self) -> Option<&Blob> {
        match self {
            Self::Control(_) => None,
            Self::Message(message) => message.blob(),
        }
    }

    fn compact(&mut self) {
        match self {
            Self::Control(_) => {}
            Self::Message(message) => message.compact(),
        }
    }

    fn encode_head(&self, stream: u32, out: &mut BytesMut) {
        match self {
            Self::Control(control) => control.encode_head(stream, out),
            Self::Message(message) => message.encode_head(stream, out),
        }
    }

    fn decode(kind: u8, body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
        match kind {
            kind::REFUSED | kind::PING | kind::PONG => Control::decode(kind, body, whole).map(Self::Control),
            _ => M::decode(kind, body, whole).map(Self::Message),
        }
    }
}
