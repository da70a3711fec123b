//! The values of placeholders for one input: its columns, its numbers, and what expressions make of them.

use std::cell::RefCell;

use super::perl::{Knowledge, Perl};
use super::placeholder::{Part, Placeholder};
use super::template_error::TemplateError;

/// One input, as a command is filled in with it.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// Its columns.
    pub row: &'a [String],
    /// Its number, from 1.
    pub sequence: u64,
    /// Number that no other unfinished command has, from 1.
    pub slot: u64,
    /// Number of all inputs, if it is known.
    pub total: Option<u64>,
    /// Columns that may be missing, because the last group of inputs is shorter than the others.
    pub group: usize,
    /// Evaluates expressions.
    pub perl: Option<&'a RefCell<Perl>>,
}

/// The columns that a placeholder stands for, as a range.
pub type Columns = std::ops::Range<usize>;

impl<'a> Filling<'a> {
    /// An input with nothing but columns and a number.
    #[must_use]
    pub fn new(row: &'a [String], sequence: u64) -> Self {
        Self { row, sequence, slot: 1, total: None, group: 0, perl: None }
    }

    /// Refuses an input that has fewer columns than a placeholder names.
    ///
    /// # Errors
    /// With both numbers.
    pub fn has(&self, column: usize) -> Result<(), TemplateError> {
        if column <= self.row.len().max(self.group) {
            return Ok(());
        }
        Err(TemplateError::Column { wanted: column, found: self.row.len(), sequence: self.sequence })
    }

    /// The number that a placeholder stands for, if it stands for one.
    #[must_use]
    pub fn number(&self, place: Placeholder) -> Option<String> {
        match place {
            Placeholder::Sequence => Some(self.sequence.to_string()),
            Placeholder::Slot => Some(self.slot.to_string()),
            Placeholder::Total => Some(self.total.unwrap_or(0).to_string()),
            Placeholder::Value(..) => None,
        }
    }

    /// The columns that a placeholder stands for: one, all, or none if a group of inputs is short.
    #[must_use]
    pub fn columns(&self, column: Option<i32>) -> Columns {
        let Some(column) = column else { return 0..self.row.len() };
        let size = column.unsigned_abs() as usize;
        let at = if column > 0 { size.checked_sub(1) } else { self.row.len().checked_sub(size) };
        match at {
            Some(at) if at < self.row.len() => at..at + 1,
            _ => 0..0,
        }
    }

    /// A part of a column. The mark says that it is meant as code.
    ///
    /// # Errors
    /// If an expression fails, or leaves the input out.
    pub fn value(&self, column: usize, part: Part) -> Result<(String, bool), TemplateError> {
        let value = &self.row[column];
        let (Part::Perl(expression), Some(perl)) = (part, self.perl) else {
            return Ok((part.of(value), false));
        };
        let Self { row, sequence, slot, .. } = *self;
        let known = Knowledge { row, sequence, slot, total: self.total.unwrap_or(0) };
        let found = perl.borrow_mut().evaluate(expression, value, known)?;
        Ok((found.value, found.is_code))
    }
}
