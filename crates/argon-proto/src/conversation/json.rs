//! Bodies in JSON. A receiver ignores fields that it does not know, so that a peer of a later release may send them.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::body::Body;
use crate::error::DecodeError;
use crate::handshake::Refusal;
use crate::line::Line;
use crate::payload::WholePayload;

/// Gives a type of serde the codec of a JSON body. With `or default`, a body that cannot be read is an empty one: it only
/// explains a message that is clear without it.
macro_rules! json_body {
    ($type:ty, $name:literal) => {
        $crate::conversation::json::json_body!($type, |body| {
            serde_json::from_slice(body)
                .map_err(|error| $crate::error::DecodeError::Json($name, error.to_string()))
        });
    };
    ($type:ty, $name:literal, up to $limit:expr) => {
        $crate::conversation::json::json_body!($type, |body| {
            if body.len() > $limit {
                let why = format!("it has {} bytes, and at most {} are allowed", body.len(), $limit);
                return Err($crate::error::DecodeError::Json($name, why));
            }
            serde_json::from_slice(body)
                .map_err(|error| $crate::error::DecodeError::Json($name, error.to_string()))
        });
    };
    ($type:ty, or default) => {
        $crate::conversation::json::json_body!($type, |body| Ok(
            serde_json::from_slice(body).unwrap_or_default()
        ));
    };
    ($type:ty, $read:expr) => {
        impl $crate::conversation::body::Body for $type {
            fn encode(&self, _: u32, out: &mut bytes::BytesMut) {
                $crate::conversation::json::write(self, out);
            }

            fn decode(
                body: bytes::Bytes,
                _: &mut $crate::conversation::WholePayload,
            ) -> Result<Self, $crate::error::DecodeError> {
                let read: fn(&[u8]) -> Result<Self, $crate::error::DecodeError> = $read;
                read(&body)
            }
        }
    };
}
pub(super) use json_body;

/// An orderly end of the connection.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Goodbye {
    /// Why, for people; may be empty.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub reason: Line,
}

impl Goodbye {
    /// A goodbye with its reason.
    #[must_use]
    pub fn because(reason: impl Into<Line>) -> Self {
        Self { reason: reason.into() }
    }
}

json_body!(Goodbye, or default);

fn is_empty(line: &Line) -> bool {
    line.is_empty()
}

/// A refusal is one whatever its body is.
impl Body for Refusal {
    fn encode(&self, _: u32, out: &mut BytesMut) {
        out.put_slice(&self.to_json());
    }

    fn decode(body: Bytes, _: &mut WholePayload) -> Result<Self, DecodeError> {
        Ok(Self::from_json(&body))
    }
}

/// Appends a value as JSON. Writing to memory does not fail, and neither do our types.
pub(super) fn write(value: &impl Serialize, out: &mut BytesMut) {
    let _ = serde_json::to_writer(out.writer(), value);
}
