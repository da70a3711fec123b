//! The marks of the format, and its lengths.
//!
//! A value is a mark and its content. Names of fields and variants are written once and then by their number, in the order
//! of their first use. Elements of a list that are numbers of one kind have one mark for all.

use super::FormatError;

pub(super) const NONE: u8 = 1;
pub(super) const SOME: u8 = 2;
pub(super) const UNIT: u8 = 3;
pub(super) const FALSE: u8 = 4;
pub(super) const TRUE: u8 = 5;
pub(super) const STR: u8 = 6;
pub(super) const BYTES: u8 = 7;
/// Number of elements, mark of all of them or [`MIXED`], elements.
pub(super) const LIST: u8 = 8;
/// List whose length the type gives.
pub(super) const TUPLE: u8 = 9;
/// Number of entries, each a key and a value.
pub(super) const MAP: u8 = 10;
/// Number of fields, each a name and a value.
pub(super) const STRUCT: u8 = 11;
/// A name, and then nothing, a value, what follows [`TUPLE`], what follows [`STRUCT`].
pub(super) const UNIT_VARIANT: u8 = 12;
pub(super) const NEWTYPE_VARIANT: u8 = 13;
pub(super) const TUPLE_VARIANT: u8 = 14;
pub(super) const STRUCT_VARIANT: u8 = 15;

/// From here on: numbers of a fixed width, little endian.
pub(super) const U8: u8 = 32;
pub(super) const U16: u8 = 33;
pub(super) const U32: u8 = 34;
pub(super) const U64: u8 = 35;
pub(super) const U128: u8 = 36;
pub(super) const I8: u8 = 37;
pub(super) const I16: u8 = 38;
pub(super) const I32: u8 = 39;
pub(super) const I64: u8 = 40;
pub(super) const I128: u8 = 41;
pub(super) const F32: u8 = 42;
pub(super) const F64: u8 = 43;
pub(super) const CHAR: u8 = 44;

/// Each element has its own mark.
pub(super) const MIXED: u8 = 0;

/// The bytes of a number, or `None` for marks of other values.
pub(super) fn width(tag: u8) -> Option<usize> {
    match tag {
        U8 | I8 => Some(1),
        U16 | I16 => Some(2),
        U32 | I32 | F32 | CHAR => Some(4),
        U64 | I64 | F64 => Some(8),
        U128 | I128 => Some(16),
        _ => None,
    }
}

/// Seven bits a byte, the lowest first.
#[inline]
pub(super) fn push_length(out: &mut Vec<u8>, length: u64) {
    if length < 0x80 {
        return out.push(length as u8);
    }
    let (bytes, count) = length_bytes(length);
    out.extend_from_slice(&bytes[..count]);
}

/// The bytes of a length, and their number.
pub(super) fn length_bytes(mut length: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut count = 0;
    loop {
        bytes[count] = (length & 0x7f) as u8;
        length >>= 7;
        count += 1;
        if length == 0 {
            return (bytes, count);
        }
        bytes[count - 1] |= 0x80;
    }
}

/// Takes a length from the front.
#[inline]
pub(super) fn take_length(bytes: &mut &[u8]) -> Result<u64, FormatError> {
    if let Some((byte, rest)) = bytes.split_first()
        && *byte < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(*byte));
    }
    take_long_length(bytes)
}

fn take_long_length(bytes: &mut &[u8]) -> Result<u64, FormatError> {
    let mut length = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(cut)?;
        *bytes = rest;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(FormatError::new("a length has more than 64 bits"))
}

/// Takes `count` bytes from the front.
pub(super) fn take<'de>(bytes: &mut &'de [u8], count: u64) -> Result<&'de [u8], FormatError> {
    let count = usize::try_from(count).map_err(|_| cut())?;
    let (taken, rest) = bytes.split_at_checked(count).ok_or_else(cut)?;
    *bytes = rest;
    Ok(taken)
}

pub(super) fn cut() -> FormatError {
    FormatError::new("the bytes end within a value")
}
