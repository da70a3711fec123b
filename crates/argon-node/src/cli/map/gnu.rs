//! Options of `argon map` that users of GNU parallel know: how inputs are cut and joined, what stands for them, how
//! output comes. `habits` translates other spellings into these.

use clap::{ArgAction, Args};

use super::super::options::whole;
use crate::map::shape::Trim;

/// Records of the sources.
#[derive(Debug, Args)]
#[command(next_help_heading = "Inputs")]
pub(super) struct RecordOptions {
    /// Inputs end in this text instead of a newline: ',', '\t', '\x1e'
    #[arg(short = 'd', long, value_name = "TEXT", conflicts_with_all = ["null", "csv"])]
    pub(super) delimiter: Option<String>,
    /// Inputs are rows whose columns this regular expression separates: {1} {2} …
    #[arg(short = 'C', long, value_name = "REGEX", conflicts_with = "csv")]
    pub(super) colsep: Option<String>,
    /// The first input of each source names its columns: {name}; the value is ':'
    #[arg(long, value_name = ":", value_parser = header)]
    pub(super) header: Option<bool>,
    /// Leave out the first input
    #[arg(long)]
    pub(super) skip_first_line: bool,
    /// Take blanks off inputs: l (left), r (right), lr (both) or n (none; with --colsep, lr is the default)
    #[arg(long, value_name = "ENDS", value_parser = str::parse::<Trim>)]
    pub(super) trim: Option<Trim>,
    /// Leave out inputs of nothing but blanks
    #[arg(short = 'r', long)]
    pub(super) no_run_if_empty: bool,
    /// An input that ends its source
    #[arg(short = 'E', long, value_name = "TEXT")]
    pub(super) eof: Option<String>,
    /// Pair all sources, as ':::+' does; shorter ones begin again
    #[arg(long)]
    pub(super) link: bool,
    /// Read all inputs, and run them in random order
    #[arg(long)]
    pub(super) shuf: bool,
    /// Word before inputs on the command line, instead of ':::'
    #[arg(long, value_name = "WORD", default_value = ":::", hide_default_value = true)]
    pub(super) arg_sep: String,
    /// Word before files on the command line, instead of '::::'
    #[arg(long, value_name = "WORD", default_value = "::::", hide_default_value = true)]
    pub(super) arg_file_sep: String,
    /// Number of inputs, for the progress line and {##}, where it is not known
    #[arg(long, value_name = "COUNT", value_parser = whole::<u64>(1, u64::MAX))]
    pub(super) total_jobs: Option<u64>,
}

/// Several inputs in one command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Several inputs in one command")]
pub(super) struct FillOptions {
    /// Give each command this many inputs: {} is all of them, {1} {2} … are one each (also -N)
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = whole::<u32>(1, u32::MAX))]
    pub(super) max_args: Option<u32>,
    /// Give each command as many inputs as fit, divided among the jobs; a word with {} is repeated for each
    #[arg(short = 'X')]
    pub(super) each: bool,
    /// The same, but text around {} is not repeated
    #[arg(short = 'm')]
    pub(super) many: bool,
    /// Give each command as many inputs as fit
    #[arg(long)]
    pub(super) xargs: bool,
    /// Most bytes of such a command
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 131_000, hide_default_value = true,
        value_parser = whole::<u32>(1, 2_000_000))]
    pub(super) max_chars: u32,
}

/// What stands for an input.
#[derive(Debug, Args)]
#[command(next_help_heading = "Placeholders")]
pub(super) struct PlaceOptions {
    /// More placeholders: {+/} {+.} {..} {...} {/..} {##} {0#} {:2} {%.x} {/a/b} {^a} and others
    #[arg(long)]
    pub(super) plus: bool,
    /// Define a placeholder by an expression of Perl: '{up} $_ = uc'; may be repeated
    #[arg(long, value_name = "DEFINITION")]
    pub(super) rpl: Vec<String>,
    /// Text before and after an expression of Perl, instead of '{=' and '=}'
    #[arg(long, value_name = "PARENS")]
    pub(super) parens: Option<String>,
    /// Another text for a placeholder: '{.}=,,'; may be repeated
    #[arg(long, value_name = "PLACEHOLDER=TEXT")]
    pub(super) placeholder: Vec<String>,
    /// Take the command as words, even a single one with blanks or other letters of a shell
    #[arg(short = 'q', long, conflicts_with = "shell")]
    pub(super) quote: bool,
}

/// How output comes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ShowOptions {
    /// Print each line as it comes, mixed with those of other commands
    #[arg(long, visible_alias = "lb")]
    pub(super) line_buffer: bool,
    /// Print output as it comes, even parts of lines
    #[arg(short = 'u', long)]
    pub(super) ungroup: bool,
    /// Begin each line with this text, which may have placeholders, and a tab
    #[arg(long, value_name = "TEXT", conflicts_with = "tag")]
    pub(super) tagstring: Option<String>,
    /// Print each command before its output
    #[arg(short = 'v', action = ArgAction::Count)]
    pub(super) shown: u8,
    /// Print each command on standard error when it is handed out
    #[arg(short = 't', long)]
    pub(super) verbose: bool,
    /// Show the progress line; this is the default on a terminal
    #[arg(long = "progress", visible_aliases = ["bar", "eta"])]
    pub(super) is_progress_wanted: bool,
    /// Print output as it is complete, after an earlier --keep-order
    #[arg(long, overrides_with = "keep_order", hide = true)]
    pub(super) no_keep_order: bool,
}

fn header(text: &str) -> Result<bool, String> {
    if text == ":" {
        Ok(true)
    } else {
        Err("the only heading is ':', the first input of each source".to_owned())
    }
}
