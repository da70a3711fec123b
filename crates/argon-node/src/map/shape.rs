//! How records become inputs: where one ends, which are left out, how columns are cut, what is a heading.

use std::str::FromStr;

use regex_lite::Regex;

/// Treatment of the records of all sources of a run.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// Bytes that end a record, instead of those of the format. Not empty.
    pub delimiter: Option<Vec<u8>>,
    /// Separates the columns of a record.
    pub colsep: Option<Regex>,
    /// Blanks that go.
    pub trim: Trim,
    /// A record that ends its source.
    pub eof: Option<String>,
    /// True if records of nothing but blanks are left out.
    pub skips_empty: bool,
    /// True if the first record of each source names its columns.
    pub has_header: bool,
    /// True if the first record of the first source is left out.
    pub skips_first: bool,
    /// True if all sources go in step, and the shorter ones begin again.
    pub is_linked: bool,
}

/// Ends of a value from which blanks are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trim {
    left: bool,
    right: bool,
}

impl Trim {
    /// Both ends, as for columns that a pattern separates.
    pub const BOTH: Self = Self { left: true, right: true };

    fn of(self, text: &str) -> &str {
        let text = if self.left { text.trim_start() } else { text };
        if self.right { text.trim_end() } else { text }
    }
}

impl FromStr for Trim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "n" => Ok(Self::default()),
            "l" => Ok(Self { left: true, right: false }),
            "r" => Ok(Self { left: false, right: true }),
            "lr" | "rl" => Ok(Self::BOTH),
            _ => Err("expected l (left), r (right), lr (both) or n (none)".to_owned()),
        }
    }
}

impl Shape {
    /// True if the number of inputs cannot be told from that of the records.
    #[must_use]
    pub fn changes_count(&self) -> bool {
        self.eof.is_some() || self.skips_empty || self.has_header || self.skips_first || self.is_linked
    }

    /// True if this record ends its source.
    #[must_use]
    pub fn is_end(&self, columns: &[String]) -> bool {
        matches!((&self.eof, columns), (Some(end), [one]) if end == one)
    }

    /// True if this record is left out.
    #[must_use]
    pub fn is_left_out(&self, columns: &[String]) -> bool {
        self.skips_empty && columns.iter().all(|column| column.trim().is_empty())
    }

    /// The columns of a record.
    #[must_use]
    pub fn columns(&self, columns: Vec<String>) -> Vec<String> {
        let columns = match (&self.colsep, columns.as_slice()) {
            (Some(pattern), [record]) => pattern.split(record).map(str::to_owned).collect(),
            _ => columns,
        };
        if self.trim == Trim::default() {
            return columns;
        }
        columns.iter().map(|column| self.trim.of(column).to_owned()).collect()
    }
}

/// Reads a delimiter: characters, or escapes such as `\n`, `\t`, `\0`, `\x2c` and `\054`.
///
/// # Errors
/// If it is empty, or an escape is not known.
pub fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter != '\\' {
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let digits = |text: &str, radix: u32, most: usize| {
            text.chars().take(most).take_while(|letter| letter.is_digit(radix)).count()
        };
        let (byte, length) = match rest.chars().next() {
            Some('n') => (b'\n', 1),
            Some('t') => (b'\t', 1),
            Some('r') => (b'\r', 1),
            Some('f') => (0x0c, 1),
            Some('v') => (0x0b, 1),
            Some('a') => (0x07, 1),
            Some('b') => (0x08, 1),
            Some('\\') => (b'\\', 1),
            Some('x') => {
                let count = digits(&rest[1..], 16, 2);
                (u8::from_str_radix(&rest[1..=count], 16).map_err(|_| unknown(text))?, count + 1)
            }
            Some('0'..='7') => {
                let count = digits(rest, 8, 3);
                (u8::from_str_radix(&rest[..count], 8).map_err(|_| unknown(text))?, count)
            }
            _ => return Err(unknown(text)),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    if bytes.is_empty() {
        Err("expected the characters that end an input; -0 ends it at a zero byte".to_owned())
    } else {
        Ok(bytes)
    }
}

fn unknown(text: &str) -> String {
    format!("'{text}' has an escape that is not known; there are \\n, \\t, \\r, \\0, \\\\, \\x2c and \\054")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_characters_or_escapes() {
        for (text, expected) in [
            (",", &b","[..]),
            ("\\n", b"\n"),
            ("\\0", b"\0"),
            ("\\x2c;", b",;"),
            ("\\054", b","),
            ("ab", b"ab"),
        ] {
            assert_eq!(delimiter(text).expect(text), expected);
        }
        for text in ["", "\\", "\\q", "\\x"] {
            assert!(delimiter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn columns_are_cut_by_a_pattern_and_trimmed() {
        let shape = Shape {
            colsep: Some(Regex::new("[,;]").expect("a pattern")),
            trim: Trim::BOTH,
            ..Shape::default()
        };
        assert_eq!(shape.columns(vec![" a , b;c".to_owned()]), ["a", "b", "c"]);
        let left = Shape { trim: "l".parse().expect("left"), ..Shape::default() };
        assert_eq!(left.columns(vec![" a ".to_owned()]), ["a "]);
    }
}
