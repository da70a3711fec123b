//! The command and its inputs, before anything runs: sources are open, placeholders are found, mistakes are refused.

use std::io::IsTerminal;
use std::sync::Arc;

use regex_lite::Regex;

use super::gnu::FillOptions;
use super::{InputOptions, MapArguments, RecordOptions};
use crate::exit::{Failure, FailureKind};
use crate::map::dictionary::{Definitions, Dictionary};
use crate::map::inputs::{InputPlan, Inputs};
use crate::map::line;
use crate::map::reading::Reading;
use crate::map::records::Format;
use crate::map::shape::{Shape, Trim, delimiter};
use crate::map::supply::{Fill, Room};
use crate::map::template::CommandTemplate;
use crate::map::template_error::TemplateError;
use crate::output::complain;

/// Bytes of a command that are not values of inputs, at least.
const VALUES_LEAST: usize = 256;

/// A command and its inputs.
pub(super) struct Prepared {
    pub(super) template: CommandTemplate,
    pub(super) inputs: Inputs,
    pub(super) dictionary: Dictionary,
    /// Number of inputs, if it is known before they are read.
    pub(super) total: Option<u64>,
    /// Columns that the last input may lack.
    pub(super) group: usize,
    pub(super) fill: Fill,
}

pub(super) fn prepare(arguments: &MapArguments, shell: &str) -> Result<Prepared, Failure> {
    let MapArguments { input, records, fill, places, words, .. } = arguments;
    let format = match (input.null, input.csv) {
        (true, _) => Format::Zero,
        (_, true) => Format::Csv,
        (false, false) => Format::Lines,
    };
    let shape = Arc::new(shape(records)?);
    let plan = InputPlan::separated(words.clone(), &input.files, &records.arg_sep, &records.arg_file_sep);
    let mut plan = plan.map_err(usage)?;
    if plan.command.is_empty() {
        return Err(usage(TemplateError::Empty));
    }
    if plan.reads_stdin() && std::io::stdin().is_terminal() {
        complain("inputs are read from the terminal, one a line; Ctrl-D ends them");
    }
    let command = std::mem::take(&mut plan.command);
    let columns = plan.columns(format).filter(|_| shape.colsep.is_none());
    let rows = plan.count().filter(|_| !shape.changes_count());
    // A mistake in the command is reported before a list is waited for; names of columns are in the list.
    let opened = if shape.has_header { Some(open(plan.clone(), format, &shape)?) } else { None };
    let names = opened.as_ref().map_or(Vec::new(), |inputs| inputs.names().to_vec());
    let definitions = Definitions {
        rpl: &places.rpl,
        aliases: &places.placeholder,
        parens: places.parens.as_deref(),
        plus: places.plus,
    };
    let dictionary = Dictionary::new(definitions, names).map_err(usage)?;
    let command = joined(command, dictionary.parens());
    let template = template(&command, input, places.quote, shell, &dictionary).map_err(usage)?;
    let count = arguments.count().unwrap_or(1);
    let is_line = fill.each || fill.many || fill.xargs;
    let group = if is_line { usize::MAX } else { columns.unwrap_or(1) * count };
    let wanted = template.highest_column();
    if let Some(found) = columns.filter(|_| !is_line && count == 1 && wanted > 0)
        && wanted > found
    {
        return Err(usage(TemplateError::NoSource { wanted, found }));
    }
    let inputs = opened.map_or_else(|| open(plan, format, &shape), Ok)?;
    let total = rows.filter(|_| !is_line).map(|rows| rows.div_ceil(count as u64));
    let fill = filling(arguments, fill, &command, &template);
    let group = if count > 1 || is_line { group } else { 0 };
    let template = if arguments.fill.each { template.repeated() } else { template };
    Ok(Prepared { template, inputs, dictionary, total, group, fill })
}

fn open(plan: InputPlan, format: Format, shape: &Arc<Shape>) -> Result<Inputs, Failure> {
    plan.open_shaped(format, shape).map_err(|error| Failure::new(FailureKind::Other, error.to_string()))
}

fn template(
    command: &[String],
    input: &InputOptions,
    is_words: bool,
    shell: &str,
    dictionary: &Dictionary,
) -> Result<CommandTemplate, TemplateError> {
    CommandTemplate::parse(command, reading(command, input, is_words, shell, dictionary)?)
}

/// The command of blocks, for which no word stands.
pub(super) fn prepare_for_blocks(
    command: &[String],
    arguments: &MapArguments,
    shell: &str,
) -> Result<CommandTemplate, Failure> {
    let dictionary = Dictionary::new(Definitions::default(), Vec::new()).map_err(usage)?;
    reading(command, &arguments.input, arguments.places.quote, shell, &dictionary)
        .and_then(|reading| CommandTemplate::parse_for_blocks(command, reading))
        .map_err(usage)
}

/// How the words are read: as words, or as a line for a shell.
fn reading<'a>(
    command: &[String],
    input: &'a InputOptions,
    is_words: bool,
    shell: &'a str,
    dictionary: &'a Dictionary,
) -> Result<Reading<'a>, TemplateError> {
    let words = Reading { whole: &input.whole, shell: None, literal: input.literal, more: Some(dictionary) };
    if input.whole.is_empty() {
        return Err(TemplateError::NoWhole);
    }
    let is_line = input.shell || (!is_words && line::is_line(command, words)?);
    if let Some(operator) = line::operator(command).filter(|_| !is_line && !is_words) {
        complain(format_args!(
            "the word '{operator}' is an argument of the command, because no shell reads it; for a shell, write the \
             command as one word: argon map 'COMMAND {{}} {operator} …' (or -q, if it is meant as an argument)"
        ));
    }
    Ok(Reading { shell: is_line.then_some(shell), ..words })
}

/// An expression with blanks, which the shell has cut into words, is one word.
fn joined(words: Vec<String>, (left, right): (&str, &str)) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    let mut is_open = false;
    for word in words {
        match joined.last_mut().filter(|_| is_open) {
            Some(last) => {
                last.push(' ');
                last.push_str(&word);
            }
            None => joined.push(word),
        }
        let last = joined.last().map_or("", String::as_str);
        is_open = last.rfind(left).is_some_and(|at| !last[at + left.len()..].contains(right));
    }
    joined
}

fn shape(records: &RecordOptions) -> Result<Shape, Failure> {
    let wrong = |name: &str, why: String| usage(format!("--{name}: {why}"));
    let colsep = records.colsep.as_deref().map(|text| {
        Regex::new(text)
            .map_err(|error| wrong("colsep", format!("the pattern '{text}' cannot be read: {error}")))
    });
    let colsep = colsep.transpose()?;
    let cut = records.delimiter.as_deref().map(|text| delimiter(text).map_err(|why| wrong("delimiter", why)));
    let usual = if colsep.is_some() { Trim::BOTH } else { Trim::default() };
    Ok(Shape {
        delimiter: cut.transpose()?,
        colsep,
        trim: records.trim.unwrap_or(usual),
        eof: records.eof.clone(),
        skips_empty: records.no_run_if_empty,
        has_header: records.header.is_some(),
        skips_first: records.skip_first_line,
        is_linked: records.link,
    })
}

fn filling(
    arguments: &MapArguments,
    fill: &FillOptions,
    command: &[String],
    template: &CommandTemplate,
) -> Fill {
    let most = arguments.count().unwrap_or(usize::MAX);
    if !(fill.each || fill.many || fill.xargs) {
        return if most == usize::MAX { Fill::One } else { Fill::Count(most) };
    }
    let fixed: usize = command.iter().map(|word| word.len() + 1).sum();
    let bytes =
        (fill.max_chars as usize).saturating_sub(fixed).max(VALUES_LEAST.min(fill.max_chars as usize));
    let jobs = arguments.flow.jobs.as_ref().and_then(|jobs| jobs.limit(cpus())).or(cpus()).unwrap_or(1);
    let jobs = if fill.xargs { 1 } else { usize::try_from(jobs).unwrap_or(1) };
    Fill::Line(Room { bytes, times: template.times(), most, jobs })
}

/// Number of processors of this machine, which stands for the slots of the pool where that is not asked.
pub(super) fn cpus() -> Option<u64> {
    std::thread::available_parallelism().ok().map(|count| count.get() as u64)
}

pub(super) fn usage(error: impl ToString) -> Failure {
    Failure::new(FailureKind::Usage, error.to_string())
}
