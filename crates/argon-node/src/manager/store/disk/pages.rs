//! Reads records out of a damaged database, page by page.
//!
//! The database itself opens only what is whole: after a crash, one damaged page makes it refuse the file, or go back to
//! an older commit. This reader follows the format of redb 3 (version 3 of its file), skips what it cannot follow, and
//! leaves it to the checksums of the records to decide what is intact. It never writes.
//!
//! A page whose checksum is wrong is either damaged, or whole and of another time. The second kind would bring tasks back
//! that were finished and forgotten, so a page in which everything else is right is skipped.

use std::fs::File;
use std::os::unix::fs::FileExt;

use twox_hash::XxHash3_128;

use super::label::{DATABASE_MAGIC, LABEL_BYTES};

const PAGE_BYTES: u64 = 4096;
const SLOT_AT: [usize; 2] = [64, 192];
const SLOT_BYTES: usize = 128;
/// Deepest tree that is followed: pages of a damaged file may refer to each other in a circle.
const DEPTH_MAX: usize = 16;
/// Largest page that is read, as a power of two of pages.
const ORDER_MAX: u8 = 20;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;

/// Calls `take` for each row of these tables that can be reached from the newest commit, or from the one before it if
/// nothing can: with the place of its table in the list, its key and its value. `is_intact` knows whether a row is as it
/// was written.
pub(super) fn salvage(
    file: &File,
    tables: &[&str],
    is_intact: impl Fn(usize, &[u8], &[u8]) -> bool,
    mut take: impl FnMut(usize, &[u8], &[u8]),
) {
    let mut found = 0_u64;
    let Some(reader) = Reader::of(file) else {
        return;
    };
    for root in reader.roots() {
        for (at, table) in tables.iter().enumerate() {
            if let Some(root) = reader.root_of(root, table) {
                reader.walk(root, 0, &|key, value| is_intact(at, key, value), &mut |key, value| {
                    found += 1;
                    take(at, key, value);
                });
            }
        }
        if found > 0 {
            return;
        }
    }
}

/// Number of a page, and its checksum.
#[derive(Clone, Copy)]
struct PageLink {
    number: u64,
    checksum: u128,
}

impl PageLink {
    fn read(number: &[u8], checksum: &[u8]) -> Option<Self> {
        Some(Self {
            number: u64::from_le_bytes(number.try_into().ok()?),
            checksum: u128::from_le_bytes(checksum.try_into().ok()?),
        })
    }
}

/// Decides about a row, or takes it.
type IsIntact<'a> = &'a dyn Fn(&[u8], &[u8]) -> bool;
type Take<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

struct Reader<'a> {
    file: &'a File,
    length: u64,
    header: Vec<u8>,
    region_bytes: u64,
}

impl<'a> Reader<'a> {
    fn of(file: &'a File) -> Option<Self> {
        let length = file.metadata().ok()?.len().checked_sub(LABEL_BYTES)?;
        let mut header = vec![0; SLOT_AT[1] + SLOT_BYTES];
        file.read_exact_at(&mut header, LABEL_BYTES).ok()?;
        if !header.starts_with(&DATABASE_MAGIC) {
            return None;
        }
        let region_pages = u32::from_le_bytes(header[20..24].try_into().ok()?);
        Some(Self { file, length, header, region_bytes: u64::from(region_pages) * PAGE_BYTES })
    }

    /// Roots of the trees of tables, that of the newest commit first.
    fn roots(&self) -> Vec<PageLink> {
        let mut slots: Vec<(u64, PageLink)> = SLOT_AT
            .iter()
            .filter_map(|at| {
                // Bytes: version, flags of two roots, padding; root, checksum and length of each; … the transaction.
                let slot = &self.header[*at..at + SLOT_BYTES];
                let root = PageLink::read(&slot[8..16], &slot[16..32]).filter(|_| slot[1] != 0)?;
                Some((u64::from_le_bytes(slot[8 + 3 * 32..][..8].try_into().ok()?), root))
            })
            .collect();
        slots.sort_unstable_by_key(|(transaction, _)| std::cmp::Reverse(*transaction));
        slots.into_iter().map(|(_, root)| root).collect()
    }

    /// Root of one table; `None` if it is empty, or cannot be found.
    fn root_of(&self, tables: PageLink, table: &str) -> Option<PageLink> {
        let mut root = None;
        self.walk(tables, 0, &|_, _| false, &mut |name, definition| {
            // Bytes: type, number of records, flag of the root, root.
            let has_root = definition.get(9).is_some_and(|flag| *flag != 0);
            if name == table.as_bytes()
                && has_root
                && let (Some(number), Some(checksum)) = (definition.get(10..18), definition.get(18..34))
            {
                root = PageLink::read(number, checksum);
            }
        });
        root
    }

    fn page(&self, number: u64) -> Option<Vec<u8>> {
        let order = u8::try_from(number >> 59).ok()?;
        if order > ORDER_MAX {
            return None;
        }
        let index = number & (0x000F_FFFF >> order);
        let region = (number >> 20) & 0x000F_FFFF;
        let bytes = PAGE_BYTES << order;
        let at = PAGE_BYTES
            .checked_add(region.checked_mul(self.region_bytes)?)?
            .checked_add(index.checked_mul(bytes)?)?;
        if at.checked_add(bytes)? > self.length {
            return None;
        }
        let mut page = vec![0; usize::try_from(bytes).ok()?];
        self.file.read_exact_at(&mut page, LABEL_BYTES + at).ok()?;
        Some(page)
    }

    /// Walks a tree whose keys and values have any length.
    fn walk(&self, link: PageLink, depth: usize, is_intact: IsIntact<'_>, take: Take<'_>) {
        let Some(page) = self.page(link.number).filter(|_| depth < DEPTH_MAX) else {
            return;
        };
        let count = usize::from(u16::from_le_bytes([page[2], page[3]]));
        match page[0] {
            LEAF => {
                let rows = rows(&page, count);
                let is_whole = checksum_of(&page, count) == Some(link.checksum);
                let is_of_another_time =
                    !is_whole && rows.len() == count && rows.iter().all(|(key, value)| is_intact(key, value));
                if !is_of_another_time {
                    rows.into_iter().for_each(|(key, value)| take(key, value));
                }
            }
            BRANCH => {
                let children = children(&page, count);
                let is_whole = checksum_of(&page, count) == Some(link.checksum);
                let is_of_another_time = !is_whole
                    && children.len() == count + 1
                    && children.iter().all(|child| self.is_whole(*child));
                if !is_of_another_time {
                    children.into_iter().for_each(|child| self.walk(child, depth + 1, is_intact, take));
                }
            }
            _ => {}
        }
    }

    fn is_whole(&self, link: PageLink) -> bool {
        self.page(link.number).is_some_and(|page| {
            let count = usize::from(u16::from_le_bytes([page[2], page[3]]));
            checksum_of(&page, count) == Some(link.checksum)
        })
    }
}

/// The rows of a leaf. Bytes: type, number of rows, end of each key, end of each value, the keys, the values.
fn rows(page: &[u8], count: usize) -> Vec<(&[u8], &[u8])> {
    let mut rows = Vec::new();
    let Some(values) = count.checked_sub(1).and_then(|last| number_at(page, 4 + 4 * last)) else {
        return rows;
    };
    let (mut key_start, mut value_start) = (4 + 8 * count, values);
    for n in 0..count {
        let ends = (number_at(page, 4 + 4 * n), number_at(page, 4 + 4 * count + 4 * n));
        let (Some(key_end), Some(value_end)) = ends else {
            return rows;
        };
        if let (Some(key), Some(value)) = (page.get(key_start..key_end), page.get(value_start..value_end)) {
            rows.push((key, value));
        }
        (key_start, value_start) = (key_end, value_end);
    }
    rows
}

/// The children of a branch. Bytes: type, number of keys, padding, checksum of each child, number of each child, end of
/// each key, the keys.
fn children(page: &[u8], keys: usize) -> Vec<PageLink> {
    let numbers = 8 + 16 * (keys + 1);
    let child =
        |n: usize| PageLink::read(page.get(numbers + 8 * n..)?.get(..8)?, page.get(8 + 16 * n..)?.get(..16)?);
    (0..=keys).filter_map(child).collect()
}

/// Checksum of the used part of a page; `None` if its numbers do not fit together.
fn checksum_of(page: &[u8], count: usize) -> Option<u128> {
    let last = count.checked_sub(1)?;
    let end = match page[0] {
        LEAF => number_at(page, 4 + 4 * count + 4 * last)?,
        BRANCH => number_at(page, 8 + 24 * (count + 1) + 4 * last)?,
        _ => return None,
    };
    Some(XxHash3_128::oneshot(page.get(..end)?))
}

fn number_at(page: &[u8], at: usize) -> Option<usize> {
    let bytes = page.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}
