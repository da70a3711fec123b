//! Writes output of tasks to this process's own standard output and error.
//!
//! A thread of its own does it, from the first output on: a terminal or a pipe that is slow must delay the tasks that
//! print, and no others. What waits for it is bounded by the window of each task.

use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock, Weak};

use argon_proto::conversation::{LOG_FD, LogRecord};
use argon_session::{Input, Printed};

use super::SharedSession;
use crate::hooks::Hooks;

#[derive(Debug, Default)]
pub(super) struct Printer {
    thread: OnceLock<Sender<Vec<Printed>>>,
}

impl Printer {
    pub(super) fn print(&self, shared: &Arc<SharedSession>, prints: Vec<Printed>) {
        let sender = self.thread.get_or_init(|| {
            let (sender, receiver) = channel::<Vec<Printed>>();
            let (shared, hooks) = (Arc::downgrade(shared), shared.hooks.clone());
            let run = move || receiver.into_iter().for_each(|prints| write(&shared, &hooks, &prints));
            // Without a thread the prints are dropped with the receiver, and counted below.
            let _ = std::thread::Builder::new().name("argon-print".to_owned()).spawn(run);
            sender
        });
        if let Err(unsent) = sender.send(prints) {
            report(shared, &unsent.0);
        }
    }
}

fn write(shared: &Weak<SharedSession>, hooks: &Hooks, prints: &[Printed]) {
    for print in prints {
        // Where this process's output goes is its own affair; a closed pipe is no reason to lose a result.
        let _ = match print.fd {
            1 => std::io::stdout().write_all(&print.bytes),
            2 => std::io::stderr().write_all(&print.bytes),
            LOG_FD => {
                if let Some(record) = LogRecord::from_json(&print.bytes) {
                    hooks.log(&record);
                }
                Ok(())
            }
            _ => Ok(()),
        };
    }
    let _ = std::io::stdout().flush();
    if let Some(shared) = shared.upgrade() {
        report(&shared, prints);
    }
}

/// The output has been written, as far as it can be.
fn report(shared: &Arc<SharedSession>, prints: &[Printed]) {
    let now = shared.now();
    let mut state = shared.lock();
    for Printed { number, account, bytes, .. } in prints {
        let bytes = bytes.len() as u64;
        state.step(now, Input::OutputPrinted { number: *number, account: *account, bytes });
    }
    let needs_wake = !state.out.frames.is_empty() && !state.is_blocked;
    shared.unlock(state);
    if needs_wake {
        shared.wake.notify_one();
    }
}
