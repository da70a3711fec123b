//! Support of the macro's code: reads arguments, writes values and errors.

use std::fmt::Display;

use argon_proto::Codec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::own::{self, Plain};
use crate::read::{OWN, REFUSAL};

/// The arguments of one task, as bytes.
#[derive(Debug)]
pub struct Arguments<'a> {
    pub(crate) codec: Codec,
    pub(crate) bytes: &'a [u8],
}

/// The bytes of a value, or of the error in its place.
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
            Codec::Own => own::from_slice(self.bytes).map_err(|error| error.to_string()),
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
            Codec::Own => own::to_vec(value).map_err(|error| error.to_string()),
            Codec::Json => own::to_json(value, false).map_err(|error| error.to_string()),
        };
        written.map_err(|why| unfit::<T>(&why))
    }

    /// As [`value`](Self::value), after a check that the value comes back from its bytes.
    fn checked<T: Serialize + DeserializeOwned>(&self, value: &T) -> Returned {
        let bytes = self.value(value)?;
        match self.codec {
            Codec::Own => own::check(value, &bytes).map_err(|why| unfit::<T>(&why.to_string()))?,
            // Its caller reads it in another language.
            Codec::Json => {}
        }
        Ok(bytes)
    }
}

impl From<own::FormatError> for Failure {
    fn from(error: own::FormatError) -> Self {
        Self::refusal(error.to_string())
    }
}

fn unfit<T>(why: &str) -> Failure {
    let kind = std::any::type_name::<T>();
    Failure::refusal(format!("what the task returned, a {kind}, cannot travel: {why}"))
}

impl Failure {
    pub(super) fn refusal(text: String) -> Self {
        Self { kind: REFUSAL, text, value: Vec::new() }
    }

    /// An error value that the task returned, and its bytes if it has any.
    pub fn own<E: Display + ?Sized>(error: &E, value: Option<Vec<u8>>) -> Self {
        Self { kind: OWN, text: error.to_string(), value: value.unwrap_or_default() }
    }

    /// The same with a sentence that was made of that of the task's own error; nothing else changes.
    pub(super) fn with_text(self, change: impl FnOnce(String) -> String) -> Self {
        if self.kind == OWN { Self { text: change(self.text), ..self } } else { self }
    }

    /// The sentence alone.
    pub(crate) fn into_text(self) -> String {
        self.text
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

/// A value on its way: the macro calls `(&&&Written(&value)).write(arguments)`, and the compiler takes the first of the
/// three traits that fits its type.
#[derive(Debug)]
pub struct Written<'a, T>(pub &'a T);

/// For types of which serde loses nothing.
pub trait WritePlain {
    /// Its bytes.
    ///
    /// # Errors
    /// If it cannot be turned into bytes.
    fn write(&self, arguments: &Arguments<'_>) -> Returned;
}

/// For types that can be read back.
pub trait WriteChecked {
    /// Its bytes, which were read back.
    ///
    /// # Errors
    /// If it cannot be turned into bytes, or would be read from them as another value.
    fn write(&self, arguments: &Arguments<'_>) -> Returned;
}

/// For types that only another type can be read from.
pub trait WriteValue {
    /// Its bytes.
    ///
    /// # Errors
    /// If it cannot be turned into bytes.
    fn write(&self, arguments: &Arguments<'_>) -> Returned;
}

impl<T: Serialize + Plain> WritePlain for &&Written<'_, T> {
    fn write(&self, arguments: &Arguments<'_>) -> Returned {
        arguments.value(self.0)
    }
}

impl<T: Serialize + DeserializeOwned> WriteChecked for &Written<'_, T> {
    fn write(&self, arguments: &Arguments<'_>) -> Returned {
        arguments.checked(self.0)
    }
}

impl<T: Serialize> WriteValue for Written<'_, T> {
    fn write(&self, arguments: &Arguments<'_>) -> Returned {
        arguments.value(self.0)
    }
}

/// An error value on its way: the macro asks it for its bytes, and gets them if its type has any that can be read back.
#[derive(Debug)]
pub struct Own<'a, E>(pub &'a E);

/// For error types of which serde loses nothing.
pub trait TellPlain {
    /// Its bytes.
    fn to_bytes(&self) -> Option<Vec<u8>>;
}

/// For error types that can be read back.
pub trait TellChecked {
    /// Its bytes, unless they would be read as another value.
    fn to_bytes(&self) -> Option<Vec<u8>>;
}

/// For error types that only another type can be read from.
pub trait TellValue {
    /// Its bytes.
    fn to_bytes(&self) -> Option<Vec<u8>>;
}

/// For all others: their text is all that travels.
pub trait TellText {
    /// Nothing.
    fn to_bytes(&self) -> Option<Vec<u8>>;
}

impl<E: Serialize + Plain> TellPlain for &&&Own<'_, E> {
    fn to_bytes(&self) -> Option<Vec<u8>> {
        own::to_vec(self.0).ok()
    }
}

impl<E: Serialize + DeserializeOwned> TellChecked for &&Own<'_, E> {
    fn to_bytes(&self) -> Option<Vec<u8>> {
        own::to_vec(self.0).ok().filter(|bytes| own::check(self.0, bytes).is_ok())
    }
}

impl<E: Serialize> TellValue for &Own<'_, E> {
    fn to_bytes(&self) -> Option<Vec<u8>> {
        own::to_vec(self.0).ok()
    }
}

impl<E> TellText for Own<'_, E> {
    fn to_bytes(&self) -> Option<Vec<u8>> {
        None
    }
}

/// The return types that are `Result`, whatever their alias is called.
pub trait TaskResult {
    /// Value of a call of the task.
    type Value;
}

impl<T, E> TaskResult for Result<T, E> {
    type Value = T;
}
