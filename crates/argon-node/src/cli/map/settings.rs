//! The options of `argon map`, resolved: files are open, the command is parsed, what cannot be has been refused. Nothing
//! has been written yet but a new joblog's heading, and nothing was sent.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::pool::PoolOption;
use super::gnu::ShowOptions;
use super::prepare::{Prepared, prepare, prepare_for_blocks, usage};
use super::{FlowOptions, MapArguments};
use crate::command::invocation::Invocation;
use crate::exit::{Failure, FailureKind};
use crate::map::halt::Halt;
use crate::map::inputs::{InputPlan, Origin};
use crate::map::joblog::{self, Joblog, JoblogError, Past};
use crate::map::jobs::Jobs;
use crate::map::perl::Perl;
use crate::map::placeholder::Placeholder;
use crate::map::reader::{self, InputBatch};
use crate::map::reading::Reading;
use crate::map::supply::{Supply, shuffle};
use crate::map::template::TextTemplate;
use crate::map::work_item::{Extras, InputItem, WorkItemBuilder};

/// Settings of a run.
pub(super) struct Settings {
    pub(super) batches: mpsc::Receiver<InputBatch>,
    pub(super) builder: WorkItemBuilder,
    /// Number of inputs, if it is known before they are read.
    pub(super) total: Option<u64>,
    pub(super) joblog: Option<Joblog>,
    /// The path of the joblog.
    pub(super) log: Option<PathBuf>,
    pub(super) results: Option<PathBuf>,
    pub(super) jobs: Option<Jobs>,
    pub(super) delay: Option<Duration>,
    pub(super) halt: Halt,
    pub(super) keep_order: bool,
    pub(super) tag: bool,
    pub(super) show: ShowOptions,
    pub(super) progress: bool,
    /// True if the command asks for the number of its slot.
    pub(super) uses_slots: bool,
    pub(super) invocation: Invocation,
    pub(super) pool: PoolOption,
}

impl Settings {
    pub(super) fn new(arguments: MapArguments) -> Result<Self, Failure> {
        arguments.pipe.check()?;
        let files = &arguments.files;
        let mut invocation = arguments.command.invocation(files.is_used())?;
        let names = files.prepare(&mut invocation, &arguments.input.whole)?;
        let shell = if invocation.functions.is_empty() { "sh" } else { "bash" };
        let flow = &arguments.flow;
        let joblog = flow.joblog.as_deref().filter(|_| !arguments.output.dry_run);
        let is_again = flow.retry_failed && !flow.resume;
        if is_again && files.is_used() {
            return Err(usage(
                "--retry-failed alone takes commands from the joblog, which does not have their files; say --resume too, and \
                 give the command and its inputs",
            ));
        }
        if let Some(folder) = &arguments.output.results {
            is_folder(folder)?;
        }
        let opened = if is_again {
            again(flow, &arguments.words, arguments.output.results.is_some(), joblog)?
        } else if arguments.pipe.is_on() {
            blocks(&arguments, shell, joblog)?
        } else {
            forward(&arguments, shell, joblog)?
        };
        let MapArguments { output, show, flow, pool, .. } = arguments;
        Ok(Self {
            batches: opened.batches,
            builder: opened.builder.with_files(names),
            total: opened.total,
            joblog: opened.joblog,
            uses_slots: opened.uses_slots,
            log: flow.joblog,
            results: output.results,
            jobs: flow.jobs,
            delay: flow.delay,
            halt: flow.halt,
            keep_order: output.keep_order,
            tag: output.tag || show.tagstring.is_some(),
            show,
            progress: output.progress,
            invocation,
            pool,
        })
    }
}

/// Refuses what GNU parallel reads as a template or as a table.
fn is_folder(results: &Path) -> Result<(), Failure> {
    let text = results.to_string_lossy();
    if text.contains('{') || [".csv", ".tsv", ".json"].iter().any(|ending| text.ends_with(ending)) {
        return Err(usage(format!(
            "--results {text}: it takes a folder without placeholders, in which each command gets a folder of its own; \
             --joblog FILE is a table"
        )));
    }
    Ok(())
}

struct OpenedInputs {
    batches: mpsc::Receiver<InputBatch>,
    builder: WorkItemBuilder,
    total: Option<u64>,
    joblog: Option<Joblog>,
    uses_slots: bool,
}

/// The command over its inputs.
fn forward(arguments: &MapArguments, shell: &str, joblog: Option<&Path>) -> Result<OpenedInputs, Failure> {
    let MapArguments { flow, show, records, .. } = arguments;
    let Prepared { template, inputs, dictionary, total, group, fill } = prepare(arguments, shell)?;
    let uses_slots = template.has(Placeholder::Slot);
    let tag = show.tagstring.as_deref().or(arguments.output.tag.then_some("{}"));
    let reading = Reading { whole: "{}", shell: None, literal: false, more: Some(&dictionary) };
    let tag = tag.map(|text| TextTemplate::parse(text, reading)).transpose().map_err(usage)?;
    let expressions = dictionary.expressions();
    let perl = if expressions.is_empty() { None } else { Some(Perl::start(&expressions).map_err(usage)?) };
    let (past, joblog) = begun(flow, joblog)?;
    let supply = Supply::new(inputs, fill);
    let counts =
        expressions.iter().any(|text| text.contains("total_jobs")) || template.has(Placeholder::Total);
    let mut total = records.total_jobs.or(total);
    let batches = if records.shuf || (counts && total.is_none()) {
        let mut all = reader::read_all(supply);
        total = Some(all.items.len() as u64);
        if records.shuf {
            shuffle(&mut all.items);
        }
        reader::of_batch(all)
    } else {
        reader::start(supply).map_err(|error| {
            Failure::new(FailureKind::Other, format!("the inputs cannot be read: {error}"))
        })?
    };
    let extras = Extras { tag, perl: perl.map(RefCell::new), total, group };
    let builder = WorkItemBuilder::new(Some(template), past, flow.retry_failed).with(extras);
    Ok(OpenedInputs { batches, builder, total, joblog, uses_slots })
}

/// The command over blocks of standard input.
fn blocks(arguments: &MapArguments, shell: &str, joblog: Option<&Path>) -> Result<OpenedInputs, Failure> {
    let MapArguments { flow, input, pipe, words, .. } = arguments;
    let plan = InputPlan::new(words.clone(), &[]).map_err(usage)?;
    if plan.groups != [[Origin::Stdin]] || input.null || input.csv {
        return Err(usage(
            "with --pipe the inputs are blocks, so leave ':::', -0 and --csv away; --recend '\\0' ends records in a \
             zero byte",
        ));
    }
    let template = prepare_for_blocks(&plan.command, arguments, shell)?;
    let blocks = pipe.blocks(&input.files)?;
    let (past, joblog) = begun(flow, joblog)?;
    let batches = reader::start_blocks(blocks).map_err(unreadable)?;
    let uses_slots = template.has(Placeholder::Slot);
    let builder = WorkItemBuilder::new(Some(template), past, flow.retry_failed);
    Ok(OpenedInputs { batches, builder, total: None, joblog, uses_slots })
}

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
    Ok(OpenedInputs {
        batches: reader::of_items(items),
        builder: WorkItemBuilder::new(None, Past::default(), true),
        total: Some(total),
        joblog,
        uses_slots: false,
    })
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

fn unusable(error: JoblogError) -> Failure {
    Failure::new(FailureKind::Other, error.to_string())
}
