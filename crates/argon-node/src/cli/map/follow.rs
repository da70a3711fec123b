//! Follows one command: stores its output in the spill, and returns how it ended.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use argon::{Event, Outcome, Running};
use tokio::sync::watch;

use crate::command::end::CommandEnd;
use crate::command::files::RETURNED_FD;
use crate::command::files::receive::Receiver;
use crate::command::output;
use crate::command::stdin::StdinProvider;
use crate::exit::UNDONE;
use crate::map::live::{Live, LiveOutput};
use crate::map::printer::PrintedOutput;
use crate::map::spill::Spill;
use crate::map::work_item::WorkItem;

/// A command that ended.
pub(super) struct FinishedItem {
    /// Its place among those that were handed out, from 0.
    pub(super) place: u64,
    pub(super) item: WorkItem,
    pub(super) printed: PrintedOutput,
    pub(super) ended: CommandEnd,
    /// Time of its submission.
    pub(super) started: SystemTime,
    /// Bytes of the block that it got.
    pub(super) block_bytes: u64,
    /// True if this process cancelled it; that does not count as a failure.
    pub(super) was_cancelled: bool,
    /// Bytes that were printed as they came.
    pub(super) live: u64,
    /// Reason why its output could not be printed as it came.
    pub(super) unprinted: Option<std::io::Error>,
}

/// Where output goes while a command runs.
#[derive(Clone)]
pub(super) struct Sink {
    /// Keeps it until it is printed.
    pub(super) spill: Rc<RefCell<Spill>>,
    /// Prints it at once.
    pub(super) live: Option<Live>,
    /// True if it is kept, though it is printed at once.
    pub(super) keeps: bool,
}

impl Sink {
    /// Takes what came on a descriptor.
    fn take(
        &self,
        printed: &mut PrintedOutput,
        live: &mut LiveOutput,
        tag: Option<&str>,
        (fd, bytes): (usize, &[u8]),
    ) -> Result<(), Lost> {
        if let Some(printer) = &self.live {
            printer.write(live, fd, tag, bytes).map_err(Lost::Unprinted)?;
            if !self.keeps {
                return Ok(());
            }
        }
        let stream = if fd == 2 { &mut printed.stderr } else { &mut printed.stdout };
        self.spill.borrow_mut().write(stream, bytes).map_err(|error| Lost::Unkept(error.to_string()))
    }
}

/// Output that could not be taken.
enum Lost {
    Unprinted(std::io::Error),
    Unkept(String),
}

/// A command under way.
pub(super) struct FollowedCommand {
    pub(super) running: Running,
    /// Answers its questions for input.
    pub(super) stdin: Option<StdinProvider>,
    /// Takes the files that it returns.
    pub(super) receiver: Option<Receiver>,
    /// Bytes of its block.
    pub(super) block_bytes: u64,
}

/// Follows a command to its end; cancels it when that is wanted.
pub(super) async fn follow(
    place: u64,
    item: WorkItem,
    command: FollowedCommand,
    sink: Sink,
    mut cancel: watch::Receiver<bool>,
) -> FinishedItem {
    let started = SystemTime::now();
    let FollowedCommand { mut running, mut stdin, mut receiver, block_bytes } = command;
    let mut printed = PrintedOutput::default();
    let mut live = LiveOutput::default();
    let mut printed_by = 0;
    let mut was_cancelled = false;
    let (mut trouble, mut unprinted) = (None, None);
    let ended = loop {
        let event = tokio::select! {
            biased;
            event = running.next() => event,
            _ = cancel.wait_for(|is_wanted| *is_wanted), if !was_cancelled => {
                was_cancelled = true;
                running.cancel();
                continue;
            }
        };
        match event {
            Some(Event::Output { attempt, fd, bytes }) => {
                if attempt != printed_by {
                    // The command was started again: what the earlier start printed is void.
                    printed_by = attempt;
                    forget(&mut sink.spill.borrow_mut(), std::mem::take(&mut printed));
                }
                if fd == RETURNED_FD {
                    let taken = receiver.as_mut().map_or(Ok(()), |receiver| receiver.take(attempt, &bytes));
                    if let Err(why) = taken {
                        trouble.get_or_insert(why);
                        running.cancel();
                    }
                    continue;
                }
                let Some((fd, bytes)) = output::place(fd, &bytes) else { continue };
                if trouble.is_some() || unprinted.is_some() {
                    continue;
                }
                let taken = sink.take(&mut printed, &mut live, item.tag.as_deref(), (fd, &bytes));
                if let Err(lost) = taken {
                    match lost {
                        Lost::Unprinted(error) => unprinted = Some(error),
                        Lost::Unkept(why) => trouble = Some(why),
                    }
                    running.cancel();
                }
            }
            Some(Event::Asked(asked)) => match &mut stdin {
                Some(stdin) => match stdin.answer(asked.question()).await {
                    Ok(Some(bytes)) => asked.answer(bytes),
                    Ok(None) => asked.refuse(),
                    Err(error) => {
                        trouble.get_or_insert(error.to_string());
                        asked.refuse();
                    }
                },
                // It has no input and does not ask for any.
                None => asked.refuse(),
            },
            Some(Event::Ended(end)) => {
                if end.as_ref().is_ok_and(|outcome| is_of_another(outcome, printed_by)) {
                    forget(&mut sink.spill.borrow_mut(), std::mem::take(&mut printed));
                }
                break CommandEnd::of(&end);
            }
            None => {
                break CommandEnd::without_command(UNDONE, "the end of the command was missed".to_owned());
            }
        }
    };
    let missing = receiver.and_then(Receiver::finish).filter(|_| ended.status == 0);
    let ended = match trouble.or(missing) {
        Some(why) => CommandEnd { status: UNDONE, exit: -1, sentence: Some(why), ..ended },
        None => ended,
    };
    if let Some(printer) = sink.live.as_ref().filter(|_| unprinted.is_none()) {
        unprinted = printer.finish(&mut live, item.tag.as_deref()).err();
    }
    let was_cancelled = was_cancelled && ended.exit < 0;
    FinishedItem {
        place,
        item,
        printed,
        ended,
        started,
        block_bytes,
        was_cancelled,
        live: live.received,
        unprinted,
    }
}

/// True if the outcome belongs to a later start than the output that came last.
fn is_of_another(outcome: &Outcome, printed_by: u32) -> bool {
    let attempt = outcome.head.attempt.0;
    attempt != 0 && printed_by != 0 && attempt != printed_by
}

fn forget(spill: &mut Spill, printed: PrintedOutput) {
    spill.forget(printed.stdout);
    spill.forget(printed.stderr);
}
