//! Kind of runner that a task needs, read off the task once, when it arrives.

use argon_proto::{BlobHash, Family, Runtime, Task};
use serde::Deserialize;

use super::Pool;

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
}

/// Program that a runner executes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Program {
    /// The only one that the worker has for the runtime, or the task's own command.
    Only,
    /// An interpreter of this version.
    Version(Version),
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
        let version = match (self.runtime, self.program) {
            (Runtime::Perl, Program::Only) => None,
            (Runtime::Python, Program::Version(version)) => Some(version),
            _ => return None,
        };
        Some(TemplateKey { runtime: self.runtime, version })
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
        meta => serde_json::from_slice(meta).ok().and_then(|meta: PythonMeta| meta.python),
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The one thing that the pool reads in a task's meta.
#[derive(Deserialize)]
struct PythonMeta {
    python: Option<String>,
}

impl Pool {
    /// Returns the key of the runners that can take a task, or the reason why this worker cannot run it.
    pub(super) fn key_of(&self, task: &Task) -> Result<RunnerKey, String> {
        Ok(RunnerKey { kind: self.kind_of(task)?, family: task.head.id.session.family() })
    }

    fn kind_of(&self, task: &Task) -> Result<RunnerKind, String> {
        let runtime = task.head.runtime;
        if !self.settings.runtimes.contains(&runtime) {
            return Err(self.no_runtime(runtime));
        }
        let program = match runtime {
            Runtime::Perl => Program::Only,
            Runtime::Python => Program::Version(self.version_for(task)?),
            Runtime::Native => match task.executable() {
                Some(hash) => Program::Executable(hash),
                None => {
                    return Err("the native task names no executable: its first blob must be one".to_owned());
                }
            },
            Runtime::Exec => return Ok(RunnerKind::COMMAND),
        };
        Ok(RunnerKind { runtime, program, memory_mib: task.head.memory_mib })
    }

    fn version_for(&self, task: &Task) -> Result<Version, String> {
        let pythons = &self.settings.pythons;
        let Some(asked) = asked_by(task) else {
            return pythons.first().copied().ok_or_else(|| self.no_runtime(Runtime::Python));
        };
        let version = Version::parse(&asked)
            .ok_or_else(|| format!("the task asks for Python '{asked}', which is no version such as 3.11"))?;
        if pythons.contains(&version) {
            return Ok(version);
        }
        let mine: Vec<_> = pythons.iter().map(Version::to_string).collect();
        Err(format!(
            "worker {} has no Python {version} (it has: {}); install it there, or name it to the worker with --python, and restart the worker",
            self.settings.name,
            mine.join(", ")
        ))
    }

    fn no_runtime(&self, runtime: Runtime) -> String {
        let mine: Vec<_> = self.settings.runtimes.iter().map(|runtime| runtime.name()).collect();
        format!(
            "worker {} has no {} runtime (it has: {}); install the interpreter there and restart the worker",
            self.settings.name,
            runtime.name(),
            mine.join(", "),
        )
    }

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
