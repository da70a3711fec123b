//! Quotes and expansions of a script.

use super::Form;
use super::judge::EXPANSION;
use super::scan::{Scanner, Word};
use crate::map::placeholder;
use crate::map::template_error::TemplateError;

/// Kind of word after the operator of a `${NAME…}`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// Text used instead, quoted like its surroundings.
    Other,
    /// A pattern: it has quotes of its own.
    Pattern,
    /// An operator of some shells only.
    Unknown,
}

impl Scanner<'_> {
    /// `'…'`: closed before a placeholder and opened again after it.
    pub(super) fn single(&mut self, word: &mut Word) -> Result<(), TemplateError> {
        self.take(1);
        loop {
            if let Some((place, length)) = self.find()? {
                self.add("'");
                self.put(place, length, Form::Word, word);
                self.add("'");
                continue;
            }
            let Some(letter) = self.peek() else { return Err(self.open("a single quote")) };
            self.take(letter.len_utf8());
            if letter == '\'' {
                return Ok(());
            }
            word.text.push(letter);
        }
    }

    /// `"…"`.
    pub(super) fn double(&mut self, word: &mut Word) -> Result<(), TemplateError> {
        self.take(1);
        loop {
            if let Some((place, length)) = self.find()? {
                self.put(place, length, Form::Inside, word);
                continue;
            }
            match self.peek() {
                None => return Err(self.open("a double quote")),
                Some('"') => {
                    self.take(1);
                    return Ok(());
                }
                Some('\\') => self.backslash(word)?,
                Some('$') => {
                    word.text.push(EXPANSION);
                    self.dollar(true, word)?;
                }
                Some('`') => {
                    word.text.push(EXPANSION);
                    self.backquotes()?;
                }
                Some(letter) => {
                    word.text.push(letter);
                    self.take(letter.len_utf8());
                }
            }
        }
    }

    /// A backslash and what it stands before.
    pub(super) fn backslash(&mut self, word: &mut Word) -> Result<(), TemplateError> {
        self.take(1);
        if self.reading.find(self.line, self.at).is_ok_and(|found| found.is_some()) {
            return Err(self.misplaced("behind a backslash", "it without the backslash"));
        }
        let Some(letter) = self.peek() else { return Err(self.open("a backslash")) };
        if letter != '\n' {
            word.text.push(letter);
        }
        self.take(letter.len_utf8());
        Ok(())
    }

    /// `` `…` ``, which shells read twice.
    pub(super) fn backquotes(&mut self) -> Result<(), TemplateError> {
        let mut is_escaped = false;
        let end = self.rest().char_indices().skip(1).find_map(|(at, letter)| {
            let is_end = letter == '`' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_end.then_some(at)
        });
        let Some(end) = end else { return Err(self.open("a backquote")) };
        if self.reading.is_in(&self.rest()[..end]) {
            return Err(self.misplaced("within backquotes", "$(…) instead of `…`"));
        }
        self.take(end + 1);
        Ok(())
    }

    /// `$` and what follows; `is_quoted` within double quotes and here-documents.
    pub(super) fn dollar(&mut self, is_quoted: bool, word: &mut Word) -> Result<(), TemplateError> {
        let rest = self.rest();
        let next = rest.chars().nth(1);
        if rest[1..].starts_with(self.reading.whole) && self.reading.whole != "{" {
            return Err(self.misplaced("behind a '$'", "'$' in single quotes if the '$' is meant"));
        }
        match next {
            Some('{') => self.parameter(is_quoted, word),
            Some('(') if rest.starts_with("$((") => self.sum(),
            Some('(') => {
                self.take(2);
                let outer = std::mem::take(&mut self.here);
                let begin = self.at;
                self.list(true)?;
                self.take(1);
                if !self.here.is_empty() {
                    return Err(self.open("a here-document"));
                }
                if !outer.is_empty() && self.line[begin..self.at].contains('\n') {
                    return Err(TemplateError::Tangled("the line of a '<<' goes on behind its end"));
                }
                self.here = outer;
                Ok(())
            }
            Some('\'') if !is_quoted => self.escapes(),
            Some('[') => {
                let end = rest.find(']').unwrap_or(1);
                if self.reading.is_in(&rest[..end]) {
                    return Err(self.misplaced("within '$[ ]'", "$(( … )) for a sum"));
                }
                self.take(1);
                Ok(())
            }
            Some(special) if "$?!#@*-0123456789".contains(special) => {
                self.take(2);
                Ok(())
            }
            Some(_) | None => {
                self.take(1);
                Ok(())
            }
        }
    }

    /// `$'…'`, which only some shells know.
    fn escapes(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let Some(end) = rest[2..].find('\'').map(|at| at + 2) else {
            return Err(self.open("a single quote"));
        };
        if rest[..end].ends_with('\\') {
            return Err(TemplateError::Tangled("shells differ on a \\' within $'…'"));
        }
        if self.reading.is_in(&rest[..end]) {
            return Err(self.misplaced("within $'…'", "\"…\", or close the quotes before it"));
        }
        self.take(end + 1);
        Ok(())
    }

    /// `$((…))`.
    fn sum(&mut self) -> Result<(), TemplateError> {
        let mark = self.mark();
        self.take(3);
        let mut depth = 0_u32;
        let mut word = Word::default();
        loop {
            if let Some((place, length)) = self.find()? {
                self.put(place, length, Form::Sum, &mut word);
                continue;
            }
            match self.peek() {
                None => return Err(self.open("'$(('")),
                Some('$') => self.dollar(true, &mut word)?,
                Some('`') => self.backquotes()?,
                Some('\\') => self.backslash(&mut word)?,
                Some(')') if depth == 0 => {
                    if !self.rest().starts_with("))") {
                        return Err(TemplateError::Tangled("'$((' that is no sum is written '$( ('"));
                    }
                    self.take(2);
                    // Whatever a command within it prints is evaluated too.
                    self.count_from(mark);
                    return Ok(());
                }
                Some(letter) => {
                    depth = depth + u32::from(letter == '(') - u32::from(letter == ')');
                    self.take(letter.len_utf8());
                }
            }
        }
    }

    /// `${NAME}` and `${NAME:-WORD}` and its like.
    fn parameter(&mut self, is_quoted: bool, word: &mut Word) -> Result<(), TemplateError> {
        let inside = &self.rest()[2..];
        let end = inside.find('}').ok_or_else(|| self.open("'${'"))?;
        if end == 0 || placeholder::place(&inside[..end]).is_some() {
            return Err(self.misplaced(
                "behind a '$', where the shell has a meaning for it",
                "the placeholder without '$' for the input, or $1 without braces for the shell's own",
            ));
        }
        self.take(2);
        let name = self.rest();
        let prefix =
            usize::from(name.len() > 1 && name.starts_with(['#', '!']) && !name[1..].starts_with('}'));
        let letters = &name[prefix..];
        let length = match letters.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
            Some(0) => letters.chars().next().map_or(0, char::len_utf8),
            Some(length) => length,
            None => letters.len(),
        };
        word.text.push_str(&letters[..length]);
        self.take(prefix + length);
        let operand = self.operator_of_parameter();
        let mark = self.mark();
        self.operand(operand, is_quoted, word)?;
        if operand == Operand::Unknown && self.has_place_since(mark) {
            return Err(self.misplaced("in a '${…}' that only some shells know", "a variable: v={}, then $v"));
        }
        Ok(())
    }

    fn operator_of_parameter(&mut self) -> Operand {
        let rest = self.rest();
        let (operand, length) = match rest.as_bytes() {
            [b':', b'-' | b'=' | b'?' | b'+', ..] => (Operand::Other, 2),
            [b'-' | b'=' | b'?' | b'+', ..] => (Operand::Other, 1),
            [b'#', b'#', ..] | [b'%', b'%', ..] => (Operand::Pattern, 2),
            [b'#' | b'%', ..] => (Operand::Pattern, 1),
            _ => (Operand::Unknown, 0),
        };
        self.take(length);
        operand
    }

    fn operand(&mut self, operand: Operand, is_quoted: bool, word: &mut Word) -> Result<(), TemplateError> {
        let keeps_quotes = operand != Operand::Pattern && is_quoted;
        loop {
            if let Some((place, length)) = self.find()? {
                let form = if keeps_quotes { Form::Inside } else { Form::Word };
                self.put(place, length, form, word);
                continue;
            }
            match self.peek() {
                None => return Err(self.open("'${'")),
                Some('}') => {
                    self.take(1);
                    return Ok(());
                }
                Some('\\') => self.backslash(word)?,
                Some('$') => self.dollar(keeps_quotes, word)?,
                Some('`') => self.backquotes()?,
                Some('"') => {
                    let mark = self.mark();
                    self.double(word)?;
                    if keeps_quotes && self.has_place_since(mark) {
                        return Err(self.misplaced("in quotes within quotes", "it without the inner quotes"));
                    }
                }
                Some('\'') if !keeps_quotes => self.single(word)?,
                Some(letter) => self.take(letter.len_utf8()),
            }
        }
    }
}
