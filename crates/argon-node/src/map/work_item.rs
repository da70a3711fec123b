//! From inputs to commands: each row gets its number and its words, and those that an earlier run has done are left out.

use std::cell::RefCell;

use bytes::Bytes;

use super::file_names::FileNames;
use super::filling::Filling;
use super::joblog::{JoblogError, Past};
use super::perl::Perl;
use super::quote;
use super::template::{CommandTemplate, TextTemplate};
use super::template_error::TemplateError;
use crate::command::files::name::CarriedName;

/// One command to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkItem {
    /// The number of its input, from 1.
    pub sequence: u64,
    /// The input.
    pub row: Vec<String>,
    /// The command.
    pub words: Vec<String>,
    /// The command as a shell reads it.
    pub line: String,
    /// Its standard input, where inputs are blocks.
    pub block: Option<Bytes>,
    /// Files that are sent with it.
    pub sent: Vec<CarriedName>,
    /// Files that come back.
    pub returned: Vec<CarriedName>,
    /// Number that no other unfinished command has, from 1.
    pub slot: u64,
    /// Text before each line of its output.
    pub tag: Option<String>,
}

/// The next element of the inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputItem {
    /// An input.
    Row(Vec<String>),
    /// A block for the command's standard input.
    Block(Bytes),
    /// An input that cannot be used, and why.
    Bad(String),
    /// A command of a joblog, to be tried again.
    Again {
        /// Its number there.
        sequence: u64,
        /// The command as a shell reads it.
        line: String,
    },
}

/// Result of an input item.
#[derive(Debug, PartialEq, Eq)]
pub enum Built {
    /// A command to run.
    Item(WorkItem),
    /// None can be made of it, and why: it counts as failed.
    Failed {
        /// The number of the input.
        sequence: u64,
        /// Why.
        why: String,
    },
    /// An earlier run has done it.
    Done,
}

/// Makes commands of inputs.
#[derive(Debug)]
pub struct WorkItemBuilder {
    template: Option<CommandTemplate>,
    files: FileNames,
    past: Past,
    retry_failed: bool,
    sequence: u64,
    extras: Extras,
}

/// What a command line may need besides its inputs.
#[derive(Debug, Default)]
pub struct Extras {
    /// Text before each line of output.
    pub tag: Option<TextTemplate>,
    /// Evaluates expressions.
    pub perl: Option<RefCell<Perl>>,
    /// Number of all inputs, if it is known.
    pub total: Option<u64>,
    /// Columns that the last input may lack.
    pub group: usize,
}

impl WorkItemBuilder {
    /// With this command, leaving out what is done. Without a command only items of a joblog can be made.
    #[must_use]
    pub fn new(template: Option<CommandTemplate>, past: Past, retry_failed: bool) -> Self {
        Self {
            template,
            files: FileNames::default(),
            past,
            retry_failed,
            sequence: 0,
            extras: Extras::default(),
        }
    }

    /// With files that travel with each command.
    #[must_use]
    pub fn with_files(self, files: FileNames) -> Self {
        Self { files, ..self }
    }

    /// With these extras.
    #[must_use]
    pub fn with(self, extras: Extras) -> Self {
        Self { extras, ..self }
    }

    /// Makes a command of the next item. `slot` is a number that no other unfinished command has.
    ///
    /// # Errors
    /// If the joblog is that of another run.
    pub fn build(&mut self, item: InputItem, slot: u64) -> Result<Built, JoblogError> {
        let (row, block) = match item {
            InputItem::Again { sequence, line } => {
                let words = quote::words(&line)
                    .unwrap_or_else(|| vec!["sh".to_owned(), "-c".to_owned(), line.clone()]);
                let row = vec![line.clone()];
                return Ok(Built::Item(WorkItem { sequence, row, words, line, slot, ..WorkItem::default() }));
            }
            InputItem::Row(row) => (row, None),
            InputItem::Block(block) => (Vec::new(), Some(block)),
            InputItem::Bad(why) => {
                self.sequence += 1;
                return Ok(Built::Failed { sequence: self.sequence, why });
            }
        };
        self.sequence += 1;
        let sequence = self.sequence;
        let Some(template) = &self.template else {
            return Ok(Built::Failed { sequence, why: "there is no command for it".to_owned() });
        };
        let Extras { tag, perl, total, group } = &self.extras;
        let input = Filling { row: &row, sequence, slot, total: *total, group: *group, perl: perl.as_ref() };
        let filled = template.fill(&input).and_then(|words| {
            let tag = tag.as_ref().map(|tag| tag.fill(&input)).transpose()?;
            Ok((words, tag))
        });
        let (words, tag) = match filled {
            Ok(filled) => filled,
            Err(TemplateError::Skipped) => return Ok(Built::Done),
            Err(error) => return Ok(Built::Failed { sequence, why: error.to_string() }),
        };
        let (sent, returned) = match self.files.fill(&row, sequence) {
            Ok(files) => files,
            Err(why) => return Ok(Built::Failed { sequence, why }),
        };
        let line = quote::line(&words);
        if self.past.is_done(sequence, &line, self.retry_failed)? {
            return Ok(Built::Done);
        }
        // A block is known by its number.
        let row = if block.is_some() { vec![sequence.to_string()] } else { row };
        Ok(Built::Item(WorkItem { sequence, row, words, line, slot, tag, block, sent, returned }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::reading::Reading;
    use super::*;

    fn builder(command: &[&str]) -> WorkItemBuilder {
        let words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let template =
            CommandTemplate::parse(&words, Reading { whole: "{}", shell: None, literal: false, more: None });
        WorkItemBuilder::new(Some(template.expect("it can be read")), Past::default(), false)
    }

    #[test]
    fn inputs_are_numbered_also_those_that_cannot_be_used() {
        let mut builder = builder(&["echo", "{#}", "{2}"]);
        let row = |values: &[&str]| InputItem::Row(values.iter().map(|value| (*value).to_owned()).collect());
        let Ok(Built::Item(first)) = builder.build(row(&["a", "b c"]), 1) else { panic!("a command") };
        assert_eq!((first.sequence, first.line.as_str()), (1, "echo 1 'b c'"));
        assert!(matches!(builder.build(row(&["a"]), 1), Ok(Built::Failed { sequence: 2, .. })));
        assert!(matches!(
            builder.build(InputItem::Bad("no text".into()), 1),
            Ok(Built::Failed { sequence: 3, .. })
        ));
        let Ok(Built::Item(last)) = builder.build(row(&["a", "b"]), 1) else { panic!("a command") };
        assert_eq!(last.sequence, 4);
    }

    #[test]
    fn commands_of_a_joblog_run_as_they_stand_there_or_in_a_shell() {
        let mut builder = WorkItemBuilder::new(None, Past::default(), true);
        let mut again =
            |line: &str| match builder.build(InputItem::Again { sequence: 7, line: line.to_owned() }, 1) {
                Ok(Built::Item(item)) => item.words,
                other => panic!("{other:?}"),
            };
        assert_eq!(again("echo 'a b'"), ["echo", "a b"]);
        assert_eq!(again("exit $N"), ["sh", "-c", "exit $N"]);
    }
}
