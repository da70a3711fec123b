//! `argon map`: one command for each of many inputs, on the whole pool.

mod drive;
mod follow;
mod report;
mod settings;

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::options::whole;
use super::pool::{CommandOptions, PoolOption};
use crate::exit::{Failure, FailureKind};
use crate::map::halt::Halt;
use crate::map::work_item::Built;
use crate::output::{complain, is_open, unwritable};
use settings::Settings;

/// Run one command for each input, on all machines of the pool.
///
/// Inputs are the words after ':::', the lines of the files named with -a or after '::::', or else the
/// lines of standard input. Several sources are combined, each with each; ':::+' and '::::+' go in step
/// with the source before them. The output of each command is printed when it has ended, whole, and
/// never mixed with that of another.
#[derive(Debug, Args)]
#[command(
    override_usage = "argon map [OPTIONS] [--] COMMAND [ARGUMENT]... [::: INPUT]...",
    after_help = "\
Examples:
  argon map -- gzip -9 ::: *.log
  find . -name '*.flac' -print0 | argon map -0 -- flac2mp3 {} {.}.mp3
  argon map --csv -a orders.csv -- ./invoice --to {2} --sum {3}
  argon map --shell -- 'zcat {} | wc -l' ::: *.gz
  argon map --tag --keep-order -- ping -c1 ::: a b c ::: -4 -6
  argon map --joblog log --resume -- ./render {} <frames      after a stop: goes on
  argon map --joblog log --retry-failed                       runs what failed again

Placeholders:
  {}   the input                {#}  its number, from 1
  {.}  without its extension    {1} {2} …  one of several columns or sources, also
  {/}  without its folder                  {1.} {1/} {1//} {1/.}
  {//} its folder               {/.} without folder and extension
A command without any gets the input as its last argument. The words go to the command as they are,
without a shell between; --shell makes them one line for 'sh -c'. There and behind 'sh -c' each input
is quoted for where it stands: it is never run, and arrives as it is.

Exit status: 0 if all commands succeeded, else how many failed; 101 for more than 100. With --halt
  and fail=1 that of the one that failed. 125 if the output cannot be written, 130 after Ctrl-C,
  141 if nobody reads the output any more, 255 if argon itself failed."
)]
pub(super) struct MapArguments {
    #[command(flatten)]
    input: InputOptions,
    #[command(flatten)]
    output: OutputOptions,
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
    /// The words are one line for a shell; inputs are quoted for where they stand in it
    #[arg(long)]
    shell: bool,
    /// Placeholder for the input, instead of {}
    #[arg(short = 'I', value_name = "STRING", default_value = "{}", hide_default_value = true)]
    whole: String,
    /// Leave in place what looks like a placeholder and is none
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
    /// Keep what each command prints in files too: FOLDER/1/INPUT/stdout and stderr
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
    /// Print the commands and run none
    #[arg(long)]
    dry_run: bool,
    /// Draw no progress line, also on a terminal
    #[arg(long = "no-progress", action = ArgAction::SetFalse)]
    progress: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Flow")]
struct FlowOptions {
    /// Unfinished commands at most [default: as many as keep all slots busy]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = whole::<u32>(1, u32::MAX))]
    jobs: Option<u32>,
    /// Stop early: 'now' (cancel) or 'soon' (start no more), and at what, as now,fail=1 or soon,fail=10%
    #[arg(long, value_name = "WHEN", default_value = "never")]
    halt: Halt,
    /// Write a line for each command that ended to this file, in the columns of GNU parallel
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,
    /// Leave out inputs that stand in the joblog
    #[arg(long, requires = "joblog")]
    resume: bool,
    /// Run the failed commands of the joblog again; with --resume also those that it lacks
    #[arg(long, requires = "joblog")]
    retry_failed: bool,
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
    while let Some(batch) = settings.batches.blocking_recv() {
        for item in batch.items {
            match settings
                .builder
                .build(item)
                .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?
            {
                Built::Item(item) => {
                    writeln!(out, "{}", item.line).map_err(|error| unwritable(&error))?;
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
