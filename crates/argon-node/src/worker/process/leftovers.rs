//! Ends what runners leave behind: looks for it when a child of the worker has ended, soon after tasks have ended, and when
//! the worker leaves. Owns the guardian and the control groups.

use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use argon_proto::WorkerId;
use nix::unistd::Pid;
use tokio::signal::unix::{self, SignalKind};

use super::group::{Group, Groups};
use super::guardian::{Guardians, Watch};
use super::mark::Mark;
use super::shield::Shield;
use super::sweep::{self, Alive, Children, Found};
use crate::worker::config::WorkerError;

/// Looks of a leaving worker, and the pause between two if no child ends.
const LAST_LOOKS: u32 = 200;
const LAST_LOOKS_PAUSE: Duration = Duration::from_millis(10);
/// Time between two looks while children keep ending that nobody has to end.
const PAUSE: Duration = Duration::from_millis(10);

/// Interval while there are processes that may become leftovers.
const LATER: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Leftovers {
    worker: Mark,
    signal: unix::Signal,
    children: Children,
    guardians: Option<Guardians>,
    shield: Shield,
    groups: Option<Groups>,
    last_look: Option<Instant>,
}

/// Result of a look for leftovers.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Marks of runners whose leftovers have not ended yet.
    pub(crate) ending: Vec<Mark>,
    /// Another look is due after this time.
    pub(crate) again: Option<Duration>,
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
        // Its children have it until they get their own.
        let _ = worker.put_on_this_process();
        let groups = Groups::make();
        let folder = groups.as_ref().map(|groups| groups.folder().to_owned());
        let watch = Watch { mark: worker, groups: folder };
        let guardians = guardian.map(|command| Guardians::start(command, watch));
        let shield = Shield::new(&guardians.as_ref().map(Guardians::pids).unwrap_or_default());
        Ok(Self { worker, signal, children: Children::default(), guardians, shield, groups, last_look: None })
    }

    /// The filter of system calls for processes of tasks.
    pub(crate) fn shield(&self) -> Shield {
        self.shield.clone()
    }

    /// A control group for a new process, where there are groups.
    pub(crate) fn group(&mut self, mark: Mark, memory_mib: u32) -> Option<Arc<Group>> {
        let made = self.groups.as_mut()?.group(mark.serial(), memory_mib);
        made.inspect_err(|error| tracing::debug!("a runner has no control group: {error}")).ok()
    }

    /// A process of the worker has ended: so does everything in its group.
    pub(crate) fn end_group(&mut self, group: Option<&Arc<Group>>) {
        if let (Some(groups), Some(group)) = (&mut self.groups, group) {
            groups.end(group);
        }
    }

    /// Ready when a child has ended, or was stopped.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut has_ended = false;
        while let Poll::Ready(Some(())) = self.signal.poll_recv(cx) {
            has_ended = true;
        }
        if has_ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// A child has ended or was stopped, or some time has passed. Runners report their ends themselves, so this is about
    /// their orphans, and about the guardian.
    pub(crate) fn look(&mut self, alive: &impl Alive) -> Look {
        let guardian_again = self.look_after_guardian();
        let recent = self.last_look.map(|last| last.elapsed()).filter(|passed| *passed < PAUSE);
        if let Some(passed) = recent {
            return Look { ending: Vec::new(), again: Some(PAUSE - passed) };
        }
        let Found { ending, spared } = self.sweep(alive);
        let again = if ending.is_empty() { guardian_again } else { Some(PAUSE) };
        let again = again.or_else(|| (spared > 0).then_some(LATER));
        self.last_look = (spared > 0 || !ending.is_empty()).then(Instant::now);
        Look { ending, again }
    }

    fn look_after_guardian(&mut self) -> Option<Duration> {
        let guardians = self.guardians.as_mut()?;
        let before = guardians.pids();
        let is_done = guardians.look_after();
        if guardians.pids() != before {
            self.shield = Shield::new(&guardians.pids());
        }
        (!is_done).then_some(PAUSE)
    }

    /// Kills what is left of runners that are gone, and of tasks that have ended. Each of these processes brings another
    /// signal when it has ended.
    pub(crate) fn sweep(&mut self, alive: &impl Alive) -> Found {
        let guardians = self.guardians.as_ref().map(Guardians::pids).unwrap_or_default();
        if !self.children.have_others(|pid| guardians.contains(&pid) || alive.owns(pid)) {
            return Found::default();
        }
        sweep::leftovers_below(self.worker, alive)
    }

    /// Sweeps until nothing is left, within reason; the guardian sweeps last.
    pub(crate) async fn end_all(&mut self, alive: &impl Alive) {
        for _ in 0..LAST_LOOKS {
            let is_removed = self.groups.as_mut().is_none_or(Groups::end_all);
            if self.sweep(alive).ending.is_empty() && is_removed {
                return;
            }
            let _ = tokio::time::timeout(LAST_LOOKS_PAUSE, self.signal.recv()).await;
        }
    }

    /// Wakes one of these processes of the worker if it was stopped.
    pub(crate) fn wake(pids: impl Iterator<Item = Pid>) {
        pids.for_each(super::guardian::wake_if_stopped);
    }
}
