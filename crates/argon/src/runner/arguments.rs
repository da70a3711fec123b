//! What the macro's code works with: arguments to read, values and errors to write.

use std::fmt::Display;

use argon_proto::Codec;
use serde::{Deserialize, Serialize};

use crate::read::{OWN, REFUSAL};

/// The arguments of one task, as bytes.
#[derive(Debug)]
pub struct Arguments<'a> {
    pub(super) codec: Codec,
    pub(super) bytes: &'a [u8],
}

/// The bytes of a value, or of what the task says instead.
pub type Returned = Result<Vec<u8>, Failure>;

/// The payload of an outcome of the status `error`.
#[derive(Debug)]
pub struct Failure {
    kind: u8,
    text: String,
    value: Vec<u8>,
}

impl<'a> Arguments<'a> {
    /// The arguments as a tuple.
    ///
    /// # Errors
    /// If they are none of this type: the caller runs another build, or another language passed other data.
    pub fn read<A: Deserialize<'a>>(&self) -> Result<A, Failure> {
        let read = match self.codec {
            Codec::Own => postcard::from_bytes(self.bytes).map_err(|error| error.to_string()),
            Codec::Json => serde_json::from_slice(self.bytes).map_err(|error| error.to_string()),
        };
        read.map_err(|why| Failure::refusal(format!("the arguments cannot be read: {why}")))
    }

    /// The bytes of what the task returned.
    ///
    /// # Errors
    /// If it cannot be turned into bytes.
    pub fn value<T: Serialize>(&self, value: &T) -> Returned {
        let written = match self.codec {
            Codec::Own => postcard::to_stdvec(value).map_err(|error| error.to_string()),
            Codec::Json => serde_json::to_vec(value).map_err(|error| error.to_string()),
        };
        written.map_err(|why| {
            Failure::refusal(format!("what the task returned cannot be turned into bytes: {why}"))
        })
    }
}

impl Failure {
    pub(super) fn refusal(text: String) -> Self {
        Self { kind: REFUSAL, text, value: Vec::new() }
    }

    /// An error value that the task returned, and its bytes if it has any.
    pub fn own<E: Display + ?Sized>(error: &E, value: Option<Vec<u8>>) -> Self {
        Self { kind: OWN, text: error.to_string(), value: value.unwrap_or_default() }
    }

    /// As `spec/runner.md` has it.
    pub(super) fn into_bytes(self, codec: Codec) -> Vec<u8> {
        match codec {
            Codec::Json => serde_json::json!({"message": self.text}).to_string().into_bytes(),
            Codec::Own => {
                let mut bytes = vec![self.kind];
                if self.kind == OWN {
                    bytes.extend((self.text.len() as u32).to_be_bytes());
                }
                bytes.extend(self.text.into_bytes());
                bytes.extend(self.value);
                bytes
            }
        }
    }
}

/// An error value on its way: the macro asks it for its bytes, and gets them if its type has any.
#[derive(Debug)]
pub struct Own<'a, E>(pub &'a E);

/// For error types that can travel.
pub trait TellValue {
    /// Its bytes.
    fn tell(&self) -> Option<Vec<u8>>;
}

/// For all others: their text is all that travels.
pub trait TellText {
    /// Nothing.
    fn tell(&self) -> Option<Vec<u8>>;
}

impl<E: Serialize> TellValue for &Own<'_, E> {
    fn tell(&self) -> Option<Vec<u8>> {
        postcard::to_stdvec(self.0).ok()
    }
}

impl<E> TellText for Own<'_, E> {
    fn tell(&self) -> Option<Vec<u8>> {
        None
    }
}

/// The return types that are `Result`, whatever their alias is called.
pub trait TaskResult {
    /// What a call of the task gives.
    type Value;
}

impl<T, E> TaskResult for Result<T, E> {
    type Value = T;
}
