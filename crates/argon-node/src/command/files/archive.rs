//! The archive of a command: heads and bytes of its files, as one stream that can be read from any place.
//!
//! Small files are held; of long ones only the descriptor is.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

use bytes::{BufMut, Bytes, BytesMut};

use super::name::CarriedName;

/// Bytes of a file up to which it is held in memory.
const HELD_BYTES: u64 = 256 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Archive {
    parts: Vec<Segment>,
    length: u64,
    /// Heads and short files that are not a part yet.
    open: BytesMut,
}

#[derive(Debug)]
enum Segment {
    Bytes(Bytes),
    File { file: File, length: u64, name: String },
}

impl Segment {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl Archive {
    /// Adds a file; a symbolic link stands for its target.
    ///
    /// # Errors
    /// With a sentence, if it cannot be read or is not a file.
    pub fn add(&mut self, name: &CarriedName) -> Result<(), String> {
        let shown = name.local.display();
        let failed = |error: io::Error| format!("the file {shown} cannot be sent: {error}");
        let facts = std::fs::metadata(&name.local).map_err(failed)?;
        if facts.is_dir() {
            return Err(format!(
                "{shown} is a folder, and only files travel; name its files, or send a tar file"
            ));
        }
        if !facts.is_file() {
            return Err(format!("{shown} is not a regular file, and only files travel"));
        }
        let mut file = File::open(&name.local).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        self.head(&name.remote, facts.mode() & 0o777, facts.len());
        if facts.len() > HELD_BYTES {
            self.close();
            let part = Segment::File { file, length: facts.len(), name: shown.to_string() };
            self.length += part.length();
            self.parts.push(part);
            return Ok(());
        }
        let before = self.open.len();
        let mut bytes = Vec::with_capacity(facts.len() as usize);
        file.by_ref().take(facts.len() + 1).read_to_end(&mut bytes).map_err(failed)?;
        self.open.extend_from_slice(&bytes);
        if (self.open.len() - before) as u64 != facts.len() {
            return Err(changed(&shown.to_string()));
        }
        Ok(())
    }

    fn head(&mut self, path: &str, mode: u32, length: u64) {
        // A path has at most 4096 bytes.
        self.open.put_u32(path.len() as u32);
        self.open.put_u32(mode);
        self.open.put_u64(length);
        self.open.put_slice(path.as_bytes());
    }

    /// Ends the archive: the standard input of the command follows.
    pub fn end(&mut self) {
        self.head("", 0, 0);
        self.close();
    }

    fn close(&mut self) {
        let bytes = self.open.split().freeze();
        if !bytes.is_empty() {
            self.length += bytes.len() as u64;
            self.parts.push(Segment::Bytes(bytes));
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length + self.open.len() as u64
    }

    /// All of it.
    ///
    /// # Errors
    /// If a file cannot be read, or has changed its length.
    pub fn whole(&mut self) -> io::Result<Bytes> {
        self.close();
        let mut bytes = BytesMut::with_capacity(self.length as usize);
        while (bytes.len() as u64) < self.length {
            bytes.extend_from_slice(&self.read_at(bytes.len() as u64, usize::MAX >> 1)?);
        }
        Ok(bytes.freeze())
    }

    /// Bytes from that place, at most `length`; none at the end.
    ///
    /// # Errors
    /// If a file cannot be read, or has changed its length.
    pub fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut begin = 0;
        for part in &self.parts {
            let end = begin + part.length();
            if offset >= end {
                begin = end;
                continue;
            }
            let at = offset - begin;
            let count = (end - offset).min(length as u64) as usize;
            return match part {
                Segment::Bytes(bytes) => Ok(bytes.slice(at as usize..at as usize + count)),
                Segment::File { file, name, .. } => {
                    let mut bytes = vec![0; count.min(4 << 20)];
                    let read = file.read_at(&mut bytes, at)?;
                    bytes.truncate(read);
                    if read == 0 { Err(io::Error::other(changed(name))) } else { Ok(bytes.into()) }
                }
            };
        }
        Ok(Bytes::new())
    }
}

fn changed(name: &str) -> String {
    format!("the file {name} has changed its length while it was sent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_files_make_one_stream() {
        let folder = tempfile::tempdir().expect("made");
        let (short, long) = (folder.path().join("short"), folder.path().join("long"));
        std::fs::write(&short, "abc").expect("written");
        std::fs::write(&long, vec![7; 300 << 10]).expect("written");
        let mut archive = Archive::default();
        for (local, remote) in [(short, "s"), (long, "l")] {
            archive.add(&CarriedName { local, remote: remote.to_owned() }).expect("added");
        }
        archive.end();
        let whole = archive.whole().expect("read");
        assert_eq!(whole.len() as u64, archive.length());
        assert_eq!(whole.len(), 3 * 16 + 2 + 3 + (300 << 10));
        assert_eq!(&whole[16..20], b"sabc");
        assert_eq!(archive.read_at(17, 100).expect("read")[..3], b"abc"[..]);
        assert!(archive.read_at(whole.len() as u64, 9).expect("read").is_empty());
        let missing = CarriedName { local: folder.path().join("gone"), remote: "g".to_owned() };
        assert!(Archive::default().add(&missing).expect_err("gone").contains("cannot be sent"));
        let folder = CarriedName { local: folder.path().to_owned(), remote: "f".to_owned() };
        assert!(Archive::default().add(&folder).expect_err("a folder").contains("only files travel"));
    }
}
