//! The guardian: a tiny process that outlives a killed worker by a moment and ends what its runners had started.
//!
//! The kernel kills a runner when its worker dies, but not the processes that a task forked. The worker starts
//! `argon guardian`, writes a `Watch` into its standard input and keeps that open. When the worker ends, in whatever
//! way, the guardian kills every process with the worker's mark, and all in its control groups. It costs nothing before.
//!
//! There are two of them, and the shield keeps tasks from ending either. If somebody else ends or stops one, the worker
//! starts or wakes it. If all are killed together with the worker, the guardians of the next worker on that machine end
//! what was left.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getppid};

use super::mark::Mark;
use super::{group, kernel, sweep};

/// Time for which the guardian looks for processes that keep coming.
const SWEEP_LIMIT: Duration = Duration::from_secs(10);
const SWEEP_PAUSE: Duration = Duration::from_millis(10);
/// Number of guardians of a worker.
const COUNT: usize = 2;
/// Looks for what dead workers have left, at most.
const OLD_LOOKS: u32 = 100;
/// A guardian that is killed again and again is started no more often.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Subject of a guardian.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Watch {
    pub(crate) mark: Mark,
    /// The folder of the worker's control groups.
    pub(crate) groups: Option<PathBuf>,
}

impl Watch {
    fn write(&self, mut pipe: impl Write) -> io::Result<()> {
        let groups = self.groups.as_deref().unwrap_or(Path::new("")).as_os_str().as_bytes();
        let mut bytes = self.mark.0.to_be_bytes().to_vec();
        bytes.extend_from_slice(&(groups.len() as u32).to_be_bytes());
        bytes.extend_from_slice(groups);
        pipe.write_all(&bytes)
    }

    fn read(mut pipe: impl Read) -> io::Result<Self> {
        let (mut mark, mut length) = ([0; 8], [0; 4]);
        pipe.read_exact(&mut mark)?;
        pipe.read_exact(&mut length)?;
        let mut groups = Vec::new();
        pipe.take(u32::from_be_bytes(length).into()).read_to_end(&mut groups)?;
        let groups = (!groups.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(&groups)));
        Ok(Self { mark: Mark(u64::from_be_bytes(mark)), groups })
    }
}

/// The main function of the guardian process, the hidden command `argon guardian`.
#[must_use]
pub fn main() -> ExitCode {
    // Only the end of the worker ends it.
    let _ = SigSet::all().thread_block();
    let _ = nix::sys::prctl::set_dumpable(false);
    Mark::take_off_this_process();
    let worker = kernel::pidfd(getppid());
    let Ok(watch) = Watch::read(io::stdin().lock()) else {
        return ExitCode::FAILURE;
    };
    end_left_behind(&watch);
    wait_for_end(worker.ok().as_ref());
    end_all(&watch);
    ExitCode::SUCCESS
}

/// Waits until the pipe of the worker or its process has ended. Somebody else may hold the pipe open.
fn wait_for_end(worker: Option<&OwnedFd>) {
    let input = io::stdin();
    loop {
        let input = PollFd::new(input.as_fd(), PollFlags::POLLIN);
        let worker = worker.map(|worker| PollFd::new(worker.as_fd(), PollFlags::POLLIN));
        let mut watched: Vec<PollFd<'_>> = [input].into_iter().chain(worker).collect();
        if poll(&mut watched, PollTimeout::NONE).is_ok() {
            return;
        }
    }
}

/// Ends what workers of this machine have left that were killed together with their guardians.
fn end_left_behind(watch: &Watch) {
    let is_done = || {
        let is_removed = watch.groups.as_deref().is_none_or(group::end_left_behind);
        sweep::of_dead_workers() == 0 && is_removed
    };
    (0..OLD_LOOKS).take_while(|_| !is_done()).for_each(|_| std::thread::sleep(SWEEP_PAUSE));
}

/// Kills until two looks in a row find nothing: a process may fork while it is being looked for.
fn end_all(watch: &Watch) {
    let begun = Instant::now();
    let mut empty_looks = 0;
    while empty_looks < 2 && begun.elapsed() < SWEEP_LIMIT {
        let is_removed = watch.groups.as_deref().is_none_or(group::end_folder);
        let is_empty = sweep::everywhere(watch.mark) == 0 && is_removed;
        empty_looks = if is_empty { empty_looks + 1 } else { 0 };
        std::thread::sleep(SWEEP_PAUSE);
    }
}

/// The command that starts a guardian: this very program, also if its file was replaced since. None in unit tests,
/// whose program is not `argon`.
pub(crate) fn command() -> Option<Command> {
    if cfg!(test) {
        return None;
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg0("argon").arg("guardian");
    Some(command)
}

/// The worker's end: its running guardians.
#[derive(Debug)]
pub(crate) struct Guardians {
    command: Command,
    watch: Watch,
    children: [Option<Child>; COUNT],
    last_start: Instant,
}

impl Guardians {
    /// Starts guardians. A worker works without them too, and logs that.
    pub(crate) fn start(mut command: Command, watch: Watch) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_clear()
            .current_dir("/");
        // SAFETY: setsid is async-signal-safe and touches no memory.
        unsafe {
            command.pre_exec(|| {
                // A Ctrl-C in the worker's terminal is not meant for it.
                nix::unistd::setsid()?;
                kernel::close_others_at_exec();
                Ok(())
            });
        }
        let mut guardians =
            Self { command, watch, children: [const { None }; COUNT], last_start: Instant::now() };
        guardians.start_missing();
        guardians
    }

    /// The processes that run.
    pub(crate) fn pids(&self) -> Vec<Pid> {
        self.children.iter().flatten().map(|child| Pid::from_raw(child.id().cast_signed())).collect()
    }

    /// Wakes guardians that were stopped, and starts others for those that have ended. Returns false if that must wait:
    /// [`Self::look_after`] is then called again.
    pub(crate) fn look_after(&mut self) -> bool {
        self.pids().into_iter().for_each(wake_if_stopped);
        for child in &mut self.children {
            if child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
                tracing::warn!(
                    "the worker's guardian process ended before the worker; another one is started"
                );
                *child = None;
            }
        }
        let is_complete = self.children.iter().all(Option::is_some);
        if is_complete || self.last_start.elapsed() < RESTART_PAUSE {
            return is_complete;
        }
        self.start_missing();
        true
    }

    fn start_missing(&mut self) {
        self.last_start = Instant::now();
        let Self { command, watch, children, .. } = self;
        children.iter_mut().filter(|child| child.is_none()).for_each(|child| *child = start(command, watch));
    }
}

fn start(command: &mut Command, watch: &Watch) -> Option<Child> {
    let started = command.spawn().and_then(|mut child| {
        if let Some(pipe) = &mut child.stdin {
            watch.write(pipe)?;
        }
        Ok(child)
    });
    started
        .inspect_err(|error| {
            tracing::warn!(
                "no guardian process could be started ({error}): if this worker is killed, what its tasks forked may stay behind"
            );
        })
        .ok()
}

/// Lets a child that somebody has stopped go on.
pub(crate) fn wake_if_stopped(pid: Pid) {
    let stopped = waitid(Id::Pid(pid), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG);
    if matches!(stopped, Ok(WaitStatus::Stopped(..))) {
        tracing::warn!("process {pid} of this worker was stopped by a signal, and is woken");
        let _ = kill(pid, Signal::SIGCONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_watch_arrives_with_and_without_groups() {
        for groups in [None, Some(PathBuf::from("/sys/fs/cgroup/argon-1-0"))] {
            let watch = Watch { mark: Mark(7), groups };
            let mut bytes = Vec::new();
            watch.write(&mut bytes).expect("written");
            assert_eq!(Watch::read(&bytes[..]).expect("read"), watch);
            assert!(Watch::read(&bytes[..7]).is_err());
        }
    }
}
