//! Target: the readers of inputs of `argon map`: lines, records that end in a zero byte, CSV.
//!
//! Promises: they end, without a panic, after at most as many rows as there are bytes, and an error is a sentence.

use std::io::Cursor;

use argon_node::map::records::{Format, Records};

/// Checks one file in all formats.
pub fn run(bytes: &[u8]) {
    for format in [Format::Lines, Format::Zero, Format::Csv] {
        let reader = Box::new(Cursor::new(bytes.to_vec()));
        let mut records = Records::of_reader("the fuzzed file".to_owned(), reader, format);
        let mut rows = 0;
        loop {
            match records.next_row() {
                Ok(Some(_)) => rows += 1,
                Ok(None) => break,
                Err(error) => {
                    assert!(
                        error.to_string().contains("the fuzzed file"),
                        "the error names no source: {error}"
                    );
                    break;
                }
            }
            assert!(rows <= bytes.len(), "more rows than bytes");
        }
    }
}

/// Small files of each format.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    let files: [&[u8]; 6] = [
        b"one\ntwo\r\nthree",
        b"one\0two\n\0",
        b"a,b,c\n\"a \"\"quoted\"\" one\",\"two\nlines\",\n",
        b"\xEF\xBB\xBFwith a mark\n",
        b"\xFF\xFEo\0n\0e\0",
        "ß,→\n😀\n".as_bytes(),
    ];
    files.map(<[u8]>::to_vec).to_vec()
}
