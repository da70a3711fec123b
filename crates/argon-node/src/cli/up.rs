//! `argon up`: everything on one machine with one command.

use clap::Args;

use super::options::{DoorOptions, KeyOption, LogOption, PoolOptions, start_log};
use super::worker::{EndedBy, serve_alone};
use crate::exit::Failure;
use crate::memory;

/// Manager and worker on this machine, in one process.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon up                       on 127.0.0.1:8000, a slot per CPU
  argon up --slots 4 --port 0    four slots, any free port
  argon up --host mgrhost        more machines may join
  argon up --port 0 --until-eof  a pool that ends with the program that holds its standard input

When it is ready it prints one line:
  argon-ready role=up addr=HOST:PORT pid=N version=V slots=N tls=required pin=PIN key=FILE
With --host it then prints a line 'argon join TOKEN' on standard error, with which another machine
becomes a worker. See also 'argon approve'.")]
pub(super) struct UpArguments {
    #[command(flatten)]
    door: DoorOptions,
    #[command(flatten)]
    pool: PoolOptions,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    log: LogOption,
    /// End at once when standard input is closed, also if the program that holds it is killed. Keys pressed in a
    /// terminal do not reach this pool, and other commands do not find it
    #[arg(long, verbatim_doc_comment)]
    until_eof: bool,
}

pub(super) fn run(arguments: UpArguments) -> Result<(), Failure> {
    memory::close_to_others();
    start_log(&arguments.log);
    memory::keep_some();
    let ended_by = if arguments.until_eof { EndedBy::Input } else { EndedBy::Signals };
    super::block_on(async move {
        serve_alone("up", &arguments.door, &arguments.pool, &arguments.key, ended_by).await
    })
}
