//! A command line for a shell, in which placeholders stand: read once, filled in for each input.
//!
//! An input never becomes code of the script. It travels as an argument of the shell, the script begins by keeping it in a
//! variable, and each placeholder becomes the expansion of that variable, quoted for the place where it stands. Whatever
//! an input holds, the shell does not read it as code. Where a shell reads a value a second time (`eval`, arithmetic,
//! backquotes) the placeholder is refused, or the input is if it could be anything but a number or a plain word.

mod expand;
mod here;
mod judge;
mod scan;

pub use judge::{Code, code_in, is_reread};

use super::filling::Filling;
use super::placeholder::{Part, Placeholder};
use super::quote;
use super::reading::Reading;
use super::template_error::TemplateError;
use scan::Scanner;

/// A script whose placeholders have been found.
#[derive(Debug, Clone)]
pub struct Script {
    pieces: Vec<ScriptPart>,
}

#[derive(Debug, Clone, PartialEq)]
enum ScriptPart {
    Text(String),
    Spot(Spot),
}

/// A placeholder in its place.
#[derive(Debug, Clone, PartialEq)]
struct Spot {
    place: Placeholder,
    form: Form,
    check: Check,
}

/// Replacement of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `"${argon_1}"`: a word, or a part of one.
    Word,
    /// `${argon_1}`: where the shell splits nothing, such as within double quotes.
    Inside,
    /// `(${argon_1})`: a number in a sum.
    Sum,
}

/// Requirement for an input at its place; a later variant is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Anything.
    Any,
    /// A word without a meaning to any shell, because another shell reads it again.
    Plain,
    /// A whole number, because shells evaluate what stands there.
    Number,
}

/// A script and the values that its variables have, for one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    text: String,
    values: Vec<String>,
}

impl Filled {
    /// The script, and the arguments that it must be given after its name. It takes them away before anything else can
    /// see them.
    #[must_use]
    pub fn with_arguments(self) -> (String, Vec<String>) {
        (keep(self.values.len()) + &self.text, self.values)
    }

    /// The script with the values at its beginning, in single quotes: where arguments cannot be added, since the shell
    /// is called by another program.
    #[must_use]
    pub fn alone(self) -> String {
        let mut text = String::new();
        for (number, value) in (1..).zip(&self.values) {
            text.push_str(&format!("argon_{number}={}; ", quote::word(value)));
        }
        text + &self.text
    }
}

impl Script {
    /// Finds the placeholders. A script without any gets the input at its end, if that is wanted.
    ///
    /// # Errors
    /// If a placeholder stands where no value can be put, or the script cannot be read.
    pub fn parse(line: &str, reading: Reading<'_>, is_input_appended: bool) -> Result<Self, TemplateError> {
        let scanned = Scanner::new(line, reading).scan()?;
        if scanned.pieces.iter().any(|piece| matches!(piece, ScriptPart::Spot(_))) || !is_input_appended {
            return Ok(Self { pieces: scanned.pieces });
        }
        if !scanned.takes_word {
            return Err(TemplateError::NoRoom(reading.whole.to_owned()));
        }
        let longer = format!("{line} {}", reading.whole);
        Ok(Self { pieces: Scanner::new(&longer, reading).scan()?.pieces })
    }

    /// The placeholders.
    pub fn places(&self) -> impl Iterator<Item = Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            ScriptPart::Spot(spot) => Some(spot.place),
            ScriptPart::Text(_) => None,
        })
    }

    /// The script for one input, which has all columns that the placeholders name.
    ///
    /// # Errors
    /// If a value must not stand where its placeholder does.
    pub fn fill(&self, input: &Filling<'_>) -> Result<Filled, TemplateError> {
        let sequence = input.sequence;
        let mut given: Vec<(usize, Part)> = Vec::new();
        let mut values = Vec::new();
        let mut text = String::new();
        for piece in &self.pieces {
            let Spot { place, form, check } = match piece {
                ScriptPart::Text(fixed) => {
                    text.push_str(fixed);
                    continue;
                }
                ScriptPart::Spot(spot) => spot,
            };
            let Placeholder::Value(column, part) = *place else {
                text.push_str(&input.number(*place).unwrap_or_default());
                continue;
            };
            let columns = input.columns(column);
            if columns.is_empty() && *form != Form::Inside {
                text.push_str("''");
            }
            if *form == Form::Sum && columns.len() != 1 {
                return Err(TemplateError::Several { sequence });
            }
            for (nth, column) in columns.enumerate() {
                let number = match given.iter().position(|known| *known == (column, part)) {
                    Some(known) => known + 1,
                    None => {
                        let (value, is_code) = input.value(column, part)?;
                        if is_code {
                            return Err(TemplateError::Code(sequence));
                        }
                        given.push((column, part));
                        values.push(value);
                        values.len()
                    }
                };
                check.allows(&values[number - 1], sequence)?;
                if nth > 0 {
                    text.push(' ');
                }
                text.push_str(&match form {
                    Form::Word => format!("\"${{argon_{number}}}\""),
                    Form::Inside => format!("${{argon_{number}}}"),
                    Form::Sum => format!("(${{argon_{number}}})"),
                });
            }
        }
        Ok(Filled { text, values })
    }
}

/// The beginning of a script that keeps its arguments in variables, which no `set`, `shift` or function changes.
fn keep(count: usize) -> String {
    let mut text = String::new();
    for number in 1..=count {
        let argument = if number > 9 { format!("${{{number}}}") } else { format!("${number}") };
        text.push_str(&format!("argon_{number}={argument}; "));
    }
    match count {
        0 => text,
        1 => text + "shift; ",
        _ => text + &format!("shift {count}; "),
    }
}

impl Check {
    /// Refuses a value that must not stand there.
    ///
    /// # Errors
    /// With the value and what it must be.
    pub fn allows(self, value: &str, sequence: u64) -> Result<(), TemplateError> {
        let shown = || value.chars().take(80).collect::<String>();
        match self {
            Self::Number if !is_number(value) => Err(TemplateError::NotNumber { value: shown(), sequence }),
            Self::Plain if !is_plain(value) => Err(TemplateError::NotPlain { value: shown(), sequence }),
            Self::Any | Self::Number | Self::Plain => Ok(()),
        }
    }
}

fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    !digits.is_empty() && digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+./,:@%".contains(&byte))
}

#[cfg(test)]
mod tests;
