//! `argon submit`: a command that outlives its caller.

use std::ffi::OsString;
use std::io::Read;

use argon::Payload;
use clap::Args;

use super::files::{self, FileOptions};
use super::pool::{CommandOptions, PoolOption, refused};
use crate::command::files::name::CarriedName;
use crate::command::invocation::Input;
use crate::exit::{Failure, FailureKind};
use crate::interrupt;
use crate::output::print_line;

/// Bytes of standard input that are sent along at most.
const STDIN_BYTES_MAX: u64 = 256 << 20;

/// Give a command to the pool, print its ticket, and do not wait.
///
/// Anyone who has the ticket and a key can collect the outcome or cancel the command; keep the ticket
/// secret. When it is printed, the manager has stored the command, on its disk unless it was started
/// with --store memory. The command starts in your present folder. The last 32 KiB of its output are
/// kept; let it write to a file if you need more.
#[derive(Debug, Args)]
#[command(
    override_usage = "argon submit [OPTIONS] [--] COMMAND [ARGUMENT]...",
    after_help = "\
Examples:
  ticket=$(argon submit -- ./nightly-report --all)
  argon collect $ticket
  argon submit --timeout 1h --retries 3 -- rsync -a /srv/ backup:/srv/
  argon submit --stdin -- sh -c 'mail -s Report boss' < report.txt"
)]
pub(super) struct SubmitArguments {
    #[command(flatten)]
    command: CommandOptions,
    #[command(flatten)]
    files: FileOptions,
    /// Read standard input to its end, and give it to the command
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    pool: PoolOption,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", help_heading = "Arguments", required = true, trailing_var_arg = true)]
    words: Vec<OsString>,
}

pub(super) fn run(arguments: &SubmitArguments) -> Result<(), Failure> {
    let (sent, returned) = arguments.files.names()?;
    if !returned.is_empty() {
        return Err(Failure::new(
            FailureKind::Usage,
            "nobody is there to take a file when a submitted command ends: use argon run --return, or let the command copy it",
        ));
    }
    let mut invocation = arguments.command.invocation(arguments.files.is_used())?;
    let mut input = if arguments.stdin { whole_stdin()? } else { Input::Empty };
    if invocation.scratch {
        files::use_scratch(&mut invocation, &[])?;
        input = with_files(&sent, input)?;
    }
    let request = invocation
        .request(&arguments.words, input)
        .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
    super::block_on(async {
        let mut interrupt = interrupt::watch()?;
        let client = interrupt.or(arguments.pool.connect("argon submit")).await?;
        let accepted = async { client.submit_request(request).await.map_err(|error| refused(&error)) };
        // A task that is not accepted when a signal comes is cancelled with the session: its ticket was not printed.
        let ticket = interrupt.or(accepted).await;
        client.close();
        let ticket = ticket?;
        print_line(ticket).map_err(|failure| {
            Failure::new(failure.kind(), format!("the command is submitted as {ticket}, and {failure}"))
        })
    })
}

/// The files, and then the input.
fn with_files(names: &[CarriedName], input: Input) -> Result<Input, Failure> {
    let failed = |why: String| Failure::new(FailureKind::Usage, why);
    let mut archive = files::archive(names).map_err(failed)?;
    archive.end();
    if archive.length() > STDIN_BYTES_MAX {
        return Err(failed(
            "the files have more than 256 MiB; put them where the worker can read them".to_owned(),
        ));
    }
    let archive = archive.whole().map_err(|error| failed(error.to_string()))?;
    let rest = if let Input::Whole(payload) = input { payload } else { Payload::default() };
    let parts = std::iter::once(archive).chain(rest.parts().iter().cloned());
    Ok(Input::Whole(Payload::from_parts(parts.collect())))
}

fn whole_stdin() -> Result<Input, Failure> {
    let failed =
        |why: String| Failure::new(FailureKind::Other, format!("standard input cannot be sent along: {why}"));
    let mut bytes = Vec::new();
    let mut stdin = std::io::stdin().lock().take(STDIN_BYTES_MAX + 1);
    stdin.read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > STDIN_BYTES_MAX {
        return Err(failed("it is longer than 256 MiB; put it where the worker can read it".to_owned()));
    }
    Ok(if bytes.is_empty() { Input::Empty } else { Input::Whole(Payload::from(bytes)) })
}
