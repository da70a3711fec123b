//! Placeholders: what stands for an input in a command, and which part of the input each gives.
//!
//! Knows the placeholders of GNU parallel. Braces around anything else stay as they are, unless they look like a
//! placeholder: then it is an error, since a command that runs with `{.x}` in a file's name does harm a thousand times.

use super::template_error::TemplateError;

/// Settings for reading a command line.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// Placeholder for the whole input, by default `{}`. Not empty.
    pub whole: &'a str,
    /// The shell that reads the words as one line, if they are one.
    pub shell: Option<&'a str>,
    /// True if unknown placeholders stay as they are.
    pub literal: bool,
}

/// Meaning of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The number of the input.
    Sequence,
    /// A part of one column, or of all of them.
    Value(Option<usize>, Part),
}

/// A part of a value that is the path of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Without the extension.
    NoExtension,
    /// Without the folder.
    Name,
    /// The folder alone.
    Folder,
    /// Without folder and extension.
    Stem,
}

impl Reading<'_> {
    /// The placeholder that begins at byte `at` of `text`, and its length in bytes.
    ///
    /// # Errors
    /// If something stands there that looks like a placeholder and is not one.
    pub fn find(&self, text: &str, at: usize) -> Result<Option<(Placeholder, usize)>, TemplateError> {
        let rest = &text[at..];
        if rest.starts_with(self.whole) {
            return Ok(Some((Placeholder::Value(None, Part::Whole), self.whole.len())));
        }
        if !rest.starts_with('{') {
            return Ok(None);
        }
        // Braces of other languages have none of these meanings: `{print $1}`, `{"a":1}`, `{{.Name}}`.
        let Some(end) = rest.find('}') else { return Ok(None) };
        let inside = &rest[1..end];
        if inside.is_empty() {
            return Ok(None);
        }
        if let Some(place) = place(inside) {
            return Ok(Some((place, end + 1)));
        }
        let looks_like_one =
            inside.chars().all(|letter| letter.is_ascii_alphanumeric() || "._/#%+-".contains(letter));
        let is_template = text[..at].ends_with('{') && rest[end + 1..].starts_with('}');
        if looks_like_one && !is_template && !self.literal {
            return Err(TemplateError::Unknown(rest[..=end].to_owned()));
        }
        Ok(None)
    }

    /// True if there is a placeholder anywhere in `text`.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        text.char_indices().any(|(at, _)| matches!(self.find(text, at), Ok(Some(_))))
    }
}

/// Meaning of the text between two braces.
#[must_use]
pub fn place(inside: &str) -> Option<Placeholder> {
    if inside == "#" {
        return Some(Placeholder::Sequence);
    }
    let digits = inside.len() - inside.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let column = match &inside[..digits] {
        "" => None,
        number => Some(number.parse().ok().filter(|column| *column > 0)?),
    };
    let part = match &inside[digits..] {
        "" => Part::Whole,
        "." => Part::NoExtension,
        "/" => Part::Name,
        "//" => Part::Folder,
        "/." => Part::Stem,
        _ => return None,
    };
    Some(Placeholder::Value(column, part))
}

impl Part {
    /// This part of a value.
    #[must_use]
    pub fn of(self, value: &str) -> String {
        let name_at = value.rfind('/').map_or(0, |slash| slash + 1);
        let (before, name) = value.split_at(name_at);
        let stem = name.rfind('.').map_or(name, |dot| &name[..dot]);
        match self {
            Self::Whole => value.to_owned(),
            Self::NoExtension => format!("{before}{stem}"),
            Self::Name => name.to_owned(),
            Self::Folder => match before.trim_end_matches('/') {
                "" if before.is_empty() => ".".to_owned(),
                "" => "/".to_owned(),
                folder => folder.to_owned(),
            },
            Self::Stem => stem.to_owned(),
        }
    }
}
