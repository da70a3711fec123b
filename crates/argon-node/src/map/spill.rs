//! Output that waits until it may be printed: a little of it in memory, the rest in one temporary file.
//!
//! The file has no name, so it is gone with the process. Its blocks are used again, so it grows to what waits at one time
//! and not to what was written in all.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// Bytes of a block in the file, and of one stream in memory at most.
pub const BLOCK_BYTES: usize = 64 << 10;
/// Bytes in memory at most, over all streams.
const MEMORY_BYTES: usize = 32 << 20;

/// Location of waiting output.
#[derive(Debug, Default)]
pub struct Spill {
    file: Option<File>,
    free: Vec<u64>,
    next: u64,
    in_memory: usize,
}

/// One stream of output. It must be printed with, or dropped into, the [`Spill`] that it was written with.
#[derive(Debug, Default)]
pub struct SpilledStream {
    blocks: Vec<Block>,
    tail: Vec<u8>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    place: u64,
    length: usize,
}

impl SpilledStream {
    /// Bytes written to it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// True if nothing was written to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Spill {
    /// Adds to a stream.
    ///
    /// # Errors
    /// If the temporary file cannot be made or written.
    pub fn write(&mut self, stream: &mut SpilledStream, mut bytes: &[u8]) -> io::Result<()> {
        stream.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = BLOCK_BYTES - stream.tail.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            stream.tail.extend_from_slice(now);
            self.in_memory += now.len();
            bytes = later;
            if stream.tail.len() == BLOCK_BYTES || self.in_memory > MEMORY_BYTES {
                self.store(stream)?;
            }
        }
        Ok(())
    }

    fn store(&mut self, stream: &mut SpilledStream) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(nameless_file()?),
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        let length = stream.tail.len();
        file.write_all_at(&stream.tail, place * BLOCK_BYTES as u64)?;
        stream.blocks.push(Block { place, length });
        self.in_memory -= length;
        // Its memory goes too: many streams may have spilled once.
        stream.tail = Vec::new();
        Ok(())
    }

    /// Writes a stream out, and forgets it.
    ///
    /// # Errors
    /// If the temporary file cannot be read, or `out` not be written.
    pub fn print(&mut self, stream: SpilledStream, out: &mut dyn Write) -> io::Result<()> {
        let result = self.copy(&stream, out);
        self.forget(stream);
        result
    }

    /// Writes a stream out, and keeps it.
    ///
    /// # Errors
    /// If the temporary file cannot be read, or `out` not be written.
    pub fn copy(&self, stream: &SpilledStream, out: &mut dyn Write) -> io::Result<()> {
        if let Some(file) = &self.file
            && !stream.blocks.is_empty()
        {
            let mut buffer = vec![0; BLOCK_BYTES];
            for block in &stream.blocks {
                let bytes = &mut buffer[..block.length];
                file.read_exact_at(bytes, block.place * BLOCK_BYTES as u64)?;
                out.write_all(bytes)?;
            }
        }
        out.write_all(&stream.tail)
    }

    /// Gives back what a stream takes.
    pub fn forget(&mut self, stream: SpilledStream) {
        self.in_memory -= stream.tail.len();
        self.free.extend(stream.blocks.iter().map(|block| block.place));
    }
}

fn nameless_file() -> io::Result<File> {
    let folder = std::env::temp_dir();
    let path = folder.join(format!("argon-output-{}-{:?}", std::process::id(), std::thread::current().id()));
    let named = |error: io::Error| {
        let text = format!(
            "output cannot be kept in {}: {error}; name another folder with TMPDIR",
            folder.display()
        );
        io::Error::new(error.kind(), text)
    };
    let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(named)?;
    std::fs::remove_file(&path).map_err(named)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(spill: &mut Spill, stream: SpilledStream) -> Vec<u8> {
        let mut out = Vec::new();
        spill.print(stream, &mut out).expect("it can be printed");
        out
    }

    #[test]
    fn little_stays_in_memory() {
        let mut spill = Spill::default();
        let mut stream = SpilledStream::default();
        spill.write(&mut stream, b"hello ").expect("written");
        spill.write(&mut stream, b"there").expect("written");
        assert!(spill.file.is_none());
        assert_eq!((stream.len(), spill.in_memory), (11, 11));
        assert_eq!(printed(&mut spill, stream), b"hello there");
        assert_eq!(spill.in_memory, 0);
    }

    #[test]
    fn much_goes_to_the_file_and_comes_back_in_order() {
        let mut spill = Spill::default();
        let (mut one, mut two) = (SpilledStream::default(), SpilledStream::default());
        for number in 0..100_000_u32 {
            spill.write(&mut one, &number.to_be_bytes()).expect("written");
            spill.write(&mut two, &(!number).to_be_bytes()).expect("written");
        }
        assert!(spill.in_memory < 2 * BLOCK_BYTES);
        let expected: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        assert_eq!(printed(&mut spill, one), expected);
        let expected: Vec<u8> = (0..100_000_u32).flat_map(|number| (!number).to_be_bytes()).collect();
        assert_eq!(printed(&mut spill, two), expected);
    }

    #[test]
    fn the_file_does_not_grow_with_what_was_printed() {
        let mut spill = Spill::default();
        for _ in 0..20 {
            let mut stream = SpilledStream::default();
            spill.write(&mut stream, &vec![7; 3 * BLOCK_BYTES + 5]).expect("written");
            printed(&mut spill, stream);
        }
        assert_eq!(spill.next, 3);
    }

    #[test]
    fn memory_is_bounded_over_all_streams() {
        let mut spill = Spill::default();
        let mut streams: Vec<SpilledStream> = (0..1500).map(|_| SpilledStream::default()).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            spill.write(stream, &vec![number as u8; BLOCK_BYTES / 2]).expect("written");
        }
        assert!(spill.in_memory <= MEMORY_BYTES);
        for (number, stream) in streams.into_iter().enumerate() {
            assert_eq!(printed(&mut spill, stream), vec![number as u8; BLOCK_BYTES / 2]);
        }
    }
}
