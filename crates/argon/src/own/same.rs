//! Compares two writings of a value. Those of one value may differ in the order of its maps and sets, since each copy of a
//! hash table has an order of its own.
//!
//! Entries of maps and elements of lists are compared in any order: a set is written as a list. Places of tuples are not.

use std::hash::{DefaultHasher, Hasher};

use super::read::Reader;
use super::tag::{self, MIXED};
use super::{DEPTH_MAX, FormatError};

/// True if both are writings of one value.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one == other || matches!((digest(one), digest(other)), (Ok(one), Ok(other)) if one == other)
}

/// 64 bits of what the value is.
fn digest(bytes: &[u8]) -> Result<u64, FormatError> {
    let mut reader = Reader::new(bytes);
    let digest = value(&mut reader, 0)?;
    reader.end()?;
    Ok(digest)
}

fn value(reader: &mut Reader<'_>, depth: u32) -> Result<u64, FormatError> {
    if depth > 2 * DEPTH_MAX {
        return Err(FormatError::deep());
    }
    let tag = reader.tag()?;
    let mut hasher = hasher(tag);
    match tag {
        tag::STR | tag::BYTES => hasher.write(reader.take()?),
        tag::SOME => hasher.write_u64(value(reader, depth + 1)?),
        tag::LIST | tag::TUPLE => list(reader, tag == tag::LIST, &mut hasher, depth)?,
        tag::MAP => {
            let count = reader.length()?;
            let mut all = 0_u64;
            for _ in 0..count {
                let mut entry = self::hasher(tag);
                entry.write_u64(value(reader, depth + 1)?);
                entry.write_u64(value(reader, depth + 1)?);
                all = all.wrapping_add(entry.finish());
            }
            hasher.write_u64(count);
            hasher.write_u64(all);
        }
        tag::STRUCT => fields(reader, &mut hasher, depth)?,
        tag::UNIT_VARIANT => hasher.write(reader.name()?.as_bytes()),
        tag::NEWTYPE_VARIANT => {
            hasher.write(reader.name()?.as_bytes());
            hasher.write_u64(value(reader, depth + 1)?);
        }
        tag::TUPLE_VARIANT => {
            hasher.write(reader.name()?.as_bytes());
            list(reader, false, &mut hasher, depth)?;
        }
        tag::STRUCT_VARIANT => {
            hasher.write(reader.name()?.as_bytes());
            fields(reader, &mut hasher, depth)?;
        }
        _ => {
            if let Some(width) = tag::width(tag) {
                hasher.write(tag::take(&mut reader.bytes, width as u64)?);
            }
        }
    }
    Ok(hasher.finish())
}

fn list(
    reader: &mut Reader<'_>,
    is_any_order: bool,
    hasher: &mut DefaultHasher,
    depth: u32,
) -> Result<(), FormatError> {
    let count = reader.length()?;
    let common = tag::take(&mut reader.bytes, 1)?[0];
    let mut all = 0_u64;
    for _ in 0..count {
        let element = match tag::width(common) {
            Some(width) if common != MIXED => {
                let mut element = self::hasher(common);
                element.write(tag::take(&mut reader.bytes, width as u64)?);
                element.finish()
            }
            _ => value(reader, depth + 1)?,
        };
        if is_any_order {
            all = all.wrapping_add(element);
        } else {
            hasher.write_u64(element);
        }
    }
    hasher.write_u64(count);
    hasher.write_u64(all);
    Ok(())
}

/// In the order in which they were written: that is the type's.
fn fields(reader: &mut Reader<'_>, hasher: &mut DefaultHasher, depth: u32) -> Result<(), FormatError> {
    let count = reader.length()?;
    for _ in 0..count {
        hasher.write(reader.name()?.as_bytes());
        hasher.write_u64(value(reader, depth + 1)?);
    }
    hasher.write_u64(count);
    Ok(())
}

fn hasher(tag: u8) -> DefaultHasher {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(tag);
    hasher
}
