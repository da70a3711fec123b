//! `argon map`: one command for each of many inputs, on the whole pool.

mod carried;
mod drive;
mod follow;
mod gnu;
mod habits;
mod pipe;
mod prepare;
mod report;
mod settings;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::pool::{CommandOptions, PoolOption};
use super::quantity::time;
use crate::exit::{Failure, FailureKind};
use crate::map::halt::Halt;
use crate::map::jobs::Jobs;
use crate::map::slots::SlotNumbers;
use crate::map::work_item::Built;
use crate::output::{complain, is_open, unwritable};
use carried::MapFileOptions;
use gnu::{FillOptions, PlaceOptions, RecordOptions, ShowOptions};
pub(super) use habits::translate;
use pipe::PipeOptions;
use settings::Settings;

/// Run one command for each input, on all machines of the pool.
///
/// Inputs are the words after ':::', the lines of the files after -a or '::::', or else the lines of
/// standard input. With several sources, every combination is an input; ':::+' and '::::+' pair a source
/// with the one before it. The output of a command is printed when it has ended, and is never mixed with
/// that of another.
#[derive(Debug, Args)]
#[command(
    args_override_self = true,
    override_usage = "argon map [OPTIONS] [--] COMMAND [ARGUMENT]... [::: INPUT]...",
    after_help = "\
Examples:
  argon map -- gzip -9 ::: *.log
  find . -name '*.flac' -print0 | argon map -0 -- flac2mp3 {} {.}.mp3
  argon map --csv -a orders.csv -- ./invoice --to {2} --sum {3}
  argon map 'zcat {} | wc -l' ::: *.gz                        a line for a shell
  argon map --pipe --block 10M -k -- gzip <big >big.gz        blocks of standard input
  argon map --trc {.}.png --basefile ./draw -- ./draw {} {.}.png ::: *.dot      files travel
  argon map --tag --keep-order -- ping -c1 ::: a b c ::: -4 -6
  argon map --joblog log --resume -- ./render {} <frames      continues after a stop
  argon map --joblog log --retry-failed                       runs failed commands again

Placeholders:
  {}   the input                {#}  its number, from 1; {%} one that no other running command has
  {.}  without its extension    {1} {2} …  one of several columns or sources, also
  {/}  without its folder                  {1.} {1/} {1//} {1/.}
  {//} its folder               {/.} without folder and extension
  {= s/a/b/ =} the input ($_) after an expression of Perl, which runs here; {=2 uc =} of column 2
Without a placeholder, the input becomes the last argument. No shell reads the words. A single word
with blanks or other letters of a shell is a line for 'sh -c', as are the words after --shell. There,
and after 'sh -c', each input is quoted for its place: the shell passes it on and never executes it.
Options of GNU parallel that are not listed are known too, or answered with what to do instead.

Exit status: 0 if all commands succeeded, else the number that failed; 101 for more than 100. With
  --halt and fail=1, that of the failed command. 125 if the output cannot be written, 130 after
  Ctrl-C, 141 if the reader of the output has ended, 255 if argon itself failed."
)]
pub(super) struct MapArguments {
    #[command(flatten)]
    input: InputOptions,
    #[command(flatten)]
    records: RecordOptions,
    #[command(flatten)]
    fill: FillOptions,
    #[command(flatten)]
    places: PlaceOptions,
    #[command(flatten)]
    pipe: PipeOptions,
    #[command(flatten)]
    files: MapFileOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    show: ShowOptions,
    #[command(flatten)]
    flow: FlowOptions,
    #[command(flatten)]
    command: CommandOptions,
    #[command(flatten)]
    pool: PoolOption,
    /// The command, then the sources of its inputs
    #[arg(value_name = "COMMAND", help_heading = "Arguments", trailing_var_arg = true)]
    words: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Inputs")]
struct InputOptions {
    /// Read inputs from the lines of this file; '-' is standard input; may be repeated
    #[arg(short = 'a', long = "arg-file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Inputs end in a zero byte instead of a newline
    #[arg(short = '0', long = "null", conflicts_with = "csv")]
    null: bool,
    /// Inputs are rows of comma-separated values: {1} {2} … are their columns
    #[arg(long)]
    csv: bool,
    /// The words are one line for a shell; each input is quoted for its place in it
    #[arg(long)]
    shell: bool,
    /// Placeholder for the input, instead of {}
    #[arg(short = 'I', value_name = "STRING", default_value = "{}", hide_default_value = true)]
    whole: String,
    /// Leave text in place that only looks like a placeholder
    #[arg(long)]
    literal: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputOptions {
    /// Print in the order of the inputs
    #[arg(short = 'k', long)]
    keep_order: bool,
    /// Begin each line with the input and a tab
    #[arg(long)]
    tag: bool,
    /// Also keep the output of each command in files: FOLDER/1/INPUT/stdout and stderr
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
    /// Print the commands without running them
    #[arg(long)]
    dry_run: bool,
    /// Show no progress line, even on a terminal
    #[arg(long = "no-progress", action = ArgAction::SetFalse)]
    progress: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Flow")]
struct FlowOptions {
    /// Most unfinished commands: 8, +2 or -2 (beyond or below the slots of the pool), 50% (of the slots), or a file that
    /// holds such a value and is read again [default: enough to keep all slots busy]
    #[arg(short = 'j', visible_short_alias = 'P', long, value_name = "COUNT", value_parser = str::parse::<Jobs>,
        allow_hyphen_values = true, verbatim_doc_comment)]
    jobs: Option<Jobs>,
    /// Least time between the starts of two commands
    #[arg(long, value_name = "TIME", value_parser = time)]
    delay: Option<Duration>,
    /// Stop early: 'now' (cancel) or 'soon' (start no more) with a condition: now,fail=1 or soon,fail=10%
    #[arg(long, value_name = "WHEN", default_value = "never")]
    halt: Halt,
    /// Write a line for each ended command to this file, in the columns of GNU parallel
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,
    /// Skip inputs that are in the joblog
    #[arg(long, requires = "joblog")]
    resume: bool,
    /// Run the failed commands of the joblog again; with --resume, also inputs that are not in it
    #[arg(long, requires = "joblog")]
    retry_failed: bool,
}

impl MapArguments {
    /// Inputs of each command: -n, or -N where it does not count the records of a block.
    fn count(&self) -> Option<usize> {
        let count = self.fill.max_args.map(u64::from).or(self.pipe.records())?;
        usize::try_from(count).ok()
    }
}

pub(super) fn run(arguments: MapArguments) -> Result<u8, Failure> {
    let is_dry = arguments.output.dry_run;
    let mut settings = Settings::new(arguments)?;
    if is_dry {
        return dry_run(&mut settings);
    }
    super::block_on(drive::run(settings))
}

/// Prints what would be run.
fn dry_run(settings: &mut Settings) -> Result<u8, Failure> {
    use std::io::Write;
    is_open(1).map_err(|error| unwritable(&error))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut failed: u64 = 0;
    let mut numbers = SlotNumbers::default();
    let jobs = settings.jobs.as_ref().and_then(|jobs| jobs.limit(prepare::cpus())).unwrap_or(1);
    while let Some(batch) = settings.batches.blocking_recv() {
        for item in batch.items {
            let mut slot = numbers.take();
            if slot > jobs {
                // The numbers of a run in which each command ends when it is its turn.
                numbers = SlotNumbers::default();
                slot = numbers.take();
            }
            match settings
                .builder
                .build(item, slot)
                .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?
            {
                Built::Item(item) => {
                    let tag = item.tag.map_or_else(String::new, |tag| tag + "\t");
                    writeln!(out, "{tag}{}", item.line).map_err(|error| unwritable(&error))?;
                }
                Built::Failed { sequence, why } => {
                    failed += 1;
                    complain(format_args!("input {sequence}: {why}"));
                }
                Built::Done => {}
            }
        }
        if let Some(why) = batch.stopped_by {
            return Err(Failure::new(FailureKind::Other, why));
        }
    }
    out.flush().map_err(|error| unwritable(&error))?;
    Ok(u8::try_from(failed).unwrap_or(101).min(101))
}
