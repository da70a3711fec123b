//! First page of a store's file: shows that the file is a store, of which version, and how far it was written.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 16 | magic |
//! | 16 | 4 | version of the format |
//! | 20 | 16 | identity: random; the names of its payload files begin with it |
//! | 36 | 8 | checksum of the bytes before |
//! | 512 | 64 | tally of the last durable commit ([`RecordTally`]) |
//!
//! The database begins with the second page. It recovers from a crash by going back to its last whole commit, so a damage of
//! the newest pages looks to it like a crash. The tally here is written when a commit is durable: a database that is
//! older has lost something.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::tally::{RecordTally, TALLY_BYTES};
use super::value::checksum;

/// Bytes before the database.
pub(super) const LABEL_BYTES: u64 = 4096;
/// Version of the format that this program writes and reads.
pub(super) const VERSION: u32 = 2;

const MAGIC: [u8; 16] = *b"argon store\x1a\r\n\0\0";
/// First bytes of a redb file.
pub(super) const DATABASE_MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
const SEALED_BYTES: usize = 36;
const IDENTITY: std::ops::Range<usize> = 20..36;
const TALLY_AT: u64 = 512;

/// StoreIdentity of a store.
pub(super) type StoreIdentity = [u8; 16];

/// First page of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Label {
    /// The file is empty.
    New,
    /// A store of this version. The tally is `None` if its bytes are damaged.
    Sound { identity: StoreIdentity, tally: Option<RecordTally> },
    /// The page is damaged, but a database follows it.
    Damaged,
    /// A store of the first format: a bare database.
    Former,
    /// A store of another version.
    OtherVersion(u32),
    /// Not a store.
    Foreign,
}

impl Label {
    /// Reads the first page.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        if length == 0 {
            return Ok(Self::New);
        }
        let mut page = vec![0; usize::try_from(length.min(LABEL_BYTES + 9)).unwrap_or(0)];
        file.read_exact_at(&mut page, 0)?;
        if page.starts_with(&DATABASE_MAGIC) {
            return Ok(Self::Former);
        }
        page.resize(LABEL_BYTES as usize + 9, 0);
        let sum = u64::from_le_bytes(page[SEALED_BYTES..][..8].try_into().unwrap_or_default());
        if !page.starts_with(&MAGIC) || sum != checksum(&[&page[..SEALED_BYTES]]) {
            let is_store = page[LABEL_BYTES as usize..] == DATABASE_MAGIC || page.starts_with(&MAGIC);
            return Ok(if is_store { Self::Damaged } else { Self::Foreign });
        }
        let version = u32::from_le_bytes(page[16..20].try_into().unwrap_or_default());
        if version != VERSION {
            return Ok(Self::OtherVersion(version));
        }
        let tally = RecordTally::decode(&page[TALLY_AT as usize..][..TALLY_BYTES]);
        Ok(Self::Sound { identity: page[IDENTITY].try_into().unwrap_or_default(), tally })
    }

    /// Writes the first page of a new store.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(file: &File, identity: StoreIdentity, tally: &RecordTally) -> io::Result<()> {
        let mut page = vec![0; LABEL_BYTES as usize];
        page[..16].copy_from_slice(&MAGIC);
        page[16..20].copy_from_slice(&VERSION.to_le_bytes());
        page[IDENTITY].copy_from_slice(&identity);
        let sum = checksum(&[&page[..SEALED_BYTES]]);
        page[SEALED_BYTES..][..8].copy_from_slice(&sum.to_le_bytes());
        page[TALLY_AT as usize..][..TALLY_BYTES].copy_from_slice(&tally.encode());
        file.write_all_at(&page, 0)
    }

    /// Notes the tally of a commit that is durable. The bytes reach the disk with the next commit, or when the kernel
    /// writes them: an older tally is no danger, and one sector is written whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn note(file: &File, tally: &RecordTally) -> io::Result<()> {
        file.write_all_at(&tally.encode(), TALLY_AT)
    }
}
