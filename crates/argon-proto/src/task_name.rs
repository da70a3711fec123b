//! Texts by which people name a task: its id, the beginning of its id, its short form, or its ticket.
//!
//! The short form is `ee5b8a.12`: hexadecimal digits at which the session begins, and the task's number in decimal. A task
//! of a client inside a task is `ee5b8a.4c1.7`: digits of the family, digits at which the second half of the session
//! begins, and the number.

use std::str::FromStr;

use crate::capability::Ticket;
use crate::id::{SessionId, TaskId};

/// Hexadecimal digits of a session id.
const SESSION_DIGITS: usize = 32;
/// Hexadecimal digits of a task id.
const TASK_DIGITS: usize = 48;
/// Digits of a family, which is the first half of a session id.
const FAMILY_DIGITS: usize = 16;

/// A text that names one task, or all tasks whose ids begin so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskName {
    /// Values of the digits at which the id begins.
    digits: Vec<u8>,
    /// Values of the digits at which the second half of the session begins.
    inside: Vec<u8>,
    /// The task's number, if it is known.
    sequence: Option<u64>,
}

/// Text that does not name a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it does not name a task: write an id as 'argon tasks' shows it (such as ee5b8a.12), the beginning of its 48 hexadecimal \
     digits, or a ticket"
)]
pub struct ParseTaskNameError;

impl TaskName {
    /// True if the text names a task of this id.
    #[must_use]
    pub fn fits(&self, id: TaskId) -> bool {
        self.fits_session(id.session)
            && self.sequence.is_none_or(|sequence| sequence == id.sequence)
            && begins(&id.to_bytes(), &self.digits)
    }

    /// True if tasks of this session may be named.
    #[must_use]
    pub fn fits_session(&self, session: SessionId) -> bool {
        let of_session = &self.digits[..self.digits.len().min(SESSION_DIGITS)];
        begins(&session.0, of_session) && begins(&session.0[FAMILY_DIGITS / 2..], &self.inside)
    }

    /// The task's number, if the text has it.
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }
}

impl FromStr for TaskName {
    type Err = ParseTaskNameError;

    fn from_str(text: &str) -> Result<Self, ParseTaskNameError> {
        if let Ok(ticket) = text.parse::<Ticket>() {
            let digits = halves(&ticket.id.to_bytes());
            return Ok(Self { digits, inside: Vec::new(), sequence: Some(ticket.id.sequence) });
        }
        let Some((session, number)) = text.rsplit_once('.') else {
            let digits = hex(text, TASK_DIGITS)?;
            return Ok(Self { digits, inside: Vec::new(), sequence: None });
        };
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let sequence = number.parse().ok().filter(|_| is_number).ok_or(ParseTaskNameError)?;
        let (digits, inside) = match session.split_once('.') {
            Some((family, inside)) => (hex(family, FAMILY_DIGITS)?, hex(inside, FAMILY_DIGITS)?),
            None => (hex(session, SESSION_DIGITS)?, Vec::new()),
        };
        Ok(Self { digits, inside, sequence: Some(sequence) })
    }
}

/// Values of 1 to `most` hexadecimal digits.
fn hex(text: &str, most: usize) -> Result<Vec<u8>, ParseTaskNameError> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
    digits.filter(|digits| (1..=most).contains(&digits.len())).ok_or(ParseTaskNameError)
}

fn halves(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

fn begins(bytes: &[u8], digits: &[u8]) -> bool {
    let found = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.len() <= 2 * bytes.len() && found.zip(digits).all(|(found, digit)| found == *digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> TaskId {
        let mut session = [0xab; 16];
        session[8] = 0x4c;
        TaskId { session: SessionId(session), sequence }
    }

    #[test]
    fn a_task_is_named_by_its_id_its_beginning_and_its_short_form() {
        let whole = id(12).to_string();
        for text in
            [&whole, &whole[..8], "a", "abab.12", "ABAB.12", "ab.4c.12", &format!("{}.12", &whole[..32])]
        {
            let name: TaskName = text.parse().expect(text);
            assert!(name.fits(id(12)), "{text}");
        }
        for text in ["abab.13", "ab.4d.12", "b", "abac.12", &format!("{}d", &whole[..47])] {
            let name: TaskName = text.parse().expect(text);
            assert!(!name.fits(id(12)), "{text}");
        }
    }

    // kind: keys | names of tasks: empty, no digits, two numbers, negative numbers, more digits than an id | loud | the sentence shows a name that works
    #[test]
    fn other_texts_are_refused() {
        let long = "a".repeat(49);
        for text in
            ["", ".", ".1", "ab.", "ab.x", "ab.-1", "ab.+1", "ab.1.2.3", "xyz", "ab-12", long.as_str(), "ä"]
        {
            assert_eq!(text.parse::<TaskName>(), Err(ParseTaskNameError), "{text}");
        }
    }
}
