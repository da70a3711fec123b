//! Finding placeholders in the words of a command.
//!
//! Braces around anything else stay as they are, unless they look like a placeholder: then it is an error, since a command
//! that runs with `{.x}` in a file's name does harm a thousand times.

use super::dictionary::Dictionary;
use super::placeholder::{Part, Placeholder, place};
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
    /// Placeholders in addition to those that always exist.
    pub more: Option<&'a Dictionary>,
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
        if let Some(more) = self.more
            && let Some(found) = more.find(rest)?
        {
            return Ok(Some(found));
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
