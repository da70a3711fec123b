//! The options of `argon map`, resolved: files are open, the command is parsed, what cannot be has been refused. Nothing
//! has been written yet but a new joblog's heading, and nothing was sent.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::super::pool::PoolOption;
use super::{FlowOptions, MapArguments};
use crate::command::invocation::Invocation;
use crate::exit::{Failure, FailureKind};
use crate::map::halt::Halt;
use crate::map::inputs::{InputPlan, Origin};
use crate::map::joblog::{self, Joblog, JoblogError, Past};
use crate::map::placeholder::Reading;
use crate::map::reader::{self, InputBatch};
use crate::map::records::Format;
use crate::map::template::CommandTemplate;
use crate::map::template_error::TemplateError;
use crate::map::work_item::{InputItem, WorkItemBuilder};
use crate::output::complain;

/// Settings of a run.
pub(super) struct Settings {
    pub(super) batches: mpsc::Receiver<InputBatch>,
    pub(super) builder: WorkItemBuilder,
    /// Number of inputs, if it is known before they are read.
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
    pub(super) fn new(arguments: MapArguments) -> Result<Self, Failure> {
        let MapArguments { input, pipe, files, output, flow, command, pool, words } = arguments;
        pipe.check()?;
        let mut invocation = command.invocation(files.is_used())?;
        let names = files.prepare(&mut invocation, &input.whole)?;
        let format = match (input.null, input.csv) {
            (true, _) => Format::Zero,
            (_, true) => Format::Csv,
            (false, false) => Format::Lines,
        };
        let shell = input.shell.then_some(if invocation.functions.is_empty() { "sh" } else { "bash" });
        let reading = Reading { whole: &input.whole, shell, literal: input.literal };
        let repeats_only = flow.retry_failed && !flow.resume;
        let joblog = flow.joblog.as_deref().filter(|_| !output.dry_run);
        if repeats_only && files.is_used() {
            return Err(usage(
                "--retry-failed alone takes commands from the joblog, which does not have their files; say --resume too, and \
                 give the command and its inputs",
            ));
        }
        let (batches, builder, total, joblog) = if repeats_only {
            again(&flow, &words, output.results.is_some(), joblog)?
        } else if pipe.is_on() {
            let plan = InputPlan::new(words, &[]).map_err(usage)?;
            if plan.groups != [[Origin::Stdin]] || input.null || input.csv {
                return Err(usage(
                    "with --pipe the inputs are blocks, so leave ':::', -0 and --csv away; --recend '\\0' ends records in a \
                     zero byte",
                ));
            }
            let template = CommandTemplate::parse_for_blocks(&plan.command, reading).map_err(usage)?;
            let blocks = pipe.blocks(&input.files)?;
            let (past, joblog) = begun(&flow, joblog)?;
            let batches = reader::start_blocks(blocks).map_err(unreadable)?;
            (batches, WorkItemBuilder::new(Some(template), past, flow.retry_failed), None, joblog)
        } else {
            let plan = InputPlan::new(words, &input.files).map_err(usage)?;
            let template = CommandTemplate::parse(&plan.command, reading).map_err(usage)?;
            fits(&template, plan.columns(format))?;
            if plan.reads_stdin() && std::io::stdin().is_terminal() {
                complain("inputs are read from the terminal, one a line; Ctrl-D ends them");
            }
            let total = plan.count();
            let inputs =
                plan.open(format).map_err(|error| Failure::new(FailureKind::Other, error.to_string()))?;
            let (past, joblog) = begun(&flow, joblog)?;
            let batches = reader::start(inputs).map_err(unreadable)?;
            (batches, WorkItemBuilder::new(Some(template), past, flow.retry_failed), total, joblog)
        };
        Ok(Self {
            batches,
            builder: builder.with_files(names),
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

type OpenedInputs = (mpsc::Receiver<InputBatch>, WorkItemBuilder, Option<u64>, Option<Joblog>);

/// The commands of the joblog that failed.
fn again(
    flow: &FlowOptions,
    words: &[String],
    keeps_results: bool,
    joblog: Option<&Path>,
) -> Result<OpenedInputs, Failure> {
    if !words.is_empty() || keeps_results {
        return Err(usage(
            "--retry-failed takes the commands from the joblog, so leave the command, its inputs and --results away; \
             to go through the inputs again and run what failed or is missing, say --resume too",
        ));
    }
    // One that is not there is not made.
    let joblog = joblog.filter(|path| path.exists()).map(Joblog::take).transpose().map_err(unusable)?;
    let failed = joblog::failed(path_of(flow)).map_err(unusable)?;
    let joblog = joblog.map(Joblog::go_on).transpose().map_err(unusable)?;
    let items: Vec<InputItem> =
        failed.into_iter().map(|(sequence, line)| InputItem::Again { sequence, line }).collect();
    let total = items.len() as u64;
    Ok((reader::of_items(items), WorkItemBuilder::new(None, Past::default(), true), Some(total), joblog))
}

/// What an earlier run has done, and the joblog for this one.
fn begun(flow: &FlowOptions, joblog: Option<&Path>) -> Result<(Past, Option<Joblog>), Failure> {
    let joblog = joblog.map(Joblog::take).transpose().map_err(unusable)?;
    let past = if flow.resume { Past::read(path_of(flow)).map_err(unusable)? } else { Past::default() };
    let begin = if flow.resume { Joblog::go_on } else { Joblog::begin };
    Ok((past, joblog.map(begin).transpose().map_err(unusable)?))
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::new(FailureKind::Other, format!("the inputs cannot be read: {error}"))
}

/// The options cannot be parsed without a file where one is needed.
fn path_of(flow: &FlowOptions) -> &Path {
    flow.joblog.as_deref().unwrap_or(Path::new(""))
}

/// Refuses a column that no input can have, before anything runs.
fn fits(template: &CommandTemplate, columns: Option<usize>) -> Result<(), Failure> {
    let wanted = template.highest_column();
    match columns {
        Some(found) if wanted > found => Err(usage(TemplateError::NoSource { wanted, found })),
        Some(_) | None => Ok(()),
    }
}

fn usage(error: impl ToString) -> Failure {
    Failure::new(FailureKind::Usage, error.to_string())
}

fn unusable(error: JoblogError) -> Failure {
    Failure::new(FailureKind::Other, error.to_string())
}
