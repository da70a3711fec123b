//! `argon run`: one command on the pool, as if it ran here.

use std::ffi::OsString;
use std::io;

use argon::{Asked, Client, Event, Running};
use clap::Args;
use tokio::sync::mpsc;

use super::files::{self, FileOptions};
use super::pool::{CommandOptions, PoolOption};
use crate::command::end::CommandEnd;
use crate::command::files::RETURNED_FD;
use crate::command::files::receive::Receiver;
use crate::command::invocation::Input;
use crate::command::output;
use crate::command::stdin::{self, StdinProvider};
use crate::exit::{self, Failure, FailureKind};
use crate::interrupt::{self, Interrupt};
use crate::output::{complain, pass_on};

/// Run one command on the pool, with its input, output and exit status here.
///
/// The command starts in a free slot of any worker, in your present folder. It reads your standard input,
/// its output appears here as it is written, and argon run ends with its exit status. Ctrl-C or SIGTERM
/// ends the command (TERM, and KILL two seconds later); a second Ctrl-C does not wait for that.
#[derive(Debug, Args)]
#[command(
    override_usage = "argon run [OPTIONS] [--] COMMAND [ARGUMENT]...",
    after_help = "\
Examples:
  argon run -- make -C /srv/project test
  argon run --timeout 1m --retries 2 -- ./fetch-prices
  pg_dump shop | argon run -- zstd -19 > shop.zst
  argon run --env LANG --env LEVEL=9 -- sh -c 'tar c . | zstd -$LEVEL' > all.tar.zst

No shell reads the words: for pipes and wildcards on the worker, use sh -c '…'. In a loop that reads
a list, use --no-stdin: otherwise the command may read the rest of the list.

Exit status: the command's own, or
  124  it reached --timeout               127  there is no such command
  126  it cannot be executed, or its      130  it was cancelled by Ctrl-C
       folder does not exist              141  the reader of the output has ended
  125  its output cannot be written       255  argon failed: no manager, no key, a lost worker
  128+N  signal N ended it                     with --never-twice, a wrong command line"
)]
pub(super) struct RunArguments {
    #[command(flatten)]
    command: CommandOptions,
    #[command(flatten)]
    files: FileOptions,
    /// Give the command an empty standard input
    #[arg(short = 'n', long)]
    no_stdin: bool,
    #[command(flatten)]
    pool: PoolOption,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", help_heading = "Arguments", required = true, trailing_var_arg = true)]
    words: Vec<OsString>,
}

pub(super) fn run(arguments: &RunArguments) -> Result<u8, Failure> {
    let (sent, returned) = arguments.files.names()?;
    let mut invocation = arguments.command.invocation(arguments.files.is_used())?;
    let (mut input, mut stdin) = if arguments.no_stdin { (Input::Empty, None) } else { open_stdin()? };
    if invocation.scratch {
        files::use_scratch(&mut invocation, &[])?;
        let unsent = |why: String| Failure::new(FailureKind::Usage, why);
        let archive = files::archive(&sent).map_err(unsent)?;
        (input, stdin) =
            StdinProvider::behind(archive, input, stdin).map_err(|error| unsent(error.to_string()))?;
    }
    let receiver = (!returned.is_empty()).then(|| Receiver::new(returned.clone()));
    let returned = returned.into_iter().map(|name| name.remote).collect();
    let request = invocation
        .request_with(&arguments.words, input, returned)
        .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
    super::block_on(async {
        let mut interrupt = interrupt::watch()?;
        let client = interrupt.or(arguments.pool.connect("argon run")).await?;
        interrupt.close_at_last(&client);
        let running =
            client.start(request).map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
        let ended = follow(&client, running, (stdin, receiver), interrupt).await?;
        if let Some(sentence) = &ended.sentence {
            complain(format_args!("{sentence}{}", advice(&arguments.words, &ended)));
        }
        Ok(ended.status)
    })
}

fn open_stdin() -> Result<(Input, Option<StdinProvider>), Failure> {
    stdin::open().map_err(|error| {
        Failure::new(
            FailureKind::Other,
            format!("standard input cannot be read: {error}; say --no-stdin if it is not needed"),
        )
    })
}

/// A whole command line in one word is the mistake that people make who come from a shell.
fn advice(words: &[OsString], ended: &CommandEnd) -> &'static str {
    match words {
        [one] if ended.status == 127 && one.to_string_lossy().contains(' ') => {
            "; the words of a command are given one by one, and a whole line to a shell: sh -c '…'"
        }
        _ => "",
    }
}

/// One command under way.
struct CommandRun {
    running: Running,
    questions: mpsc::UnboundedSender<Asked>,
    /// The attempt whose output came last; 0 before any.
    printed_by: u32,
    /// Exit status if its output can no longer be written.
    unwritten: Option<u8>,
    receiver: Option<Receiver>,
    /// Reason why the files that it returns are not here.
    unreceived: Option<String>,
}

async fn follow(
    client: &Client,
    running: Running,
    (stdin, receiver): (Option<StdinProvider>, Option<Receiver>),
    mut interrupt: Interrupt,
) -> Result<CommandEnd, Failure> {
    let mut asked_to_end = interrupt.clone();
    let left_alone = asked_to_end.wait_without(client);
    tokio::pin!(left_alone);
    let mut run = CommandRun {
        running,
        questions: answer_from(stdin),
        printed_by: 0,
        unwritten: None,
        receiver,
        unreceived: None,
    };
    let mut signal = 0;
    loop {
        let event = tokio::select! {
            event = run.running.next() => event,
            number = interrupt.wait(), if signal == 0 => {
                signal = number;
                run.running.cancel();
                continue;
            }
            number = &mut left_alone => {
                let sentence = "the manager does not answer; it cancels the command when this session is given up there";
                return Ok(CommandEnd::without_command(exit::BY_SIGNAL + number, sentence.to_owned()));
            }
        };
        match event {
            Some(event) => {
                if let Some(end) = run.on_event(event) {
                    return Ok(run.explain(end, signal));
                }
            }
            None => return Err(Failure::new(FailureKind::Other, "the end of the command was missed")),
        }
    }
}

impl CommandRun {
    /// Prints, or passes on a question; returns the end when it has come.
    fn on_event(&mut self, event: Event) -> Option<CommandEnd> {
        match event {
            Event::Output { attempt, fd, bytes } => {
                if attempt != self.printed_by && self.printed_by != 0 {
                    complain("the command was started again; what it prints begins anew");
                }
                self.printed_by = attempt;
                if fd == RETURNED_FD {
                    self.receive(attempt, &bytes);
                } else {
                    self.print(fd, &bytes);
                }
                None
            }
            Event::Asked(asked) => {
                // If it cannot be sent, it is dropped, which answers no.
                let _ = self.questions.send(asked);
                None
            }
            Event::Ended(end) => Some(CommandEnd::of(&end)),
        }
    }

    fn print(&mut self, fd: u8, bytes: &[u8]) {
        if self.unwritten.is_some() {
            return;
        }
        let Some((fd, bytes)) = output::place(fd, bytes) else { return };
        let Err(error) = pass_on(fd, &bytes) else { return };
        self.running.cancel();
        self.unwritten = Some(if error.kind() == io::ErrorKind::BrokenPipe {
            exit::UNREAD
        } else {
            complain(format_args!("what the command prints cannot be written: {error}; it is ended"));
            exit::UNWRITTEN
        });
    }

    fn receive(&mut self, attempt: u32, bytes: &[u8]) {
        let Some(receiver) = &mut self.receiver else { return };
        if let Err(why) = receiver.take(attempt, bytes) {
            self.receiver = None;
            self.unreceived = Some(why);
            self.running.cancel();
        }
    }

    /// A cancel has a reason here, and its own status. What was lost of the output is worse than how the command ended.
    fn explain(&mut self, ended: CommandEnd, signal: u8) -> CommandEnd {
        let missing = self.receiver.take().and_then(Receiver::finish).filter(|_| ended.status == 0);
        if let Some(why) = self.unreceived.take().or(missing) {
            return CommandEnd { status: exit::UNDONE, sentence: Some(why), ..ended };
        }
        if let Some(status) = self.unwritten {
            return CommandEnd { status, sentence: None, ..ended };
        }
        if ended.status != exit::INTERRUPTED || ended.exit >= 0 {
            return ended;
        }
        let status = match signal {
            0 => ended.status,
            signal => exit::BY_SIGNAL + signal,
        };
        let sentence = ended.sentence.filter(|_| signal == 0);
        CommandEnd { status, sentence, ..ended }
    }
}

/// Answers questions one after another, so that a read that waits holds up nothing else.
fn answer_from(stdin: Option<StdinProvider>) -> mpsc::UnboundedSender<Asked> {
    let (ask, mut questions) = mpsc::unbounded_channel::<Asked>();
    tokio::task::spawn_local(async move {
        let Some(mut stdin) = stdin else { return };
        while let Some(asked) = questions.recv().await {
            match stdin.answer(asked.question()).await {
                Ok(Some(bytes)) => asked.answer(bytes),
                Ok(None) => asked.refuse(),
                Err(error) => {
                    complain(format_args!("standard input cannot be read: {error}"));
                    asked.refuse();
                }
            }
        }
    });
    ask
}
