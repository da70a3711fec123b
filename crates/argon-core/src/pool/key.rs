//! Which runners can take a task here, or why none can.

use argon_proto::{Runtime, Task};

use super::Pool;
use super::effect::Effect;
use super::kind::{Program, RunnerKey, RunnerKind, Version};
use crate::time::Time;

impl Pool {
    /// Returns the key of the runners that can take a task, or the reason why this worker cannot run it.
    pub(super) fn key_of(
        &mut self,
        now: Time,
        task: &Task,
        out: &mut Vec<Effect>,
    ) -> Result<RunnerKey, String> {
        Ok(RunnerKey { kind: self.kind_of(now, task, out)?, family: task.head.id.session.family() })
    }

    fn kind_of(&mut self, now: Time, task: &Task, out: &mut Vec<Effect>) -> Result<RunnerKind, String> {
        let runtime = task.head.runtime;
        // The client's environment may bring a Python.
        if runtime != Runtime::Python && !self.settings.runtimes.contains(&runtime) {
            return Err(self.no_runtime(runtime));
        }
        let program = match runtime {
            Runtime::Perl => Program::Only,
            Runtime::Python => self.python_program(now, task, out)?,
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

    /// Version of the worker's own interpreter for a task that asks for one, or for none.
    pub(super) fn version_for(&self, asked: Option<String>) -> Result<Version, String> {
        let pythons = &self.settings.pythons;
        if pythons.is_empty() {
            return Err(self.no_runtime(Runtime::Python));
        }
        let Some(asked) = asked else {
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
}
