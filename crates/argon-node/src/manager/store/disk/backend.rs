//! The file under the database: everything behind the label.
//!
//! While a store is examined, writes stay in memory, so a start that refuses changes nothing. [`Backend::release`]
//! writes them when the store is found to be sound.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::label::LABEL_BYTES;

const PAGE: usize = 4096;

/// See the module. A clone is another handle of the same file.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    shared: Arc<HeldFile>,
}

#[derive(Debug)]
struct HeldFile {
    file: Arc<File>,
    /// Writes that are held back; `None` after the release.
    held: Mutex<Option<HeldWrites>>,
}

#[derive(Debug)]
struct HeldWrites {
    length: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Backend {
    /// The database of a file whose writes are held back.
    ///
    /// # Errors
    /// If the file's length cannot be read.
    pub(super) fn holding(file: Arc<File>) -> io::Result<Self> {
        let length = file.metadata()?.len().saturating_sub(LABEL_BYTES);
        let held = Mutex::new(Some(HeldWrites { length, pages: BTreeMap::new() }));
        Ok(Self { shared: Arc::new(HeldFile { file, held }) })
    }

    /// The database of a file that nobody else knows yet.
    pub(super) fn direct(file: Arc<File>) -> Self {
        Self { shared: Arc::new(HeldFile { file, held: Mutex::new(None) }) }
    }

    /// Writes what was held back, durably; from now on writes go to the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut held = self.held();
        if let Some(HeldWrites { length, pages }) = held.take() {
            let file = &self.shared.file;
            if file.metadata()?.len() != LABEL_BYTES + length {
                file.set_len(LABEL_BYTES + length)?;
            }
            for (number, page) in pages {
                let at = number * PAGE as u64;
                let left = usize::try_from(length.saturating_sub(at)).unwrap_or(PAGE).min(PAGE);
                file.write_all_at(&page[..left], LABEL_BYTES + at)?;
            }
            file.sync_data()?;
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Option<HeldWrites>> {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldWrites {
    fn read(&self, file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 > self.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for (number, within, piece) in pages_of(offset, out.len()) {
            let target = &mut out[piece];
            match self.pages.get(&number) {
                Some(page) => target.copy_from_slice(&page[within..within + target.len()]),
                None => read_or_zero(file, number * PAGE as u64 + within as u64, target)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
        for (number, within, piece) in pages_of(offset, data.len()) {
            let page = match self.pages.entry(number) {
                Entry::Occupied(page) => page.into_mut(),
                Entry::Vacant(place) => {
                    let mut page = Box::new([0; PAGE]);
                    read_or_zero(file, number * PAGE as u64, &mut page[..])?;
                    place.insert(page)
                }
            };
            let source = &data[piece];
            page[within..within + source.len()].copy_from_slice(source);
        }
        self.length = self.length.max(offset + data.len() as u64);
        Ok(())
    }
}

/// The pieces of a range that lie on one page each: number of the page, offset on it, and part of the range.
fn pages_of(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + done as u64;
        let within = usize::try_from(at % PAGE as u64).unwrap_or(0);
        let piece = done..length.min(done + PAGE - within);
        done = piece.end;
        Some((at / PAGE as u64, within, piece))
    })
}

/// Reads from the database's part of the file; what lies behind its end is zero.
fn read_or_zero(file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < out.len() {
        match file.read_at(&mut out[done..], LABEL_BYTES + offset + done as u64) {
            Ok(0) => {
                out[done..].fill(0);
                return Ok(());
            }
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        match &*self.held() {
            Some(held) => Ok(held.length),
            None => Ok(self.shared.file.metadata()?.len().saturating_sub(LABEL_BYTES)),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &*self.held() {
            Some(held) => held.read(&self.shared.file, offset, out),
            None => self.shared.file.read_exact_at(out, LABEL_BYTES + offset),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        match &mut *self.held() {
            Some(held) => {
                held.length = length;
                held.pages.retain(|number, _| number * (PAGE as u64) < length);
                Ok(())
            }
            None => self.shared.file.set_len(LABEL_BYTES + length),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match &*self.held() {
            Some(_) => Ok(()),
            None => self.shared.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match &mut *self.held() {
            Some(held) => held.write(&self.shared.file, offset, data),
            None => self.shared.file.write_all_at(data, LABEL_BYTES + offset),
        }
    }
}
