//! Follows one command: stores its output in the spill, and returns how it ended.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use argon::{Event, Outcome, Running};
use tokio::sync::watch;

use crate::command::end::CommandEnd;
use crate::command::output;
use crate::command::stdin::StdinProvider;
use crate::exit::UNDONE;
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
}

/// Follows a command to its end; cancels it when that is wanted.
pub(super) async fn follow(
    place: u64,
    mut item: WorkItem,
    mut running: Running,
    spill: Rc<RefCell<Spill>>,
    mut cancel: watch::Receiver<bool>,
) -> FinishedItem {
    let started = SystemTime::now();
    // A command that ended, and waits for its turn, needs its block no more.
    let block = item.block.take();
    let block_bytes = block.as_ref().map_or(0, |block| block.len() as u64);
    let mut stdin = block.map(StdinProvider::of_block);
    let mut printed = PrintedOutput::default();
    let mut printed_by = 0;
    let mut was_cancelled = false;
    let mut trouble = None;
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
                let mut spill = spill.borrow_mut();
                if attempt != printed_by {
                    // The command was started again: what the earlier start printed is void.
                    printed_by = attempt;
                    forget(&mut spill, std::mem::take(&mut printed));
                }
                let Some((fd, bytes)) = output::place(fd, &bytes) else { continue };
                let stream = if fd == 2 { &mut printed.stderr } else { &mut printed.stdout };
                if trouble.is_none()
                    && let Err(error) = spill.write(stream, &bytes)
                {
                    trouble = Some(error.to_string());
                    running.cancel();
                }
            }
            Some(Event::Asked(asked)) => match &mut stdin {
                Some(stdin) => match stdin.answer(asked.question()).await {
                    Ok(Some(bytes)) => asked.answer(bytes),
                    Ok(None) | Err(_) => asked.refuse(),
                },
                // It has no input and does not ask for any.
                None => asked.refuse(),
            },
            Some(Event::Ended(end)) => {
                if end.as_ref().is_ok_and(|outcome| is_of_another(outcome, printed_by)) {
                    forget(&mut spill.borrow_mut(), std::mem::take(&mut printed));
                }
                break CommandEnd::of(&end);
            }
            None => {
                break CommandEnd::without_command(UNDONE, "the end of the command was missed".to_owned());
            }
        }
    };
    let ended = match trouble {
        Some(why) => CommandEnd { status: UNDONE, exit: -1, sentence: Some(why), ..ended },
        None => ended,
    };
    let was_cancelled = was_cancelled && ended.exit < 0;
    FinishedItem { place, item, printed, ended, started, block_bytes, was_cancelled }
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
