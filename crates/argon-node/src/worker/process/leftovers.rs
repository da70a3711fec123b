//! Ends what runners leave behind: looks for it when a child of the worker has ended, and when the worker leaves.

use std::process::Command;
use std::task::{Context, Poll};
use std::time::Duration;

use argon_proto::WorkerId;
use tokio::signal::unix::{self, SignalKind};

use super::guardian::Guardian;
use super::mark::Mark;
use super::sweep::{self, Alive, Children};
use crate::worker::config::WorkerError;

/// Looks of a leaving worker, and the pause between two if no child ends.
const LAST_LOOKS: u32 = 200;
const LAST_LOOKS_PAUSE: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Leftovers {
    worker: Mark,
    signal: unix::Signal,
    children: Children,
    guardian: Option<Guardian>,
}

impl Leftovers {
    /// Makes this process the parent of orphans, and starts the guardian.
    ///
    /// # Errors
    /// If the system refuses that.
    pub(crate) fn watch(worker: WorkerId, guardian: Option<Command>) -> Result<Self, WorkerError> {
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(std::io::Error::from)
            .map_err(WorkerError::system("become the parent of its orphans"))?;
        let signal =
            unix::signal(SignalKind::child()).map_err(WorkerError::system("watch its child processes"))?;
        let worker = Mark::new(worker, 0);
        let guardian = guardian.map(|command| Guardian::start(command, worker));
        Ok(Self { worker, signal, children: Children::default(), guardian })
    }

    /// Ready when a child has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut has_ended = false;
        while let Poll::Ready(Some(())) = self.signal.poll_recv(cx) {
            has_ended = true;
        }
        if has_ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// A child has ended. Runners report that themselves, so this is about their orphans, and about the guardian.
    pub(crate) fn on_child_ended(&mut self, alive: &impl Alive) {
        self.sweep(alive);
        if let Some(guardian) = &mut self.guardian {
            guardian.look_after();
        }
    }

    /// Kills what is left of runners that are gone. Each of these processes brings another signal when it has ended.
    /// Returns how many there were.
    pub(crate) fn sweep(&mut self, alive: &impl Alive) -> usize {
        let guardian = self.guardian.as_ref().and_then(Guardian::pid);
        if !self.children.have_others(|pid| guardian == Some(pid) || alive.owns(pid)) {
            return 0;
        }
        sweep::leftovers_below(self.worker, alive)
    }

    /// Sweeps until nothing is left, within reason; the guardian sweeps last.
    pub(crate) async fn end_all(&mut self, alive: &impl Alive) {
        for _ in 0..LAST_LOOKS {
            if self.sweep(alive) == 0 {
                return;
            }
            let _ = tokio::time::timeout(LAST_LOOKS_PAUSE, self.signal.recv()).await;
        }
    }
}
