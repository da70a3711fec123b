//! Files of the commands of `argon map`: options with placeholders, and what a command is started with.

use argon::Request;
use clap::Args;

use super::super::files::{self, FileOptions};
use crate::command::files::receive::Receiver;
use crate::command::invocation::{Input, Invocation};
use crate::command::stdin::StdinProvider;
use crate::exit::{Failure, FailureKind};
use crate::map::file_names::FileNames;
use crate::map::work_item::WorkItem;

/// A block up to this size travels with its command; of a longer one the command asks for a piece at a time.
const WHOLE_BLOCK_BYTES: usize = 1 << 20;

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct MapFileOptions {
    #[command(flatten)]
    named: FileOptions,
    /// Send the input, which is the name of a file: --transferfile {}
    #[arg(long)]
    transfer: bool,
    /// Send the input, bring this file back and clean up: --transfer --return FILE --cleanup
    #[arg(long, value_name = "FILE")]
    trc: Vec<String>,
    /// Send this file to every worker once, for all commands; may be repeated
    #[arg(long = "basefile", alias = "bf", value_name = "FILE")]
    base: Vec<String>,
    /// No effect: the scratch folder of a command is always removed when it has ended
    #[arg(long)]
    cleanup: bool,
}

impl MapFileOptions {
    /// True if files travel.
    pub(super) fn is_used(&self) -> bool {
        self.named.is_used() || self.transfer || !self.trc.is_empty() || !self.base.is_empty()
    }

    /// Names with placeholders of the files of each command. Commands start in scratch folders then.
    pub(super) fn prepare(&self, invocation: &mut Invocation, whole: &str) -> Result<FileNames, Failure> {
        if self.is_used() {
            files::use_scratch(invocation, &self.base)?;
        }
        let mut sent = self.named.sent.clone();
        if self.transfer || !self.trc.is_empty() {
            sent.push(whole.to_owned());
        }
        let returned = [&self.named.returned[..], &self.trc[..]].concat();
        FileNames::parse(&sent, &returned, whole)
            .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))
    }
}

/// What a command is started with.
pub(super) struct CommandLaunch {
    pub(super) request: Request,
    /// Answers its questions for input.
    pub(super) stdin: Option<StdinProvider>,
    /// Takes the files that it returns.
    pub(super) receiver: Option<Receiver>,
    /// Bytes of its block.
    pub(super) block_bytes: u64,
}

impl CommandLaunch {
    /// The start of a command, which no longer has its block then.
    ///
    /// # Errors
    /// With a sentence, if it cannot be started.
    pub(super) fn of(invocation: &Invocation, item: &mut WorkItem) -> Result<Self, String> {
        let block = item.block.take();
        let block_bytes = block.as_ref().map_or(0, |block| block.len() as u64);
        let (mut input, mut stdin) = match block {
            None => (Input::Empty, None),
            Some(block) if block.len() <= WHOLE_BLOCK_BYTES => (Input::Whole(block.into()), None),
            Some(block) => (Input::Asked, Some(StdinProvider::of_block(block))),
        };
        if invocation.scratch {
            let archive = files::archive(&item.sent)?;
            (input, stdin) =
                StdinProvider::behind(archive, input, stdin).map_err(|error| error.to_string())?;
        }
        let returned = item.returned.iter().map(|name| name.remote.clone()).collect();
        let request =
            invocation.request_with(&item.words, input, returned).map_err(|error| error.to_string())?;
        let receiver = (!item.returned.is_empty()).then(|| Receiver::new(item.returned.clone()));
        Ok(Self { request, stdin, receiver, block_bytes })
    }
}
