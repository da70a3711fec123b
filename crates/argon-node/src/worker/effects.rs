//! Carries out what the pool wants.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use argon_core::Time;
use argon_core::pool::{Blame, Effect, Input, Program, RunnerId, RunnerKind, STATIC_ADVICE, Signal};
use argon_proto::conversation::Blob;
use argon_proto::conversation::runner::ToRunner;
use argon_proto::{BlobHash, Flags, Runtime, Task};
use bytes::Bytes;
use nix::sys::signal;
use rustc_hash::FxHashSet;

use super::driver::Driver;
use super::process::mark::Mark;
use super::process::spawn::SpawnError;
use super::process::start;
use super::runners::runner::{Current, Runner};
use super::runtime::Launch;
use crate::memory;

/// A runner that is not ready by then is killed.
const START_LIMIT: Duration = Duration::from_secs(30);
/// A client's own executable has less to do before it is ready.
const NATIVE_START_LIMIT: Duration = Duration::from_secs(10);
/// While another process holds an executable open that was just written: tries, and the pause between two.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// Memory that is worth giving back to the system at once.
const BIG_BYTES: u64 = 16 << 20;
/// A runner whose socket was closed has so long to end.
const RETIRE_LIMIT: Duration = Duration::from_secs(2);

impl Driver {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            // Nothing begins in a worker that ends.
            Effect::Spawn { .. } | Effect::Hand { .. } | Effect::Execute { .. } | Effect::Leave
                if self.leave_until.is_some() => {}
            Effect::Prefetch { .. } if self.leave_until.is_some() => {}
            Effect::Spawn { runner, kind } => self.spawn(runner, kind),
            Effect::Hand { runner, task } => self.hand(runner, task),
            Effect::Prefetch { runner, task } => self.prefetch(runner, task),
            Effect::Retract { runner } => self.reclaim(runner),
            Effect::Execute { runner, task } => self.execute(runner, &task),
            Effect::Retire { runner } => {
                let until = self.now + RETIRE_LIMIT;
                if let Some(runner) = self.runners.get_mut(&runner) {
                    runner.flush();
                    runner.close_socket();
                    runner.deadline = Some((until, "it did not end when its socket was closed"));
                }
            }
            Effect::Signal { runner, signal } => {
                let signal = match signal {
                    Signal::Term => signal::Signal::SIGTERM,
                    Signal::Kill => signal::Signal::SIGKILL,
                };
                if let Some(runner) = self.runners.get_mut(&runner) {
                    runner.signal(signal);
                } else if let Some(starting) = self.starting.get_mut(&runner) {
                    starting.signal = Some(signal);
                }
            }
            Effect::Tell(message) => self.tell(message),
            Effect::Leave => {
                tracing::info!("the worker leaves: everything that it ran has finished");
                self.say_goodbye("the worker has finished what it ran");
            }
        }
    }

    fn spawn(&mut self, id: RunnerId, kind: RunnerKind) {
        match self.start_runner(kind) {
            Ok(runner) => drop(self.runners.insert(id, runner)),
            Err(NoStart { why, blame }) => {
                if blame == Blame::Machine {
                    self.on_trouble(format!("no {} runner can be started: {why}", kind.runtime.name()));
                }
                self.inputs.push_back(Input::SpawnFailed { runner: id, why, blame });
            }
        }
    }

    fn start_runner(&mut self, kind: RunnerKind) -> Result<Runner, NoStart> {
        let launch = self.launch(kind)?;
        self.serial = self.serial.wrapping_add(1);
        let mark = Mark::new(self.config.id, self.serial);
        let mut tries = 0;
        let started = loop {
            tries += 1;
            match start::start(&launch, &self.environment, mark, kind.memory_mib) {
                Err(SpawnError::Program(error))
                    if error.kind() == ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
                {
                    // Another thread's child has inherited the file that was written, until it becomes a program itself.
                    std::thread::sleep(BUSY_PAUSE);
                }
                other => break other,
            }
        };
        let mut runner = started
            .and_then(|(started, socket)| {
                Runner::new(started, socket, kind, mark, &launch.preamble).map_err(SpawnError::System)
            })
            .map_err(|error| no_start(kind, &launch, &error))?;
        let (limit, complaint) = match kind.runtime {
            Runtime::Native => (NATIVE_START_LIMIT, "it did not say READY within 10 s"),
            Runtime::Perl | Runtime::Python | Runtime::Exec => (START_LIMIT, "it was not ready after 30 s"),
        };
        runner.deadline = Some((self.now + limit, complaint));
        Ok(runner)
    }

    fn launch(&mut self, kind: RunnerKind) -> Result<Launch, NoStart> {
        let Program::Executable(hash) = kind.program else {
            let why = "this worker does not have that runtime".to_owned();
            return self.runtimes.launch(kind).ok_or(NoStart { why, blame: Blame::Machine });
        };
        let program = match self.executables.find(hash, self.now) {
            Some(program) => program,
            None => self.write_executable(hash)?,
        };
        Ok(Launch { program, arguments: Vec::new(), preamble: Bytes::new() })
    }

    fn write_executable(&mut self, hash: BlobHash) -> Result<PathBuf, NoStart> {
        let Some(payload) = self.gate.find(hash) else {
            // It was here when the task came: somebody has removed its file.
            self.gate.on_files_lost(&[hash]);
            self.ask_for(hash);
            let why = "the executable's file is gone, and is asked for again".to_owned();
            return Err(NoStart { why, blame: Blame::Machine });
        };
        let wanted = self.wanted_executables();
        let path = self
            .executables
            .add(hash, &payload, self.now, &wanted)
            .map_err(|error| NoStart { why: error.to_string(), blame: Blame::Program })?;
        self.gate.on_moved_to_file(hash);
        let is_big = payload.len() > BIG_BYTES;
        drop(payload);
        if is_big {
            memory::give_back();
        }
        Ok(path)
    }

    /// What tasks at this worker will start, or have started.
    fn wanted_executables(&self) -> FxHashSet<BlobHash> {
        let native = self.pool.tasks().filter(|task| task.head.runtime == Runtime::Native);
        native.filter_map(|task| task.blob_hashes().next()).collect()
    }

    pub(super) fn remove_cold_executables(&mut self) {
        if self.executables.has_cold(self.now) {
            let wanted = self.wanted_executables();
            let gone = self.executables.remove_cold(self.now, &wanted);
            self.gate.on_files_lost(&gone);
        }
    }

    /// Says why runners do not start, once for each reason.
    pub(super) fn on_trouble(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::warn!("{trouble}; it is tried again");
            self.trouble = Some(trouble);
        }
    }

    fn hand(&mut self, id: RunnerId, task: Task) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        runner.hands.begin(Current::of(&task));
        self.send(id, task);
    }

    fn prefetch(&mut self, id: RunnerId, mut task: Task) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        if let Err(error) = runner.hands.begin_ahead(Current::of(&task)) {
            return self.complain(id, format!("it could not be handed a task ahead: {error}"));
        }
        task.head.flags = task.head.flags.with(Flags::AHEAD);
        self.send(id, task);
    }

    /// Takes back what a runner has not claimed.
    pub(super) fn reclaim(&mut self, id: RunnerId) {
        let attempts = self.runners.get_mut(&id).map(|runner| runner.hands.take_back());
        let attempts = attempts.unwrap_or_default();
        self.inputs.push_back(Input::Retracted { runner: id, attempts });
    }

    fn send(&mut self, id: RunnerId, task: Task) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        // An executable does not need itself.
        let known = usize::from(task.head.runtime == Runtime::Native);
        for hash in task.blob_hashes().skip(known) {
            // A blob that the cache lost meanwhile is asked for by the runner when it needs it.
            if !runner.has_blobs.contains(&hash)
                && let Some(payload) = self.gate.find(hash)
            {
                runner.has_blobs.insert(hash);
                runner.say(ToRunner::Blob(Blob { hash, payload }));
            }
        }
        runner.say(ToRunner::Run(task));
    }
}

/// Why there is no runner.
struct NoStart {
    why: String,
    blame: Blame,
}

fn no_start(kind: RunnerKind, launch: &Launch, error: &SpawnError) -> NoStart {
    let on_machine = |why| NoStart { why, blame: Blame::Machine };
    let SpawnError::Program(error) = error else {
        return on_machine(error.to_string());
    };
    if kind.runtime != Runtime::Native {
        return on_machine(format!("{}: {error}", launch.program.display()));
    }
    let why = match error.raw_os_error() {
        Some(libc::ENOEXEC) => format!("it is no program for this machine ({error}); {STATIC_ADVICE}"),
        // The file is there: it is its loader that is not.
        Some(libc::ENOENT | libc::ELIBBAD | libc::ELIBACC) => {
            format!("the loader that it names is not there ({error}); {STATIC_ADVICE}")
        }
        Some(libc::EACCES | libc::EPERM) => format!(
            "the worker may not execute {} ({error}); is that folder mounted noexec? Set XDG_CACHE_HOME for the worker",
            launch.program.display()
        ),
        _ => return on_machine(error.to_string()),
    };
    NoStart { why, blame: Blame::Program }
}

impl Runner {
    /// What is to be complained of, if the runner had until now to do what it did not do.
    pub(super) fn overdue(&mut self, now: Time) -> Option<&'static str> {
        let (_, complaint) = self.deadline.filter(|(until, _)| *until <= now)?;
        self.deadline = None;
        Some(complaint)
    }
}
