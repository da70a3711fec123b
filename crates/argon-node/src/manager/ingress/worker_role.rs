//! Messages of a connection that was opened with the role of a worker.
//!
//! Such a connection is a worker's own, or one that a worker relays for the client of a task. Its first message shows
//! which: REGISTER or CHILD_OPEN. No kind of frame but GOODBYE belongs to both conversations.

use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::conversation::{Blob, WholePayload};
use argon_proto::{DecodeError, Message, Payload};
use bytes::{Bytes, BytesMut};

/// Defines a message that is one of two conversations; a kind that both have is read as the worker's.
macro_rules! of_two_conversations {
    ($(#[$about:meta])* $name:ident: $worker:ty, $child:ty) => {
        $(#[$about])*
        #[derive(Debug)]
        pub enum $name {
            /// A message of the worker's own conversation.
            Worker($worker),
            /// A message of the conversation of a task's client.
            Child($child),
        }

        impl Message for $name {
            fn payload(&self) -> Option<&Payload> {
                match self {
                    Self::Worker(message) => message.payload(),
                    Self::Child(message) => message.payload(),
                }
            }

            fn payload_mut(&mut self) -> Option<&mut Payload> {
                match self {
                    Self::Worker(message) => message.payload_mut(),
                    Self::Child(message) => message.payload_mut(),
                }
            }

            fn blob(&self) -> Option<&Blob> {
                match self {
                    Self::Worker(message) => message.blob(),
                    Self::Child(message) => message.blob(),
                }
            }

            fn compact(&mut self) {
                match self {
                    Self::Worker(message) => message.compact(),
                    Self::Child(message) => message.compact(),
                }
            }

            fn encode_head(&self, stream: u32, out: &mut BytesMut) {
                match self {
                    Self::Worker(message) => message.encode_head(stream, out),
                    Self::Child(message) => message.encode_head(stream, out),
                }
            }

            fn decode(kind: u8, body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
                match <$worker>::decode(kind, body.clone(), whole) {
                    Ok(message) => Ok(Self::Worker(message)),
                    Err(DecodeError::Misplaced(_)) => {
                        <$child>::decode(kind, body, whole).map(Self::Child)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    };
}

of_two_conversations! {
    /// Messages that such a connection receives.
    FromWorkerRole: FromWorker, ToManager
}

of_two_conversations! {
    /// Messages that such a connection sends.
    ToWorkerRole: ToWorker, ToClient
}
