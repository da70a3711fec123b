//! Values of the store's tables: each with a checksum of its own, which covers its table and key too.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | checksum of the table's number, the key and everything below |
//! | 1 | where the payload is: 0 in the frame, 1 in a payload file, 2 dropped |
//! | 28 | if it is in a payload file: segment, offset, length, checksum ([`PayloadPlace`]) |
//! | … | tasks: `0xff`, the length and the name of the owner, unless it is `admin` |
//! | … | tasks and outcomes: the frame, without a payload that is elsewhere; starts: the attempt; blobs: the bytes |

use std::hash::Hasher;

use twox_hash::XxHash3_64;

/// A table of records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Table {
    /// Accepted tasks, by id.
    Tasks,
    /// Last started attempt of tasks that must never run twice, by id.
    Starts,
    /// Outcomes that wait to be collected, by id.
    Outcomes,
    /// Blobs that tasks name, by hash.
    Blobs,
}

impl Table {
    pub(super) const ALL: [Self; 4] = [Self::Tasks, Self::Starts, Self::Outcomes, Self::Blobs];

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Name in the database.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Starts => "starts",
            Self::Outcomes => "outcomes",
            Self::Blobs => "blobs",
        }
    }
}

/// Bytes in a payload file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PayloadPlace {
    /// Number of the file.
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Checksum of the bytes and of whose they are.
    pub(super) sum: u64,
}

/// Location of a record's payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// In the record.
    Inline,
    /// In a payload file.
    At(PayloadPlace),
    /// Nowhere: the task has ended, and does not start again.
    Dropped,
}

const SUM_BYTES: usize = 8;
const PLACE_BYTES: usize = 28;

/// Checksum of pieces, one behind the other.
pub(super) fn checksum(pieces: &[&[u8]]) -> u64 {
    let mut hasher = XxHash3_64::default();
    pieces.iter().for_each(|piece| hasher.write(piece));
    hasher.finish()
}

/// The checksum that a sealed value begins with.
pub(super) fn sum_of(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |sum| u64::from_le_bytes(*sum))
}

/// A value as it is stored.
pub(super) fn seal(table: Table, key: &[u8], kept: Kept, body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(SUM_BYTES + 1 + PLACE_BYTES + body.len());
    value.extend_from_slice(&[0; SUM_BYTES]);
    match kept {
        Kept::Inline => value.push(0),
        Kept::At(place) => {
            value.push(1);
            value.extend_from_slice(&place.segment.to_le_bytes());
            for number in [place.offset, place.length, place.sum] {
                value.extend_from_slice(&number.to_le_bytes());
            }
        }
        Kept::Dropped => value.push(2),
    }
    value.extend_from_slice(body);
    let sum = checksum(&[&[table as u8], key, &value[SUM_BYTES..]]);
    value[..SUM_BYTES].copy_from_slice(&sum.to_le_bytes());
    value
}

/// Location of the payload and the body of a stored value; `None` if the value is damaged, or is that of another key.
pub(super) fn unseal<'a>(table: Table, key: &[u8], value: &'a [u8]) -> Option<(Kept, &'a [u8])> {
    let (sum, rest) = value.split_first_chunk::<SUM_BYTES>()?;
    if checksum(&[&[table as u8], key, rest]) != u64::from_le_bytes(*sum) {
        return None;
    }
    kept_of(rest)
}

/// Location of the payload of a value whose checksum was compared before.
pub(super) fn kept(value: &[u8]) -> Kept {
    value.get(SUM_BYTES..).and_then(kept_of).map_or(Kept::Inline, |(kept, _)| kept)
}

fn kept_of(rest: &[u8]) -> Option<(Kept, &[u8])> {
    let (kind, rest) = rest.split_first()?;
    match kind {
        0 => Some((Kept::Inline, rest)),
        1 => {
            let (segment, rest) = rest.split_first_chunk::<4>()?;
            let (offset, rest) = rest.split_first_chunk::<8>()?;
            let (length, rest) = rest.split_first_chunk::<8>()?;
            let (sum, rest) = rest.split_first_chunk::<8>()?;
            let place = PayloadPlace {
                segment: u32::from_le_bytes(*segment),
                offset: u64::from_le_bytes(*offset),
                length: u64::from_le_bytes(*length),
                sum: u64::from_le_bytes(*sum),
            };
            Some((Kept::At(place), rest))
        }
        2 => Some((Kept::Dropped, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_under_its_own_key_only() {
        let place = PayloadPlace { segment: 3, offset: 1 << 40, length: 1 << 20, sum: 9 };
        for kept in [Kept::Inline, Kept::At(place), Kept::Dropped] {
            let value = seal(Table::Tasks, b"key", kept, b"body");
            assert_eq!(unseal(Table::Tasks, b"key", &value), Some((kept, &b"body"[..])));
            assert_eq!(unseal(Table::Tasks, b"other", &value), None);
            assert_eq!(unseal(Table::Outcomes, b"key", &value), None);
            for at in 0..value.len() {
                let mut damaged = value.clone();
                damaged[at] ^= 0x10;
                assert_eq!(unseal(Table::Tasks, b"key", &damaged), None, "byte {at}");
                assert_eq!(unseal(Table::Tasks, b"key", &value[..at]), None, "{at} bytes");
            }
        }
    }
}
