//! The options of `argon map`, resolved: files are open, the command is parsed, what cannot be has been refused. Nothing
//! has been written yet but a new joblog's heading, and nothing was sent.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::super::pool::PoolOption;
use super::{Arguments, FlowOptions};
use crate::command::invocation::Invocation;
use crate::exit::{Failure, Kind};
use crate::map::errand::{Item, Maker};
use crate::map::halt::Halt;
use crate::map::inputs::Plan;
use crate::map::joblog::{self, Joblog, JoblogError, Past};
use crate::map::placeholder::Reading;
use crate::map::reader::{self, Batch};
use crate::map::records::Format;
use crate::map::template::{Template, TemplateError};
use crate::output::complain;

/// What a run needs.
pub(super) struct Settings {
    pub(super) batches: mpsc::Receiver<Batch>,
    pub(super) maker: Maker,
    /// How many inputs there are, if that can be told before they are read.
    pub(super) total: Option<u64>,
    pub(super) joblog: Option<Joblog>,
    pub(super) results: Option<PathBuf>,
    pub(super) jobs: Option<u32>,
    pub(super) halt: Halt,
    pub(super) keep_order: bool,
    pub(super) tag: bool,
    pub(super) progress: bool,
    pub(super) invocation: Invocation,
    pub(super) pool: PoolOption,
}

impl Settings {
    pub(super) fn new(arguments: Arguments) -> Result<Self, Failure> {
        let Arguments { input, output, flow, command, pool, words } = arguments;
        let invocation = command.invocation()?;
        let format = match (input.null, input.csv) {
            (true, _) => Format::Zero,
            (_, true) => Format::Csv,
            (false, false) => Format::Lines,
        };
        let shell = input.shell.then_some("sh");
        let reading = Reading { whole: &input.whole, shell, literal: input.literal };
        let repeats_only = flow.retry_failed && !flow.resume;
        let (batches, maker, total) = if repeats_only {
            again(&flow, &words, output.results.is_some())?
        } else {
            let plan = Plan::new(words, &input.files).map_err(usage)?;
            let template = Template::parse(&plan.command, reading).map_err(usage)?;
            fits(&template, plan.columns(format))?;
            if plan.reads_stdin() && std::io::stdin().is_terminal() {
                complain("inputs are read from the terminal, one a line; Ctrl-D ends them");
            }
            let total = plan.count();
            let past = past(&flow)?;
            let inputs = plan.open(format).map_err(|error| Failure::new(Kind::Other, error.to_string()))?;
            (reader::start(inputs), Maker::new(Some(template), past, flow.retry_failed), total)
        };
        let joblog = if output.dry_run { None } else { open_joblog(&flow)? };
        Ok(Self {
            batches,
            maker,
            total,
            joblog,
            results: output.results,
            jobs: flow.jobs,
            halt: flow.halt,
            keep_order: output.keep_order,
            tag: output.tag,
            progress: output.progress,
            invocation,
            pool,
        })
    }
}

type Source = (mpsc::Receiver<Batch>, Maker, Option<u64>);

/// The commands of the joblog that failed.
fn again(flow: &FlowOptions, words: &[String], keeps_results: bool) -> Result<Source, Failure> {
    if !words.is_empty() || keeps_results {
        return Err(usage(
            "--retry-failed takes the commands from the joblog, so leave the command, its inputs and --results away; \
             to go through the inputs again and run what failed or is missing, say --resume too",
        ));
    }
    let failed = joblog::failed(path_of(flow)).map_err(unusable)?;
    let items: Vec<Item> =
        failed.into_iter().map(|(sequence, line)| Item::Again { sequence, line }).collect();
    let total = items.len() as u64;
    Ok((reader::of_items(items), Maker::new(None, Past::default(), true), Some(total)))
}

fn past(flow: &FlowOptions) -> Result<Past, Failure> {
    if flow.resume { Past::read(path_of(flow)).map_err(unusable) } else { Ok(Past::default()) }
}

fn open_joblog(flow: &FlowOptions) -> Result<Option<Joblog>, Failure> {
    let Some(path) = &flow.joblog else { return Ok(None) };
    let goes_on = flow.resume || flow.retry_failed;
    let opened = if goes_on { Joblog::append(path) } else { Joblog::create(path) };
    opened.map(Some).map_err(unusable)
}

/// The options cannot be parsed without a file where one is needed.
fn path_of(flow: &FlowOptions) -> &Path {
    flow.joblog.as_deref().unwrap_or(Path::new(""))
}

/// A column that no input can have is told before anything runs.
fn fits(template: &Template, columns: Option<usize>) -> Result<(), Failure> {
    let wanted = template.highest_column();
    match columns {
        Some(found) if wanted > found => Err(usage(TemplateError::NoSource { wanted, found })),
        Some(_) | None => Ok(()),
    }
}

fn usage(error: impl ToString) -> Failure {
    Failure::new(Kind::Usage, error.to_string())
}

fn unusable(error: JoblogError) -> Failure {
    Failure::new(Kind::Other, error.to_string())
}
