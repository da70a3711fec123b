//! The format of native arguments, values, errors and shared values: what a Rust program writes for itself.
//!
//! Writer and reader are the same executable, so the format has no versions. It marks every value with its exact kind, so
//! that all of serde works: skipped fields, flattened structs, untagged and tagged enums, `serde_json::Value`, nested
//! options, 128-bit numbers, maps with any keys. [`checked`] reads back what was written and refuses what serde would change.
//! `docs/design/rust-values.md` says why it is not another format.

mod plain;
mod read;
mod same;
mod tag;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

#[allow(unreachable_pub, reason = "the macro's code uses them")]
pub use plain::{IsPlain, NotPlain, Plain, Probe};
pub(crate) use read::Reader;
pub(crate) use write::{to_json, to_vec};

/// Levels of values inside values: a list that links to its rest would otherwise end the process at some depth.
pub(crate) const DEPTH_MAX: u32 = 512;

/// Why a value cannot be written or read.
#[derive(Debug, PartialEq, Eq)]
pub struct Error(Box<str>);


impl Error {
    #[cold]
    fn new(why: impl Into<Box<str>>) -> Self {
        Self(why.into())
    }

    #[cold]
    fn deep() -> Self {
        Self::new(format!("values are nested more than {DEPTH_MAX} levels deep; pass a list of the parts"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

/// Reads a value that fills `bytes`.
pub(crate) fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    let mut reader = Reader::new(bytes);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads `bytes` back, writes what came of them, and compares: refuses a value that would arrive as another one.
pub(crate) fn checked<'de, T: Serialize + Deserialize<'de>>(bytes: &'de [u8]) -> Result<(), Error> {
    compare(bytes, &to_vec(&from_slice::<T>(bytes)?)?)
}

/// Compares what was written with what the value that was read from it is written as.
pub(crate) fn compare(written: &[u8], again: &[u8]) -> Result<(), Error> {
    if same::same(written, again) {
        return Ok(());
    }
    Err(Error::new(
        "it is read back as another value: a field that serde skips and that is not its default, \
         or variants of an untagged enum that look alike, or two ways of serde that do not fit",
    ))
}

#[cfg(test)]
mod tests;
