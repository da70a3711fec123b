//! The guardian: a tiny process that outlives a killed worker by a moment and ends what its runners had started.
//!
//! The kernel kills a runner when its worker dies, but not the processes that a task forked. The worker starts
//! `argon guardian` with a pipe as standard input, writes its mark into it and keeps it open. When the pipe ends, so did
//! the worker, in whatever way; the guardian then kills every process with that mark. It costs nothing before.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

use super::mark::Mark;
use super::sweep;

/// Time for which the guardian looks for processes that keep coming.
const SWEEP_LIMIT: Duration = Duration::from_secs(10);
const SWEEP_PAUSE: Duration = Duration::from_millis(10);
/// Number of times that a killed guardian is started again.
const STARTS_MAX: u32 = 10;

/// The main function of the guardian process, the hidden command `argon guardian`.
#[must_use]
pub fn main() -> ExitCode {
    // Only the end of the worker ends it.
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    let _ = signals.thread_block();
    let mut mark = [0; 8];
    let mut input = std::io::stdin().lock();
    if input.read_exact(&mut mark).is_err() {
        return ExitCode::FAILURE;
    }
    let mut rest = [0; 64];
    while matches!(input.read(&mut rest), Ok(1..)) {}
    end_all(Mark(u64::from_be_bytes(mark)));
    ExitCode::SUCCESS
}

/// Kills until two looks in a row find nothing: a process may fork while it is being looked for.
fn end_all(worker: Mark) {
    let begun = Instant::now();
    let mut empty_looks = 0;
    while empty_looks < 2 && begun.elapsed() < SWEEP_LIMIT {
        empty_looks = if sweep::everywhere(worker) == 0 { empty_looks + 1 } else { 0 };
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

/// The worker's end: a running guardian.
#[derive(Debug)]
pub(crate) struct Guardian {
    command: Command,
    mark: Mark,
    child: Option<Child>,
    starts: u32,
}

impl Guardian {
    /// Starts a guardian. A worker works without one too, and logs that.
    pub(crate) fn start(mut command: Command, mark: Mark) -> Self {
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
                super::kernel::close_others_at_exec();
                Ok(())
            });
        }
        let mut guardian = Self { command, mark, child: None, starts: 0 };
        guardian.start_again();
        guardian
    }

    /// Its process, while it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(|child| Pid::from_raw(child.id().cast_signed()))
    }

    /// Notices that the guardian ended, and starts another.
    pub(crate) fn look_after(&mut self) {
        let has_ended = self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        if has_ended {
            tracing::warn!("the worker's guardian process ended before the worker; another one is started");
            self.child = None;
            self.start_again();
        }
    }

    fn start_again(&mut self) {
        if self.starts == STARTS_MAX {
            return;
        }
        self.starts += 1;
        let started = self.command.spawn().and_then(|mut child| {
            if let Some(pipe) = &mut child.stdin {
                pipe.write_all(&self.mark.0.to_be_bytes())?;
            }
            Ok(child)
        });
        match started {
            Ok(child) => self.child = Some(child),
            Err(error) => tracing::warn!(
                "no guardian process could be started ({error}): if this worker is killed, what its tasks forked may stay behind"
            ),
        }
    }
}
