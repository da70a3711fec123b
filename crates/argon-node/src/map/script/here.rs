//! Here-documents of a script: `<<WORD`.

use super::Form;
use super::scan::{HereDocument, Scanner, Word};
use crate::map::template_error::TemplateError;

impl Scanner<'_> {
    /// `<<` and the word after it.
    pub(super) fn begin_here_document(&mut self) -> Result<(), TemplateError> {
        let is_indented = self.rest().starts_with("<<-");
        self.take(2 + usize::from(is_indented));
        let blanks = self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        self.take(blanks);
        let length = self.rest().find([' ', '\t', '\n', ';', '&', '|', '<', '>', '(', ')']);
        let raw = &self.rest()[..length.unwrap_or(self.rest().len())];
        if raw.is_empty() || raw.contains(['$', '`']) {
            return Err(TemplateError::Tangled("the word behind '<<' is no plain word"));
        }
        if self.reading.is_in(raw) {
            return Err(self.misplaced("in the word behind '<<'", "a fixed word there"));
        }
        let is_quoted = raw.contains(['\'', '"', '\\']);
        let inner = raw.trim_matches('\'').trim_matches('"').trim_start_matches('\\');
        if inner.contains(['\'', '"', '\\']) || (is_quoted && length.is_none()) {
            return Err(TemplateError::Tangled("the word behind '<<' is no plain word"));
        }
        self.here.push(HereDocument { end: inner.to_owned(), is_quoted, is_indented });
        self.take(raw.len());
        Ok(())
    }

    /// The texts that begin on this line.
    pub(super) fn here_documents(&mut self) -> Result<(), TemplateError> {
        for document in std::mem::take(&mut self.here) {
            let end = self.end_of(&document)?;
            if document.is_quoted {
                if self.reading.is_in(&self.line[self.at..end]) {
                    return Err(self.misplaced(
                        "in a here-document whose word is quoted",
                        "the word behind '<<' without quotes, and a backslash before each other '$'",
                    ));
                }
                self.take(end - self.at);
            } else {
                self.text_of_here_document(end)?;
            }
            let last = self.rest().find('\n').map_or(self.rest().len(), |at| at + 1);
            self.take(last);
        }
        Ok(())
    }

    /// Position of the line that ends the text.
    fn end_of(&self, document: &HereDocument) -> Result<usize, TemplateError> {
        let mut at = self.at;
        let mut is_continued = false;
        for line in self.rest().split_inclusive('\n') {
            let text = line.strip_suffix('\n').unwrap_or(line);
            let plain = if document.is_indented { text.trim_start_matches('\t') } else { text };
            if plain == document.end && !is_continued {
                return Ok(at);
            }
            let backslashes = text.len() - text.trim_end_matches('\\').len();
            is_continued = !document.is_quoted && backslashes % 2 == 1;
            at += line.len();
        }
        Err(self.open("a here-document"))
    }

    fn text_of_here_document(&mut self, end: usize) -> Result<(), TemplateError> {
        let mut word = Word::default();
        while self.at < end {
            if let Some((place, length)) = self.find()? {
                self.put(place, length, Form::Inside, &mut word);
                continue;
            }
            let begin = self.at;
            match self.peek() {
                Some('\\') => {
                    self.backslash(&mut word)?;
                    continue;
                }
                Some('$') => self.dollar(true, &mut word)?,
                Some('`') => self.backquotes()?,
                Some(letter) => {
                    self.take(letter.len_utf8());
                    continue;
                }
                None => break,
            }
            if self.line[begin..self.at].contains('\n') {
                return Err(TemplateError::Tangled(
                    "an expansion in a here-document goes over its line's end",
                ));
            }
        }
        Ok(())
    }
}
