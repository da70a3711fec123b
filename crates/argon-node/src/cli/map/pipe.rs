//! Options of `argon map --pipe`: standard input, or a file, in blocks.

use std::fs::File;
use std::path::PathBuf;

use clap::Args;

use super::super::options::whole;
use super::super::quantity::size;
use crate::exit::{Failure, FailureKind};
use crate::map::blocks::{BLOCK_BYTES_MAX, Blocks, Cut};

#[derive(Debug, Args)]
#[command(next_help_heading = "Blocks of standard input")]
pub(super) struct PipeOptions {
    /// Cut standard input into blocks at the ends of records; each block is the standard input of a command
    #[arg(long, alias = "spreadstdin")]
    pipe: bool,
    /// The same with the bytes of the file of -a in place of standard input
    #[arg(long = "pipe-part", alias = "pipepart", requires = "files", conflicts_with = "pipe")]
    part: bool,
    /// Most bytes of a block; a longer record gets a longer block [default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = block_size)]
    block: Option<usize>,
    /// Records of a block, in place of bytes; without --pipe, the same as -n
    #[arg(short = 'N', value_name = "RECORDS", value_parser = whole::<u64>(1, u64::MAX), conflicts_with = "block")]
    records: Option<u64>,
    /// Text that begins a record; \n, \r, \t, \0 and \\ are read as in a shell's $'…'
    #[arg(long, value_name = "TEXT")]
    recstart: Option<String>,
    /// Text that ends a record [default: \n, or nothing with --recstart]; nothing at all cuts anywhere
    #[arg(long, value_name = "TEXT")]
    recend: Option<String>,
    /// Not here: a command of --pipe gets one block
    #[arg(long, alias = "round", hide = true)]
    round_robin: bool,
    /// Not here: blocks are standard input
    #[arg(long, hide = true)]
    cat: bool,
    /// Not here: blocks are standard input
    #[arg(long, hide = true)]
    fifo: bool,
}

impl PipeOptions {
    /// True if inputs are blocks.
    pub(super) fn is_on(&self) -> bool {
        self.pipe || self.part
    }

    /// The value of -N.
    pub(super) fn records(&self) -> Option<u64> {
        self.records
    }

    /// Refuses what needs --pipe, and what no option of Argon does.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.round_robin {
            return Err(usage(
                "--round-robin keeps some commands and feeds them all blocks, and Argon starts a command for each block; \
                 use --pipe with a bigger --block, as --block 100M",
            ));
        }
        if self.cat || self.fifo {
            return Err(usage(
                "--cat and --fifo name a file that holds the block, and with Argon the block is the standard input: give \
                 the command /dev/stdin as the name of the file",
            ));
        }
        let of_blocks = [
            (self.block.is_some(), "--block"),
            (self.recstart.is_some(), "--recstart"),
            (self.recend.is_some(), "--recend"),
        ];
        match of_blocks.iter().find(|(is_given, _)| *is_given && !self.is_on()) {
            Some((_, name)) => {
                Err(usage(&format!("{name} says where standard input is cut into blocks; say --pipe too")))
            }
            None => Ok(()),
        }
    }

    /// The blocks of standard input, or of the file that `files` names with --pipe-part.
    pub(super) fn blocks(&self, files: &[PathBuf]) -> Result<Blocks, Failure> {
        let unescaped = |text: &Option<String>| text.as_deref().map(unescape);
        let start = unescaped(&self.recstart).unwrap_or_default();
        let default = if self.recstart.is_some() { "" } else { "\n" };
        let end = unescaped(&self.recend).unwrap_or_else(|| default.into());
        if self.records.is_some() && start.is_empty() && end.is_empty() {
            return Err(usage("-N counts records, and with an empty --recend there are none; use --block"));
        }
        let cut = Cut { bytes: self.block.unwrap_or(1 << 20), records: self.records, end, start };
        let (name, from): (_, Box<dyn std::io::Read + Send>) = match (self.part, files) {
            (true, [path]) => {
                let file = File::open(path).map_err(|error| {
                    let why = format!("the file {} cannot be read: {error}", path.display());
                    Failure::new(FailureKind::Other, why)
                })?;
                (path.display().to_string(), Box::new(file))
            }
            (true, _) => return Err(usage("--pipe-part takes one file: -a FILE")),
            (false, []) => ("standard input".to_owned(), Box::new(std::io::stdin())),
            (false, _) => {
                return Err(usage(
                    "with --pipe the input is standard input; for the bytes of a file use --pipe-part -a FILE",
                ));
            }
        };
        Ok(Blocks::new(name, from, cut))
    }
}

/// Reads the size of a block. A small letter is a power of 1000, as in GNU parallel.
fn block_size(text: &str) -> Result<usize, String> {
    let is_decimal = text.ends_with(['k', 'm', 'g']);
    let bytes = if is_decimal { size(&format!("{text}B"))? } else { size(text)? };
    match usize::try_from(bytes) {
        Ok(bytes @ 1..=BLOCK_BYTES_MAX) => Ok(bytes),
        _ => Err("a block has 1 byte to 1 GiB".to_owned()),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let known = |letter| match letter {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '0' => Some('\0'),
            '\\' => Some('\\'),
            _ => None,
        };
        let escaped = if letter == '\\' { letters.clone().next().and_then(known) } else { None };
        if escaped.is_some() {
            letters.next();
        }
        let mut buffer = [0; 4];
        bytes.extend_from_slice(escaped.unwrap_or(letter).encode_utf8(&mut buffer).as_bytes());
    }
    bytes
}

fn usage(message: &str) -> Failure {
    Failure::new(FailureKind::Usage, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_written_as_in_a_shell() {
        assert_eq!(unescape(r"a\n\0\\n\x"), b"a\n\0\\n\\x");
    }

    #[test]
    fn sizes_of_blocks_are_those_of_gnu_parallel() {
        assert_eq!(block_size("1k"), Ok(1000));
        assert_eq!(block_size("1K"), Ok(1024));
        assert_eq!(block_size("10M"), Ok(10 << 20));
        assert!(block_size("0").is_err() && block_size("2G").is_err() && block_size("-1").is_err());
    }
}
