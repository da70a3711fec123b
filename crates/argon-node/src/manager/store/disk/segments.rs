//! Payload files: large payloads, one behind the other, in files of at most 64 MiB beside the store.
//!
//! Bytes are appended and made durable before the record that names their place. A place that no record names becomes a
//! hole in its file; a file without places is removed. Names begin with the store's identity, so a store never
//! touches files of another one.

use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use argon_proto::Payload;
use argon_proto::id::to_hex;
use bytes::Bytes;
use nix::fcntl::{FallocateFlags, fallocate};
use rustc_hash::FxHashMap;
use twox_hash::XxHash3_64;

use super::label::StoreIdentity;
use super::value::PayloadPlace;
use crate::manager::store::PayloadName;

/// Size at which a new file is begun.
const SEGMENT_BYTES: u64 = if cfg!(test) { 1 << 20 } else { 64 << 20 };
/// Places from this size are given back one by one; smaller ones with their file.
const PUNCH_BYTES: u64 = 64 << 10;
/// Bytes of one part of a payload that is read.
const PART_BYTES: u64 = 1 << 20;
const DAMAGED: &str = "damaged";

/// Names of the files of one store.
#[derive(Clone, Debug)]
pub(super) struct SegmentNames {
    folder: PathBuf,
    prefix: String,
}

/// The files of one store, for its only writer.
#[derive(Debug)]
pub(super) struct Segments {
    names: SegmentNames,
    /// Number of places in each file.
    places: FxHashMap<u32, usize>,
    /// The file to which is appended, and its length.
    current: Option<(u32, File, u64)>,
    last: u32,
}

impl SegmentNames {
    pub(super) fn new(store: &Path, identity: &StoreIdentity) -> Self {
        Self { folder: payload_folder(store), prefix: to_hex(&identity[..8]) }
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.folder.join(format!("{}-{segment:08}", self.prefix))
    }

    /// Reads a place, and compares the checksum. `owner` names the record whose payload it is.
    ///
    /// # Errors
    /// If the file cannot be read, is too short, or holds other bytes.
    pub(super) fn read(&self, place: PayloadPlace, owner: PayloadName) -> io::Result<Payload> {
        let file = File::open(self.path(place.segment))?;
        let mut parts = Vec::new();
        let mut done = 0;
        let mut hasher = XxHash3_64::default();
        hasher.write(&owner.to_bytes());
        // A length from a damaged record must not reserve memory.
        if file.metadata()?.len() < place.offset.saturating_add(place.length) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        while done < place.length {
            let mut part = vec![0; usize::try_from((place.length - done).min(PART_BYTES)).unwrap_or(0)];
            file.read_exact_at(&mut part, place.offset + done)?;
            hasher.write(&part);
            done += part.len() as u64;
            parts.push(Bytes::from(part));
        }
        if hasher.finish() == place.sum {
            Ok(Payload::from_parts(parts))
        } else {
            Err(io::Error::new(ErrorKind::InvalidData, "its bytes are not those that were written"))
        }
    }

    /// Compares the length of the file with a place.
    ///
    /// # Errors
    /// If there is no such file, or it is too short.
    pub(super) fn reaches(
        &self,
        place: PayloadPlace,
        lengths: &mut FxHashMap<u32, Option<u64>>,
    ) -> io::Result<()> {
        let length = *lengths
            .entry(place.segment)
            .or_insert_with(|| std::fs::metadata(self.path(place.segment)).ok().map(|facts| facts.len()));
        match length {
            None => Err(ErrorKind::NotFound.into()),
            Some(length) if length < place.offset.saturating_add(place.length) => {
                Err(ErrorKind::UnexpectedEof.into())
            }
            Some(_) => Ok(()),
        }
    }

    /// Copies a file that is damaged aside; nothing if it does not exist.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub(super) fn copy_aside(&self, segment: u32) -> io::Result<()> {
        let from = self.path(segment);
        match std::fs::copy(&from, from.with_extension(DAMAGED)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Folder of the payload files of a store.
pub(in crate::manager) fn payload_folder(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".payloads");
    store.with_file_name(name)
}

impl Segments {
    /// The files of a store that has these places. Files without a place, which a crash has left, are removed; after a
    /// loss they may be those of lost tasks, and are renamed.
    pub(super) fn new(
        names: SegmentNames,
        kept: impl Iterator<Item = PayloadPlace>,
        after_loss: bool,
    ) -> Self {
        let mut places = FxHashMap::default();
        for place in kept {
            *places.entry(place.segment).or_insert(0) += 1;
        }
        let mut last = places.keys().copied().max().unwrap_or(0);
        let entries = std::fs::read_dir(&names.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().into_string().unwrap_or_default();
            let number = name.strip_prefix(&names.prefix).and_then(|rest| rest.strip_prefix('-'));
            if let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) {
                last = last.max(number);
                if !places.contains_key(&number) {
                    let path = entry.path();
                    let _ = if after_loss {
                        std::fs::rename(&path, path.with_extension(DAMAGED))
                    } else {
                        std::fs::remove_file(path)
                    };
                }
            }
        }
        Self { names, places, current: None, last }
    }

    /// Appends a payload. It is durable after [`Segments::sync`].
    ///
    /// # Errors
    /// If it cannot be written: nothing refers to the bytes that were.
    pub(super) fn append(&mut self, payload: &Payload, owner: PayloadName) -> io::Result<PayloadPlace> {
        let length = payload.len();
        if self.current.as_ref().is_some_and(|(_, _, end)| *end > 0 && *end + length > SEGMENT_BYTES) {
            self.sync()?;
            self.current = None;
        }
        if self.current.is_none() {
            self.begin()?;
        }
        let Some((segment, file, end)) = &mut self.current else {
            return Err(ErrorKind::NotFound.into());
        };
        let mut hasher = XxHash3_64::default();
        hasher.write(&owner.to_bytes());
        let mut at = *end;
        for part in payload.parts() {
            file.write_all_at(part, at)?;
            hasher.write(part);
            at += part.len() as u64;
        }
        let place = PayloadPlace { segment: *segment, offset: *end, length, sum: hasher.finish() };
        *end = at;
        *self.places.entry(place.segment).or_insert(0) += 1;
        Ok(place)
    }

    /// Makes everything that was appended durable.
    ///
    /// # Errors
    /// If the disk reports one.
    pub(super) fn sync(&self) -> io::Result<()> {
        match &self.current {
            Some((_, file, _)) => file.sync_data(),
            None => Ok(()),
        }
    }

    /// Gives a place back. Called when the commit that dropped its record is durable. A failure costs room until the file
    /// is removed, and no data.
    pub(super) fn free(&mut self, place: PayloadPlace) {
        let left = match self.places.get_mut(&place.segment) {
            Some(left) => left,
            None => return,
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.places.remove(&place.segment);
            if self.current.as_ref().is_some_and(|(segment, ..)| *segment == place.segment) {
                self.current = None;
            }
            let _ = std::fs::remove_file(self.names.path(place.segment));
        } else if place.length >= PUNCH_BYTES {
            self.punch(place);
        }
    }

    fn punch(&self, place: PayloadPlace) {
        let (Ok(offset), Ok(length)) = (i64::try_from(place.offset), i64::try_from(place.length)) else {
            return;
        };
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match &self.current {
            Some((segment, file, _)) if *segment == place.segment => {
                let _ = fallocate(file.as_fd(), flags, offset, length);
            }
            Some(_) | None => {
                if let Ok(file) = OpenOptions::new().write(true).open(self.names.path(place.segment)) {
                    let _ = fallocate(file.as_fd(), flags, offset, length);
                }
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        let folder = &self.names.folder;
        if !folder.is_dir() {
            std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
            if let Some(parent) = folder.parent() {
                sync_folder(parent)?;
            }
        }
        let segment = self.last + 1;
        let path = self.names.path(segment);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        sync_folder(folder)?;
        self.last = segment;
        self.current = Some((segment, file, 0));
        Ok(())
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use argon_proto::{SessionId, TaskId};

    use super::*;

    const OWNER: PayloadName = PayloadName::Arguments(TaskId { session: SessionId([1; 16]), sequence: 1 });
    const OTHER: PayloadName = PayloadName::Result(TaskId { session: SessionId([1; 16]), sequence: 1 });

    /// Names of a store in a temporary folder, which is removed with the second value.
    fn names() -> (SegmentNames, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("made");
        (SegmentNames::new(&folder.path().join("store"), &[7; 16]), folder)
    }

    fn files(names: &SegmentNames) -> usize {
        std::fs::read_dir(&names.folder).map_or(0, Iterator::count)
    }

    #[test]
    fn a_payload_is_read_back_as_that_of_its_owner_only() {
        let (names, _folder) = names();
        let mut segments = Segments::new(names.clone(), std::iter::empty(), false);
        let payload = Payload::from((0..3_000_000u32).map(|number| number as u8).collect::<Vec<u8>>());
        let first = segments.append(&payload, OWNER).expect("written");
        let second = segments.append(&Payload::from(vec![9; 2000]), OTHER).expect("written");
        assert!(names.read(first, OWNER).expect("read").to_contiguous() == payload.to_contiguous());
        assert!(names.read(first, OTHER).is_err());
        assert!(names.read(PayloadPlace { offset: first.offset + 1, ..first }, OWNER).is_err());
        assert!(names.read(PayloadPlace { length: u64::MAX, ..second }, OTHER).is_err());
    }

    #[test]
    fn files_go_with_their_last_place_and_room_before_that() {
        let (names, _folder) = names();
        let mut segments = Segments::new(names.clone(), std::iter::empty(), false);
        let payload = Payload::from(vec![1; 400 << 10]);
        let places: Vec<PayloadPlace> =
            (0..3).map(|_| segments.append(&payload, OWNER).expect("written")).collect();
        segments.sync().expect("synced");
        assert_eq!(places.iter().map(|place| place.segment).collect::<Vec<_>>(), [1, 1, 2]);
        let blocks = || {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata(names.path(1)).expect("there").blocks() * 512
        };
        let full = blocks();
        segments.free(places[0]);
        assert!(full - blocks() >= 390 << 10, "{full} bytes became {}", blocks());
        assert!(names.read(places[1], OWNER).is_ok());
        segments.free(places[1]);
        segments.free(places[2]);
        assert_eq!(files(&names), 0);
        let place = segments.append(&payload, OWNER).expect("written");
        assert_eq!(place.segment, 3, "no number is used twice");
    }

    #[test]
    fn files_that_a_crash_left_are_removed_and_those_of_another_store_are_not() {
        let (names, _folder) = names();
        let mut segments = Segments::new(names.clone(), std::iter::empty(), false);
        let kept = segments.append(&Payload::from(vec![1; 700 << 10]), OWNER).expect("written");
        segments.append(&Payload::from(vec![1; 700 << 10]), OWNER).expect("written");
        std::fs::write(names.folder.join("0909090909090909-00000001"), b"of another").expect("written");
        drop(segments);
        let mut segments = Segments::new(names.clone(), std::iter::once(kept), false);
        assert_eq!(files(&names), 2);
        let next = segments.append(&Payload::from(vec![1; 2000]), OWNER).expect("written");
        assert_eq!(next.segment, 3);
    }
}
