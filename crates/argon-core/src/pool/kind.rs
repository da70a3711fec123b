//! Kind of runner that a task needs, read off the task once, when it arrives.

use argon_proto::{BlobHash, Family, Runtime, Task};

use super::Pool;
use super::environment::{EnvironmentId, PythonMeta};

/// Advice for an executable that does not start on a machine.
pub const STATIC_ADVICE: &str = "build it for that machine and link it statically (in Rust: --target x86_64-unknown-linux-musl, or your machine's like it)";

/// Properties that a runner needs to take a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RunnerKind {
    /// Its runtime.
    pub runtime: Runtime,
    /// Program of that runtime.
    pub program: Program,
    /// Its memory limit, MiB; 0 for none. Commands bring their own, and share a kind.
    pub memory_mib: u32,
}

/// Properties that a runner needs to take a task of one session: processes of one family of sessions serve no other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RunnerKey {
    /// Its kind.
    pub kind: RunnerKind,
    /// The family of sessions that it serves.
    pub family: Family,
}

/// A template process: it has loaded the runner of an interpreter, and forks runners.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TemplateKey {
    /// The runtime.
    pub runtime: Runtime,
    /// The version of the interpreter; none if the worker has only one for the runtime.
    pub version: Option<Version>,
    /// The environment of a client in which it runs; none for the worker's own interpreter.
    pub environment: Option<EnvironmentId>,
}

/// Program that a runner executes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Program {
    /// The only one that the worker has for the runtime, or the task's own command.
    Only,
    /// An interpreter of this version.
    Version(Version),
    /// The interpreter of this environment, and its version.
    Environment(EnvironmentId, Version),
    /// The client's executable of this hash.
    Executable(BlobHash),
}

/// A version of an interpreter, as far as tasks can tell versions apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Version {
    /// The 3 of 3.11.
    pub major: u8,
    /// The 11 of 3.11.
    pub minor: u8,
}

impl RunnerKind {
    /// The template that can fork runners of this kind, if there can be one.
    #[must_use]
    pub fn template(self) -> Option<TemplateKey> {
        let (version, environment) = match (self.runtime, self.program) {
            (Runtime::Perl, Program::Only) => (None, None),
            (Runtime::Python, Program::Version(version)) => (Some(version), None),
            (Runtime::Python, Program::Environment(id, version)) => (Some(version), Some(id)),
            _ => return None,
        };
        Some(TemplateKey { runtime: self.runtime, version, environment })
    }

    /// The kind that runs any command.
    pub const COMMAND: Self = Self { runtime: Runtime::Exec, program: Program::Only, memory_mib: 0 };

    /// True if there is a process between tasks.
    pub(super) fn has_runner(self) -> bool {
        match self.runtime {
            Runtime::Perl | Runtime::Python | Runtime::Native => true,
            Runtime::Exec => false,
        }
    }

    /// True if the program came with the task, so that the task is to blame if it does not start.
    #[must_use]
    pub fn is_tasks_own(self) -> bool {
        matches!(self.program, Program::Executable(_))
    }
}

impl Version {
    /// Reads `3.11`, and what may follow it in `3.11.2`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            return None;
        };
        Some(Self { major, minor })
    }
}

impl RunnerKind {
    /// The kind that a task asks for, as far as it can be known without its worker: a Python task that names no version
    /// is of the kind [`Program::Only`].
    #[must_use]
    pub fn asked_by(task: &Task) -> Self {
        let runtime = task.head.runtime;
        let program = match runtime {
            Runtime::Exec => return Self::COMMAND,
            Runtime::Perl => Program::Only,
            Runtime::Python => Version::wanted_by(task).map_or(Program::Only, Program::Version),
            Runtime::Native => task.executable().map_or(Program::Only, Program::Executable),
        };
        Self { runtime, program, memory_mib: task.head.memory_mib }
    }
}

impl Version {
    /// The version that a Python task asks for in its meta, if it asks for one.
    #[must_use]
    pub fn wanted_by(task: &Task) -> Option<Self> {
        asked_by(task).as_deref().and_then(Self::parse)
    }
}

fn asked_by(task: &Task) -> Option<String> {
    match task.meta() {
        [] => None,
        meta => PythonMeta::read(meta).and_then(|meta| meta.python),
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Pool {
    /// The kind that is kept ready, if there is an interpreter.
    pub(super) fn ready_kind(&self) -> Option<RunnerKind> {
        self.settings.runtimes.iter().find_map(|runtime| {
            let program = match runtime {
                Runtime::Perl => Program::Only,
                Runtime::Python => Program::Version(*self.settings.pythons.first()?),
                Runtime::Native | Runtime::Exec => return None,
            };
            Some(RunnerKind { runtime: *runtime, program, memory_mib: 0 })
        })
    }
}
