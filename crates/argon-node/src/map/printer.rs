//! Prints the output of commands: each one's whole, in the order of the inputs if that is wanted, with tags if that is.
//!
//! Holds what may not be printed yet; where the bytes are is the spill's affair.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::spill::{Spill, SpilledStream};

/// Output of one command: standard output and standard error.
#[derive(Debug, Default)]
pub struct PrintedOutput {
    /// Its standard output.
    pub stdout: SpilledStream,
    /// Its standard error.
    pub stderr: SpilledStream,
}

/// Gives things back in the order of their places: `0, 1, 2, …`, or as they come.
#[derive(Debug)]
pub struct PrintOrder<T> {
    next: u64,
    held: BTreeMap<u64, T>,
    keeps_order: bool,
}

impl<T> PrintOrder<T> {
    /// In order, or as they come.
    #[must_use]
    pub fn new(keeps_order: bool) -> Self {
        Self { next: 0, held: BTreeMap::new(), keeps_order }
    }

    /// Takes one in.
    pub fn put(&mut self, place: u64, thing: T) {
        self.held.insert(place, thing);
    }

    /// The next one whose turn it is.
    pub fn take(&mut self) -> Option<T> {
        let entry = self.held.first_entry()?;
        if self.keeps_order && *entry.key() != self.next {
            return None;
        }
        self.next = entry.key() + 1;
        Some(entry.remove())
    }

    /// Number of those that wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.held.len()
    }
}

/// Writes a stream, with a tag and a tab before each line.
///
/// # Errors
/// If it cannot be read from the spill, or `out` not be written.
pub fn print(
    spill: &mut Spill,
    stream: SpilledStream,
    tag: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    match tag {
        None => spill.print(stream, out),
        Some(tag) => spill.print(stream, &mut Tagged { tag, out, is_at_start: true }),
    }
}

struct Tagged<'a> {
    tag: &'a str,
    out: &'a mut dyn Write,
    is_at_start: bool,
}

impl Write for Tagged<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.is_at_start {
                write!(self.out, "{}\t", self.tag)?;
            }
            self.out.write_all(line)?;
            self.is_at_start = line.ends_with(b"\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_order_is_that_of_the_places() {
        let mut order = PrintOrder::new(true);
        order.put(1, 'b');
        assert_eq!((order.take(), order.waiting()), (None, 1));
        order.put(0, 'a');
        assert_eq!((order.take(), order.take(), order.take()), (Some('a'), Some('b'), None));
        order.put(2, 'c');
        assert_eq!(order.take(), Some('c'));
    }

    #[test]
    fn otherwise_things_come_as_they_are() {
        let mut order = PrintOrder::new(false);
        order.put(5, 'f');
        assert_eq!(order.take(), Some('f'));
        order.put(1, 'b');
        assert_eq!(order.take(), Some('b'));
    }

    #[test]
    fn tags_stand_before_each_line_however_it_was_written() {
        let mut spill = Spill::default();
        let mut stream = SpilledStream::default();
        for bytes in ["one\ntw", "o\n\nth", "ree"] {
            spill.write(&mut stream, bytes.as_bytes()).expect("written");
        }
        let mut out = Vec::new();
        print(&mut spill, stream, Some("in put"), &mut out).expect("printed");
        assert_eq!(String::from_utf8_lossy(&out), "in put\tone\nin put\ttwo\nin put\t\nin put\tthree");
    }
}
