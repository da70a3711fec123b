//! One source of inputs, read record by record: lines, records that end in a zero byte, rows of CSV, or words of the
//! command line. Holds one buffer, however long the source is.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::csv;
use super::shape::Shape;

/// Bytes of one record at most. A longer one is not an input, but a file given by mistake.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Separation of a source into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines.
    Lines,
    /// Records that end in a zero byte.
    Zero,
    /// Rows of comma-separated values.
    Csv,
}

/// Reason why a source cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The system reports an error.
    #[error("{name} cannot be read: {error}")]
    Unreadable {
        /// The source.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// A record without end.
    #[error("record {number} of {name} is longer than 1 MiB; is that a list of inputs?")]
    Long {
        /// The source.
        name: String,
        /// The record, from 1.
        number: u64,
    },
    /// Bytes that are not UTF-8.
    #[error(
        "record {number} of {name} is not UTF-8 text: {shown}; a command's words travel as text, so give such a file \
         another name, or pass a part of its path"
    )]
    NotText {
        /// The source.
        name: String,
        /// The record, from 1.
        number: u64,
        /// The beginning of it, as text.
        shown: String,
    },
    /// Text of another encoding.
    #[error("{name} is UTF-16 text, not UTF-8; convert it first: iconv -f UTF-16 -t UTF-8")]
    Utf16 {
        /// The source.
        name: String,
    },
    /// CSV that is none.
    #[error("row {number} of {name} is not CSV: {what}")]
    NotCsv {
        /// The source.
        name: String,
        /// The row, from 1.
        number: u64,
        /// The mistake.
        what: &'static str,
    },
}

/// A source that is open.
pub struct Records {
    name: String,
    from: From,
    format: Format,
    shape: Arc<Shape>,
    number: u64,
    is_over: bool,
}

enum From {
    Words(std::vec::IntoIter<String>),
    Reader(io::BufReader<Box<dyn Read + Send>>),
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("name", &self.name)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Records {
    /// The words after a `:::`.
    #[must_use]
    pub fn of_words(words: Vec<String>, format: Format) -> Self {
        Self::new("the command line".to_owned(), From::Words(words.into_iter()), format)
    }

    /// Whatever can be read.
    #[must_use]
    pub fn of_reader(name: String, reader: Box<dyn Read + Send>, format: Format) -> Self {
        Self::new(name, From::Reader(io::BufReader::with_capacity(64 << 10, reader)), format)
    }

    fn new(name: String, from: From, format: Format) -> Self {
        Self { name, from, format, shape: Arc::default(), number: 0, is_over: false }
    }

    /// The same source, whose records are treated like this.
    #[must_use]
    pub fn shaped(self, shape: Arc<Shape>) -> Self {
        Self { shape, ..self }
    }

    /// True if the next record can be read without waiting.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.from {
            From::Words(_) => true,
            From::Reader(reader) => !reader.buffer().is_empty(),
        }
    }

    /// The columns of the next record; `None` at the end.
    ///
    /// # Errors
    /// If it cannot be read, is not UTF-8, or does not follow the format.
    pub fn next_row(&mut self) -> Result<Option<Vec<String>>, RecordError> {
        while !self.is_over {
            let Some(columns) = self.columns()? else { break };
            if self.shape.is_end(&columns) {
                self.is_over = true;
            } else if !self.shape.is_left_out(&columns) {
                return Ok(Some(self.shape.columns(columns)));
            }
        }
        Ok(None)
    }

    /// The columns of the next record as the format has them.
    fn columns(&mut self) -> Result<Option<Vec<String>>, RecordError> {
        let Some(mut text) = self.record()? else { return Ok(None) };
        if self.format != Format::Csv {
            return Ok(Some(vec![text]));
        }
        loop {
            match csv::row(text.strip_suffix('\r').unwrap_or(&text)) {
                csv::Row::Whole(columns) => return Ok(Some(columns)),
                csv::Row::Broken => return Err(self.not_csv("there is text behind a closing quote")),
                csv::Row::Open => {
                    let number = self.number;
                    let Some(more) = self.record()? else {
                        return Err(self.not_csv("a quote is open at its end"));
                    };
                    // Lines that a quoted column runs over are one row.
                    self.number = number;
                    text = format!("{text}\n{more}");
                    if text.len() > RECORD_BYTES_MAX {
                        return Err(self.not_csv("it is longer than 1 MiB; is a quote left open?"));
                    }
                }
            }
        }
    }

    fn record(&mut self) -> Result<Option<String>, RecordError> {
        let reader = match &mut self.from {
            From::Words(words) => {
                self.number += 1;
                return Ok(words.next());
            }
            From::Reader(reader) => reader,
        };
        let end = match (&self.shape.delimiter, self.format) {
            (Some(delimiter), _) => delimiter.as_slice(),
            (None, Format::Zero) => b"\0",
            (None, Format::Lines | Format::Csv) => b"\n",
        };
        let mut bytes = Vec::new();
        read_to(reader, end, &mut bytes)
            .map_err(|error| RecordError::Unreadable { name: self.name.clone(), error })?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let is_text = self.format != Format::Zero && self.shape.delimiter.is_none();
        if self.number == 1 && is_text {
            if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
                return Err(RecordError::Utf16 { name: self.name.clone() });
            }
            // A byte order mark belongs to the file, and to no input.
            if bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
                if bytes.is_empty() {
                    return Ok(None);
                }
            }
        }
        if bytes.ends_with(end) {
            bytes.truncate(bytes.len() - end.len());
            // So does the other half of a line's end.
            if is_text && self.format == Format::Lines && bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        } else if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::Long { name: self.name.clone(), number: self.number });
        }
        String::from_utf8(bytes).map(Some).map_err(|error| RecordError::NotText {
            name: self.name.clone(),
            number: self.number,
            shown: String::from_utf8_lossy(error.as_bytes()).chars().take(80).collect(),
        })
    }

    fn not_csv(&self, what: &'static str) -> RecordError {
        RecordError::NotCsv { name: self.name.clone(), number: self.number, what }
    }
}

/// Reads up to the bytes that end a record, with them, or to a little more than the limit.
fn read_to(reader: &mut impl BufRead, end: &[u8], bytes: &mut Vec<u8>) -> io::Result<()> {
    let last = end.last().copied().unwrap_or(b'\n');
    // The end of the record is counted, so that a record of just the limit passes.
    let limit = RECORD_BYTES_MAX + end.len();
    while !bytes.ends_with(end) && bytes.len() < limit {
        let room = (limit - bytes.len()) as u64;
        if reader.by_ref().take(room).read_until(last, bytes)? == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(bytes: &[u8], format: Format) -> Records {
        Records::of_reader("list".to_owned(), Box::new(io::Cursor::new(bytes.to_vec())), format)
    }

    fn all(bytes: &[u8], format: Format) -> Vec<Vec<String>> {
        let mut records = records(bytes, format);
        std::iter::from_fn(|| records.next_row().expect("it can be read")).collect()
    }

    fn failure(bytes: &[u8], format: Format) -> String {
        let mut records = records(bytes, format);
        loop {
            match records.next_row() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it was read to its end"),
                Err(error) => return error.to_string(),
            }
        }
    }

    #[test]
    fn lines_end_in_a_newline_or_with_the_file_and_may_be_empty() {
        assert_eq!(all(b"a\n\nb c", Format::Lines), [["a"], [""], ["b c"]]);
        assert_eq!(all(b"a\n", Format::Lines), [["a"]]);
        assert_eq!(all(b"", Format::Lines), [[""; 0]; 0]);
        assert_eq!(all(b"a\nb\0c\0", Format::Zero), [["a\nb"], ["c"]]);
        assert_eq!(all(b"a\r\n\r\nb\rc\r\nd\r", Format::Lines), [["a"], [""], ["b\rc"], ["d\r"]]);
        assert_eq!(all(b"a\r\n\0", Format::Zero), [["a\r\n"]]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_input() {
        assert_eq!(all(b"\xef\xbb\xbfa\nb\n", Format::Lines), [["a"], ["b"]]);
        assert_eq!(all(b"\xef\xbb\xbf\"a,\",b\nc,d\n", Format::Csv), [["a,", "b"], ["c", "d"]]);
        assert_eq!(all(b"\xef\xbb\xbf", Format::Lines), [[""; 0]; 0]);
        assert_eq!(all(b"\xef\xbb\xbf\n", Format::Lines), [[""]]);
        assert_eq!(all("a\n\u{feff}b\n".as_bytes(), Format::Lines), [["a"], ["\u{feff}b"]]);
        assert_eq!(all("\u{feff}a\0".as_bytes(), Format::Zero), [["\u{feff}a"]]);
        for utf16 in [&b"\xff\xfea\0\n\0"[..], b"\xfe\xff\0a\0\n"] {
            assert!(failure(utf16, Format::Lines).contains("list is UTF-16 text"));
            assert!(failure(utf16, Format::Csv).contains("iconv"));
        }
    }

    #[test]
    fn rows_may_run_over_lines_and_end_as_on_windows() {
        let rows = all(b"a,b\r\n\"x\ny\",z\n", Format::Csv);
        assert_eq!(rows, [["a", "b"], ["x\ny", "z"]]);
        assert_eq!(
            failure(b"a\n\"x\ny", Format::Csv),
            "row 2 of list is not CSV: a quote is open at its end"
        );
    }

    #[test]
    fn what_is_no_text_or_no_list_is_told_by_its_place() {
        assert!(
            failure(b"a\n\xff\xfe.txt\n", Format::Lines).starts_with("record 2 of list is not UTF-8 text")
        );
        let long = vec![b'x'; RECORD_BYTES_MAX + 1];
        assert!(failure(&long, Format::Lines).contains("longer than 1 MiB"));
        assert_eq!(all(&long[1..], Format::Lines)[0][0].len(), RECORD_BYTES_MAX);
    }
}
