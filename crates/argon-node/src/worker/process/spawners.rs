//! Threads that start commands, so that the worker goes on meanwhile.
//!
//! A thread that starts a process is suspended until the program is loaded. That takes half of the life of a short command,
//! and any time if a file server is dead. These threads only start processes and report the results. They live as long as
//! the worker, because the kernel kills a process when the thread that started it ends.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc as std_mpsc;
use std::task::{Context, Poll};

use argon_core::pool::RunnerId;
use nix::unistd::Pid;
use tokio::sync::mpsc;

use super::shield::Shield;
use super::spawn::{SpawnError, SpawnPlan, spawn};

/// The result of a start.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) runner: RunnerId,
    pub(crate) result: Result<(Pid, OwnedFd), SpawnError>,
}

/// Puts the filter on this thread, from which its children inherit it: that costs a command a tenth of its time. `true` if
/// the thread has it.
fn put_on_this_thread(present: &mut Option<Shield>, wanted: &Shield) -> bool {
    if present.as_ref().is_some_and(|present| present.is_same(wanted)) {
        return true;
    }
    let is_on = nix::sys::prctl::set_no_new_privs().and_then(|()| wanted.put_on_this_process()).is_ok();
    *present = is_on.then(|| wanted.clone());
    is_on
}

struct Order {
    runner: RunnerId,
    plan: SpawnPlan,
}

/// The threads; none before the first command.
#[derive(Debug)]
pub(crate) struct Spawners {
    threads: Vec<std_mpsc::Sender<Order>>,
    threads_max: usize,
    sender: mpsc::UnboundedSender<Spawned>,
    receiver: mpsc::UnboundedReceiver<Spawned>,
}

impl Spawners {
    /// Threads for a worker of `slots` slots: at most as many as can work at once.
    pub(crate) fn new(slots: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { threads: Vec::new(), threads_max: slots.clamp(1, processors.max(2)), sender, receiver }
    }

    /// Starts a process; [`Self::poll`] returns the result.
    pub(crate) fn start(&mut self, runner: RunnerId, plan: SpawnPlan) {
        match self.thread(runner.0 as usize % self.threads_max) {
            Ok(thread) => drop(thread.send(Order { runner, plan })),
            Err(error) => {
                let _ = self.sender.send(Spawned { runner, result: Err(SpawnError::System(error)) });
            }
        }
    }

    fn thread(&mut self, at: usize) -> io::Result<&std_mpsc::Sender<Order>> {
        while self.threads.len() <= at {
            let (orders, taken) = std_mpsc::channel::<Order>();
            let sender = self.sender.clone();
            std::thread::Builder::new().name("argon start".to_owned()).spawn(move || {
                let mut shield = None;
                for Order { runner, mut plan } in taken {
                    // Another user puts its mark on itself.
                    plan.is_shielded = plan.user.is_none() && put_on_this_thread(&mut shield, &plan.shield);
                    let _ = sender.send(Spawned { runner, result: spawn(&plan) });
                }
            })?;
            self.threads.push(orders);
        }
        Ok(&self.threads[at])
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Spawned> {
        match self.receiver.poll_recv(cx) {
            Poll::Ready(spawned) => spawned,
            Poll::Pending => None,
        }
    }
}
