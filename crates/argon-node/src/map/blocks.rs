//! A stream cut into blocks at the borders of records, as `parallel --pipe` does.
//!
//! Holds one block and what was read behind it. A block ends behind the last border in its bytes; a record that is longer
//! than a block gets a longer one.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};

/// Longest block. A record without end is not a record, but a stream of another kind.
pub const BLOCK_BYTES_MAX: usize = 1 << 30;
/// Bytes that are read at once where records are counted.
const COUNTED_BYTES: usize = 256 << 10;

/// Rules for the end of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of a block.
    pub bytes: usize,
    /// Records of a block, in place of bytes.
    pub records: Option<u64>,
    /// Text that ends a record.
    pub end: Vec<u8>,
    /// Text that begins one.
    pub start: Vec<u8>,
}

/// Reason why there are no more blocks.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The system reports an error.
    #[error("{name} cannot be read: {error}")]
    Unreadable {
        /// The source.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// A record without end.
    #[error(
        "block {number} of {name} has no end of a record within 1 GiB; --recend and --recstart name what separates records, \
         and --recend '' cuts anywhere"
    )]
    Long {
        /// The source.
        name: String,
        /// The block, from 1.
        number: u64,
    },
}

/// The blocks of a stream.
pub struct Blocks {
    name: String,
    from: Box<dyn Read + Send>,
    cut: Cut,
    /// Text between two records.
    border: Vec<u8>,
    buffer: BytesMut,
    number: u64,
    is_over: bool,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks").field("name", &self.name).field("cut", &self.cut).finish_non_exhaustive()
    }
}

impl Blocks {
    /// The blocks of what can be read.
    #[must_use]
    pub fn new(name: String, from: Box<dyn Read + Send>, cut: Cut) -> Self {
        let border = [&cut.end[..], &cut.start[..]].concat();
        Self { name, from, cut, border, buffer: BytesMut::new(), number: 0, is_over: false }
    }

    /// The next block, which is not empty; `None` at the end.
    ///
    /// # Errors
    /// If the stream cannot be read, or a record has no end.
    pub fn next_block(&mut self) -> Result<Option<Bytes>, BlockError> {
        self.number += 1;
        match self.cut.records {
            Some(records) => self.counted(records),
            None => self.sized(),
        }
    }

    /// As many bytes as a block may have, up to the last border. Without one the block doubles.
    fn sized(&mut self) -> Result<Option<Bytes>, BlockError> {
        let mut size = self.cut.bytes;
        while !self.is_over {
            let here = self.buffer.len();
            self.read(size - here)?;
            if self.is_over && self.buffer.len() <= self.cut.bytes {
                break;
            }
            // What was there has no border, but one may have been cut in two.
            let from = here.saturating_sub(self.border.len());
            // The text that begins the first record ends none.
            let found = rfind(&self.buffer[from..], &self.border).map(|at| from + at + self.cut.end.len());
            if let Some(end) = found.filter(|end| *end > 0) {
                return Ok(Some(self.take(end)));
            }
            self.check_length()?;
            size = size.saturating_mul(2).min(BLOCK_BYTES_MAX);
        }
        Ok(self.rest())
    }

    /// `records` records, or the rest.
    fn counted(&mut self, records: u64) -> Result<Option<Bytes>, BlockError> {
        let (mut count, mut at) = (0, 0);
        loop {
            // The text that begins the first record does not end one before it.
            let from = at.max(usize::from(self.cut.end.is_empty() && at == 0));
            let found = self.buffer.get(from..).and_then(|rest| find(rest, &self.border));
            if let Some(found) = found {
                count += 1;
                let behind = from + found + self.cut.end.len();
                if count == records {
                    return Ok(Some(self.take(behind)));
                }
                at = behind + usize::from(self.cut.end.is_empty());
                continue;
            }
            if self.is_over {
                return Ok(self.rest());
            }
            at = at.max((self.buffer.len() + 1).saturating_sub(self.border.len()));
            self.check_length()?;
            self.read(COUNTED_BYTES)?;
        }
    }

    /// Reads that much, or to the end.
    fn read(&mut self, count: usize) -> Result<(), BlockError> {
        let begin = self.buffer.len();
        self.buffer.resize(begin + count, 0);
        let mut filled = begin;
        while filled < begin + count {
            match self.from.read(&mut self.buffer[filled..]) {
                Ok(0) => {
                    self.is_over = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BlockError::Unreadable { name: self.name.clone(), error }),
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }

    fn check_length(&self) -> Result<(), BlockError> {
        if self.buffer.len() < BLOCK_BYTES_MAX {
            return Ok(());
        }
        Err(BlockError::Long { name: self.name.clone(), number: self.number })
    }

    fn take(&mut self, count: usize) -> Bytes {
        // A copy of the short rest, so that a block is not kept for what was read behind it.
        let rest = BytesMut::from(&self.buffer[count..]);
        let mut block = std::mem::replace(&mut self.buffer, rest);
        block.truncate(count);
        block.freeze()
    }

    fn rest(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.buffer);
        (!rest.is_empty()).then(|| rest.freeze())
    }
}

/// The first place of a text. An empty text is not found.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let first = *text.first()?;
    let mut at = 0;
    while let Some(found) = bytes.get(at..)?.iter().position(|byte| *byte == first) {
        if bytes[at + found..].starts_with(text) {
            return Some(at + found);
        }
        at += found + 1;
    }
    None
}

/// The last place of a text. An empty text is at the end.
fn rfind(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let Some(last) = text.last() else { return Some(bytes.len()) };
    let mut end = bytes.len();
    while let Some(found) = bytes[..end].iter().rposition(|byte| byte == last) {
        if bytes[..=found].ends_with(text) {
            return Some(found + 1 - text.len());
        }
        end = found;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: usize, records: Option<u64>, end: &str, start: &str) -> Cut {
        Cut { bytes, records, end: end.into(), start: start.into() }
    }

    fn blocks(text: &str, cut: Cut) -> Vec<String> {
        let mut blocks = Blocks::new("it".to_owned(), Box::new(io::Cursor::new(text.to_owned())), cut);
        let next = || blocks.next_block().expect("it can be read");
        std::iter::from_fn(next).map(|block| String::from_utf8_lossy(&block).into_owned()).collect()
    }

    #[test]
    fn a_block_ends_behind_the_last_record_that_fits() {
        assert_eq!(blocks("a\nbb\nc\nd", cut(5, None, "\n", "")), ["a\nbb\n", "c\nd"]);
        assert_eq!(blocks("a\nbb\nc\n", cut(6, None, "\n", "")), ["a\nbb\n", "c\n"]);
        assert_eq!(blocks("", cut(5, None, "\n", "")), [""; 0]);
        assert_eq!(blocks(">a\n>b\n>c", cut(5, None, "", ">")), [">a\n", ">b\n", ">c"]);
        assert_eq!(blocks(">aaaa\n>b", cut(3, None, "", ">")), [">aaaa\n", ">b"]);
        assert_eq!(blocks("abcde", cut(2, None, "", "")), ["ab", "cd", "e"]);
        assert_eq!(blocks("a.-b.-c.d", cut(4, None, ".", "-")), ["a.", "-b.", "-c.d"]);
    }

    #[test]
    fn a_record_that_is_longer_than_a_block_stays_whole() {
        assert_eq!(blocks("a\nbbbbbbbb\nc\n", cut(3, None, "\n", "")), ["a\n", "bbbbbbbb\nc\n"]);
        // The border is cut by the end of a block.
        assert_eq!(blocks("aaa--b--", cut(4, None, "--", "")), ["aaa--b--"]);
    }

    #[test]
    fn records_are_counted() {
        assert_eq!(blocks("a\n\nb\nc", cut(1, Some(2), "\n", "")), ["a\n\n", "b\nc"]);
        assert_eq!(blocks("a\nb\n", cut(1, Some(2), "\n", "")), ["a\nb\n"]);
        assert_eq!(blocks(">a\n>b\n>c", cut(1, Some(2), "", ">")), [">a\n>b\n", ">c"]);
        assert_eq!(blocks("x>a>b", cut(1, Some(1), "", ">")), ["x", ">a", ">b"]);
        assert_eq!(blocks("a.-b.c.-d", cut(1, Some(1), ".", "-")), ["a.", "-b.c.", "-d"]);
        let many: String = (0..200_000).map(|number| format!("{number}\n")).collect();
        let found = blocks(&many, cut(1, Some(70_000), "\n", ""));
        assert_eq!(
            found.iter().map(|block| block.lines().count()).collect::<Vec<_>>(),
            [70_000, 70_000, 60_000]
        );
        assert_eq!(found.concat(), many);
    }
}
