//! Text for people that comes from a peer: cleaned where it enters, so that it cannot move a cursor, forge a line of a
//! log or reverse what stands next to it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize};

/// One line of text for people: a name, a host, a version, a reason. At most [`Line::CHARS`] characters, none of which
/// controls a terminal or the direction of text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct Line(Box<str>);

impl Line {
    /// Most characters of a line.
    pub const CHARS: usize = 200;

    /// Cleans a text: white space becomes a space, other characters that are not visible text become U+FFFD, and a text
    /// beyond the limit ends in `…`.
    #[must_use]
    pub fn clean(text: &str) -> Self {
        Self(clean_up_to(text, Self::CHARS).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Cleans a line of at most `chars` characters, as [`Line::clean`] does.
#[must_use]
pub fn clean_up_to(text: &str, chars: usize) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) && text.chars().nth(chars).is_none() {
        return Cow::Borrowed(text);
    }
    let is_longer = text.chars().nth(chars).is_some();
    let keep = if is_longer { chars.saturating_sub(1) } else { chars };
    let mut clean: String = text.chars().take(keep).map(replaced).collect();
    if is_longer {
        clean.push('…');
    }
    Cow::Owned(clean)
}

fn replaced(char: char) -> char {
    match char {
        '\t' | '\n' | '\r' | '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        _ if is_unsafe(char) => char::REPLACEMENT_CHARACTER,
        _ => char,
    }
}

/// True for controls, separators of lines, and invisible characters that change direction or hide text.
#[must_use]
pub fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl Deref for Line {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::clean(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        match clean_up_to(&text, Self::CHARS) {
            Cow::Borrowed(_) => Self(text.into()),
            Cow::Owned(clean) => Self(clean.into()),
        }
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0.into()
    }
}

impl PartialEq<str> for Line {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Line {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

/// Cleans what it reads.
impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        for text in ["", "box:8001", "Übung — ok", "東京", "שלום", "👩‍💻 e\u{301}"] {
            assert_eq!(Line::clean(text).as_str(), text);
        }
    }

    #[test]
    fn nothing_in_a_line_moves_a_cursor_ends_the_line_or_turns_its_direction() {
        let cases = [
            ("a\nb\r\nc\td", "a b  c d"),
            ("\u{1b}[2Jboo\u{7}", "\u{fffd}[2Jboo\u{fffd}"),
            ("\u{9b}31m\u{0}\u{7f}", "\u{fffd}31m\u{fffd}\u{fffd}"),
            ("gnp.\u{202e}exe\u{2066}\u{200f}", "gnp.\u{fffd}exe\u{fffd}\u{fffd}"),
            ("a\u{2028}b\u{85}c\u{e0041}", "a b c\u{fffd}"),
        ];
        for (text, clean) in cases {
            assert_eq!(Line::clean(text).as_str(), clean);
            assert_eq!(serde_json::from_value::<Line>(text.into()).expect("a text"), clean);
        }
    }

    #[test]
    fn a_long_line_is_cut_with_a_mark() {
        let line = Line::clean(&"é".repeat(1_000_000));
        assert_eq!((line.chars().count(), line.ends_with('…')), (Line::CHARS, true));
        assert_eq!(Line::clean(&"é".repeat(Line::CHARS)).as_str(), "é".repeat(Line::CHARS));
    }
}
