//! Results of a run: output on the terminal and in files, lines in the joblog, descriptions of failures.

use std::cell::RefCell;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use super::follow::FinishedItem;
use crate::exit::{Failure, FailureKind};
use crate::map::joblog::{Joblog, JoblogEntry};
use crate::map::printer::{PrintOrder, print};
use crate::map::progress::Progress;
use crate::map::results;
use crate::map::spill::{Spill, SpilledStream};
use crate::output::is_open;

/// Failures that are described one by one; a million missing commands need no more.
const SENTENCES_MAX: u32 = 20;

/// Prints and keeps what commands leave.
pub(super) struct Reporter {
    pub(super) spill: Rc<RefCell<Spill>>,
    pub(super) progress: Progress,
    order: PrintOrder<FinishedItem>,
    joblog: Option<Joblog>,
    results: Option<PathBuf>,
    /// True if each command is printed before its output.
    shows_commands: bool,
    stdout: BufWriter<io::Stdout>,
    stderr: BufWriter<io::Stderr>,
    sentences: u32,
}

/// Reason to stop reporting.
pub(super) enum Trouble {
    /// No one reads standard output any more.
    Unread,
    /// Any other failure.
    Failure(Failure),
}

impl Reporter {
    pub(super) fn new(
        keep_order: bool,
        shows_commands: bool,
        joblog: Option<Joblog>,
        results: Option<PathBuf>,
        progress: Progress,
    ) -> Self {
        Self {
            spill: Rc::default(),
            progress,
            order: PrintOrder::new(keep_order),
            joblog,
            results,
            shows_commands,
            stdout: BufWriter::with_capacity(64 << 10, io::stdout()),
            stderr: BufWriter::with_capacity(64 << 10, io::stderr()),
            sentences: 0,
        }
    }

    /// Number of ended commands that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.order.waiting()
    }

    /// Takes in one that ended, and prints all whose turn it is.
    pub(super) fn add(&mut self, done: FinishedItem) -> Result<(), Trouble> {
        self.order.put(done.place, done);
        while let Some(done) = self.order.take() {
            self.print(done)?;
        }
        Ok(())
    }

    fn print(&mut self, mut done: FinishedItem) -> Result<(), Trouble> {
        if let Some(error) = done.unprinted.take() {
            return Err(unwritable(error));
        }
        let tag = done.item.tag.take();
        let printed = std::mem::take(&mut done.printed);
        let received = done.live.max(printed.stdout.len() + printed.stderr.len());
        if let Some(folder) = &self.results {
            let spill = self.spill.borrow();
            results::files(folder, &done.item.row, done.item.sequence)
                .and_then(|mut files| {
                    spill.copy(&printed.stdout, &mut files.stdout)?;
                    spill.copy(&printed.stderr, &mut files.stderr)
                })
                .map_err(|error| failure(error.to_string()))?;
        }
        let mut spill = self.spill.borrow_mut();
        let (stdout, stderr) = (&mut self.stdout, &mut self.stderr);
        let line = self.shows_commands.then(|| format!("{}\n", done.item.line));
        let written = if line.is_none() && (received == 0 || done.live > 0) {
            spill.forget(printed.stdout);
            spill.forget(printed.stderr);
            Ok(())
        } else {
            self.progress.make_way(|| {
                if let Some(line) = line {
                    is_open(1)?;
                    stdout.write_all(line.as_bytes())?;
                    stdout.flush()?;
                }
                write(1, &mut spill, printed.stdout, tag.as_deref(), stdout)?;
                write(2, &mut spill, printed.stderr, tag.as_deref(), stderr)
            })
        };
        written.map_err(unwritable)?;
        drop(spill);
        self.log(&done, received)?;
        self.explain(&done);
        Ok(())
    }

    fn log(&mut self, done: &FinishedItem, received: u64) -> Result<(), Trouble> {
        let Some(joblog) = &mut self.joblog else { return Ok(()) };
        // What we cancelled is not done: a run that goes on from here runs it.
        if done.was_cancelled {
            return Ok(());
        }
        let started = done.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        joblog
            .add(&JoblogEntry {
                sequence: done.item.sequence,
                host: done.ended.worker.as_deref().unwrap_or(":"),
                started: started.as_secs_f64(),
                run_time: done.ended.run_time,
                received,
                exit: done.ended.exit,
                signal: done.ended.signal,
                command: &done.item.line,
            })
            .map_err(|error| failure(error.to_string()))
    }

    fn explain(&mut self, done: &FinishedItem) {
        let Some(sentence) = done.ended.sentence.as_ref().filter(|_| !done.was_cancelled) else { return };
        self.sentences += 1;
        if self.sentences <= SENTENCES_MAX {
            let FinishedItem { item, .. } = done;
            let command =
                if item.line.is_empty() { String::new() } else { format!(" ({})", short(&item.line)) };
            let is_line =
                done.ended.status == 127 && item.words.first().is_some_and(|word| word.contains(' '));
            let advice = if is_line {
                "; if it is a line for a shell, run argon map -- sh -c {} (or --shell)"
            } else {
                ""
            };
            self.progress.tell(&format!("input {}{command}: {sentence}{advice}", item.sequence));
        }
        if self.sentences == SENTENCES_MAX {
            self.progress.tell("what else goes wrong is counted, and not told one by one");
        }
    }
}

fn write(
    number: usize,
    spill: &mut Spill,
    stream: SpilledStream,
    tag: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if stream.is_empty() {
        return Ok(());
    }
    is_open(number)?;
    print(spill, stream, tag, out)?;
    out.flush()
}

fn short(line: &str) -> String {
    const SHOWN: usize = 100;
    // What is shown stays on its line.
    let mut letters = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let shown: String = letters.by_ref().take(SHOWN).collect();
    if letters.next().is_some() { shown + "…" } else { shown }
}

fn failure(message: String) -> Trouble {
    Trouble::Failure(Failure::new(FailureKind::Other, message))
}

fn unwritable(error: io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Trouble::Unread;
    }
    let message = format!("what a command printed cannot be written: {error}");
    Trouble::Failure(Failure::new(FailureKind::Output, message))
}
