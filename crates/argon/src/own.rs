//! The format of native arguments, values, errors and shared values: what a Rust program writes for itself.
//!
//! Writer and reader are the same executable, so the format has no versions. It marks every value with its exact kind, so
//! that all of serde works: skipped fields, flattened structs, untagged and tagged enums, `serde_json::Value`, nested
//! options, 128-bit numbers, maps with any keys. [`check`] reads back what was written and refuses what serde would change.
//! `docs/design/rust-values.md` has the reasons for a format of our own.

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

/// A hash table of two entries that has the same order so often in a row has no order of chance.
const ORDERS: u32 = 24;

/// Why a value cannot be written or read.
#[derive(Debug, PartialEq, Eq)]
pub struct FormatError(Box<str>);

impl FormatError {
    #[cold]
    fn new(why: impl Into<Box<str>>) -> Self {
        Self(why.into())
    }

    #[cold]
    fn deep() -> Self {
        Self::new(format!("values are nested more than {DEPTH_MAX} levels deep; pass a list of the parts"))
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FormatError {}

impl serde::ser::Error for FormatError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl serde::de::Error for FormatError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

/// Reads a value that fills `bytes`.
pub(crate) fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, FormatError> {
    let mut reader = Reader::new(bytes);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Refuses a value that would arrive as another one: what was `written` of it is read back and written again.
pub(crate) fn check<'de, T: Serialize + Deserialize<'de>>(
    value: &T,
    written: &'de [u8],
) -> Result<(), FormatError> {
    check_with(written, || to_vec(&from_slice::<T>(written)?), || to_vec(value))
}

/// As [`check`], with another reader: `back` reads what was written and writes it again, `anew` writes the value
/// itself once more.
///
/// A difference means a loss only if the type always writes the same: one that writes the time, or the entries of a hash table
/// as a text, differs from itself and travels.
pub(crate) fn check_with<E: From<FormatError>>(
    written: &[u8],
    back: impl Fn() -> Result<Vec<u8>, E>,
    anew: impl Fn() -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    let first = back()?;
    if same::same(written, &first) || !same::same(written, &anew()?) {
        return Ok(());
    }
    for _ in 0..ORDERS {
        let next = back()?;
        if same::same(written, &next) || !same::same(&first, &next) {
            return Ok(());
        }
    }
    Err(E::from(FormatError::new(
        "it is read back as another value: a field that serde skips and that is not its default, \
         or variants of an untagged enum that look alike, or two ways of serde that do not fit",
    )))
}

#[cfg(test)]
mod tests;
