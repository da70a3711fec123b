//! The command line: one file per command; this one lists them and maps failures to exit statuses.

mod approve;
mod asking;
mod cancel;
mod clients;
mod collect;
mod complete;
mod completions;
mod drain;
mod explain;
mod files;
mod help;
mod interpreters;
mod isolation;
mod join;
mod key;
mod library;
mod log;
mod machine_limits;
mod man;
mod manager;
mod manager_option;
mod map;
mod nearest;
mod new;
mod options;
mod pair;
mod pool;
mod quantity;
mod run;
mod status;
mod submit;
mod task;
mod task_filter;
mod tasks;
mod tips;
mod tunnel;
mod up;
mod worker;
mod workers;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command::files::carry;
use crate::exit::{Failure, FailureKind, UNDONE, UNWRITTEN};
use crate::output::{complain, is_open, unwritable};

const AFTER_HELP: &str = "\
Examples:
  argon up                                        a manager and a worker on this machine
  argon manager --host 127.0.0.1 --port 8000      a manager
  argon worker --port 8001 --manager mgr:8000     a worker that serves it, with a slot per CPU
  argon worker --port 8000                        a stand-alone worker: clients call it directly
  argon status                                    what the manager on this machine is doing
  argon tasks --state failed --since 12h          what failed last night
  argon run -- make test                          a command on the pool, as if it ran here
  argon map -- gzip -9 ::: *.log                  a command for each input, on all machines
  id=$(argon submit -- ./report); argon collect $id   now and later

A manager creates its key at the first start. Processes of the same user on that machine find it.
Another machine becomes a worker with the line 'argon join TOKEN' that a manager prints. Or start
'argon worker --manager mgr:8000' or 'argon pair mgr:8000' there, and run 'argon approve CODE' with
the code that it shows on the manager's machine.

Exit status (run, map and collect pass on that of the commands; see their --help):
  0  success                            4  no key, or a wrong one
  1  another failure                    5  the manager cannot be reached
  2  wrong command line                 6  this machine lacks an interpreter
  3  cannot listen on the address       7  the store failed
  8  the output cannot be written     141  the reader of the output has ended";

/// Commands whose exit status is that of what they ran, but for their own failures.
const PASS_ON: &[&str] = &["run", "map", "collect"];

/// Turns the machines that you have into one pool that you call like a function
#[derive(Debug, Parser)]
#[command(name = "argon", version, after_help = AFTER_HELP, max_term_width = 100, disable_help_subcommand = true)]
struct ArgonArguments {
    #[command(subcommand)]
    command: Command,
}

// A command without a line here is described by the comment on its arguments, at length.
#[derive(Debug, Subcommand)]
enum Command {
    /// Accept tasks from clients and route them to workers
    Manager(manager::ManagerArguments),
    /// Run tasks in a pool of processes, for a manager or stand-alone
    Worker(worker::WorkerArguments),
    /// Manager and worker on this machine, in one process
    Up(up::UpArguments),
    Run(run::RunArguments),
    Map(Box<map::MapArguments>),
    Submit(submit::SubmitArguments),
    Collect(collect::CollectArguments),
    Cancel(cancel::CancelArguments),
    /// Show workers, queue and running tasks
    Status(status::StatusArguments),
    Tasks(tasks::TasksArguments),
    Task(task::TaskArguments),
    Explain(explain::ExplainArguments),
    Workers(workers::WorkersArguments),
    Clients(clients::ClientsArguments),
    /// Let a worker finish its running tasks and leave
    Drain(drain::DrainArguments),
    /// Show where the cluster key is, create one, or derive the key of a role
    Key(key::KeyArguments),
    /// Join the pool of a manager with a token that it has printed
    Join(join::JoinArguments),
    /// Ask a manager for a key for this machine
    Pair(pair::PairArguments),
    /// Let a machine in that waits without a key
    Approve(approve::ApproveArguments),
    Tunnel(tunnel::TunnelArguments),
    New(new::NewArguments),
    PerlLib(library::PerlLibArguments),
    PythonLib(library::PythonLibArguments),
    Completions(completions::CompletionsArguments),
    Man(man::ManArguments),
    Help(help::HelpArguments),
    Version(help::VersionArguments),
    #[command(hide = true)]
    Complete(complete::CompleteArguments),
    /// End processes that a dead worker left; started by workers
    #[command(hide = true)]
    Guardian,
}

fn parse(words: Vec<OsString>, command: &mut clap::Command) -> Result<ArgonArguments, clap::Error> {
    let words = as_known(words, command)?;
    let matches = command.try_get_matches_from_mut(words)?;
    ArgonArguments::from_arg_matches(&matches).map_err(|error| error.format(command))
}

/// The command line with the options of GNU parallel translated, where it is one of `argon map`.
fn as_known(mut words: Vec<OsString>, command: &clap::Command) -> Result<Vec<OsString>, clap::Error> {
    let Some(map) = command.find_subcommand("map").filter(|_| words.get(1).is_some_and(|name| name == "map"))
    else {
        return Ok(words);
    };
    let rest = words.split_off(2);
    let translated = map::translate(rest, map)
        .map_err(|why| clap::Error::raw(clap::error::ErrorKind::InvalidValue, format!("{why}\n")))?;
    words.extend(translated);
    Ok(words)
}

/// All commands. A negative number after an option that takes a value belongs to that option: the error names the option
/// and what it takes, instead of an unknown option `-1`.
fn command() -> clap::Command {
    let takes_value = |arg: &clap::Arg| !arg.is_positional() && arg.get_action().takes_values();
    let mut command = ArgonArguments::command();
    let names: Vec<String> = command.get_subcommands().map(|known| known.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |known| {
            known.mut_args(|arg| {
                let is_amount =
                    arg.get_value_names().is_some_and(|names| matches!(&*names[0], "TIME" | "SIZE"));
                let arg = if is_amount { arg.allow_hyphen_values(true) } else { arg };
                if takes_value(&arg) { arg.allow_negative_numbers(true) } else { arg }
            })
        });
    }
    command
}

/// Runs the command that the process was called with.
#[must_use]
pub fn run() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|name| name == carry::NAME) {
        // Started for each command with files: it has no options, and no time to lose.
        return carry::main(words);
    }
    let words = help::as_option(std::env::args_os());
    let mut known = command();
    let arguments = parse(words.clone(), &mut known).unwrap_or_else(|mut error| {
        nearest::correct(&mut error, &words, &known);
        misused(&error, tips::of(&error, &words, &known))
    });
    let ended = match arguments.command {
        Command::Manager(arguments) => manager::run(arguments),
        Command::Worker(arguments) => worker::run(arguments),
        Command::Up(arguments) => up::run(arguments),
        Command::Run(arguments) => return passed_on(run::run(&arguments)),
        Command::Map(arguments) => return passed_on(map::run(*arguments)),
        Command::Submit(arguments) => submit::run(&arguments),
        Command::Collect(arguments) => return passed_on(collect::run(&arguments)),
        Command::Cancel(arguments) => cancel::run(&arguments),
        Command::New(arguments) => new::run(&arguments),
        Command::PerlLib(arguments) => library::perl(&arguments),
        Command::PythonLib(arguments) => library::python(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Tasks(arguments) => tasks::run(&arguments),
        Command::Task(arguments) => task::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Workers(arguments) => workers::run(&arguments),
        Command::Clients(arguments) => clients::run(&arguments),
        Command::Drain(arguments) => drain::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Join(arguments) => join::run(arguments),
        Command::Pair(arguments) => pair::run(&arguments),
        Command::Approve(arguments) => approve::run(&arguments),
        Command::Tunnel(arguments) => tunnel::run(&arguments),
        Command::Help(_) | Command::Version(_) => Ok(()),
        Command::Complete(arguments) => complete::run(&arguments),
        Command::Guardian => return crate::worker::guardian::main(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure);
            ExitCode::from(&failure)
        }
    }
}

fn tell(failure: &Failure) {
    // A person who closes the pipe early, or sends a signal, knows it.
    if !matches!(failure.kind(), FailureKind::Unread | FailureKind::Signal(_)) {
        complain(failure);
    }
}

/// The end of a command whose status is that of what it ran.
fn passed_on(ended: Result<u8, Failure>) -> ExitCode {
    ended.map_or_else(
        |failure| {
            tell(&failure);
            ExitCode::from(passed_on_status(failure.kind()))
        },
        ExitCode::from,
    )
}

/// The status of a failure of Argon itself in a command whose status is that of what it ran.
fn passed_on_status(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Output => UNWRITTEN,
        FailureKind::Unread | FailureKind::Signal(_) => kind.status(),
        FailureKind::Other
        | FailureKind::Usage
        | FailureKind::Listen
        | FailureKind::Key
        | FailureKind::Reach
        | FailureKind::Machine
        | FailureKind::Unavailable
        | FailureKind::Store => UNDONE,
    }
}

/// Explains a wrong command line and leaves; help and version come this way too.
fn misused(error: &clap::Error, tip: Option<String>) -> ! {
    if let Some(tip) = tip {
        complain(tip);
        std::process::exit(i32::from(FailureKind::Usage.status()));
    }
    let printed = is_open(if error.use_stderr() { 2 } else { 1 })
        .and_then(|()| error.print())
        .and_then(|()| std::io::stdout().flush());
    let is_passed_on =
        std::env::args_os().nth(1).is_some_and(|name| PASS_ON.iter().any(|known| name == *known));
    let status = match error.exit_code() {
        0 => match printed.map_err(|error| unwritable(&error)) {
            Ok(()) => 0,
            Err(failure) => {
                tell(&failure);
                i32::from(if is_passed_on {
                    passed_on_status(failure.kind())
                } else {
                    failure.kind().status()
                })
            }
        },
        _ if is_passed_on => i32::from(UNDONE),
        status => status,
    };
    std::process::exit(status)
}

/// Runs an asynchronous command on this thread.
fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(crate::exit::FailureKind::Other, format!("the runtime cannot start: {error}"))
    })?;
    let ended = tokio::task::LocalSet::new().block_on(&runtime, command);
    // A name look-up that does not return must not delay the exit.
    runtime.shutdown_background();
    ended
}
