//! Commands: tasks that are a process of their own (`spec/runner.md`, section 7).
//!
//! In its slot a command is a runner without a socket: what it prints, how it is ended and what it leaves is all the same.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use argon_core::pool::{Blame, Exit, Input, SlotId};
use argon_proto::message::AttemptId;
use argon_proto::{Runtime, Task};
use bytes::Bytes;
use serde::Deserialize;

use super::blobs::attempt_of;
use super::driver::Driver;
use super::mark::Mark;
use super::process::{Started, in_path, output_pipes, path_of};
use super::runner::{Current, Runner};
use super::spawn::{Plan, SpawnError, c_string, spawn};
use super::stdin::{self, Stdin};

/// The status of a command that is not there, as shells have it.
const NOT_FOUND: i32 = 127;
/// The status of one that cannot be executed.
const NOT_EXECUTABLE: i32 = 126;

/// What runners of this worker find, ready for the kernel.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// `NAME=VALUE` each.
    variables: Vec<CString>,
    /// What a command reads that has nothing to read.
    nothing: File,
}

/// What to run, as the task's meta has it.
#[derive(Deserialize)]
struct Meta {
    argv: Vec<String>,
    cwd: Option<PathBuf>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    stdin: Option<String>,
}

/// Why a command was not started.
enum NotStarted {
    /// By its own fault: status, and why.
    Command(Option<i32>, String),
    /// The machine has not what it takes.
    Machine(String),
}

impl Surroundings {
    pub(super) fn new(environment: &[(std::ffi::OsString, std::ffi::OsString)]) -> io::Result<Self> {
        let variables = super::process::c_variables(environment.iter())?;
        Ok(Self { variables, nothing: File::open("/dev/null")? })
    }
}

impl Driver {
    pub(super) fn execute(&mut self, slot: SlotId, generation: u64, task: &Task) {
        let why = match self.start_command(generation, task) {
            Ok(runner) => {
                self.runners[slot.0] = Some(runner);
                return;
            }
            Err(why) => why,
        };
        let input = match why {
            NotStarted::Command(code, why) => {
                let exit = Exit { code, complaint: Some(why), ..Exit::default() };
                Input::RunnerGone { slot, generation, exit }
            }
            NotStarted::Machine(why) => {
                self.on_trouble(format!("no command can be started: {why}"));
                Input::SpawnFailed { slot, generation, why, blame: Blame::Machine }
            }
        };
        self.inputs.push_back(input);
    }

    fn start_command(&mut self, generation: u64, task: &Task) -> Result<Runner, NotStarted> {
        let meta: Meta = serde_json::from_slice(&task.meta).map_err(|error| {
            NotStarted::Command(
                None,
                format!("the task does not say in its meta what command to run: {error}"),
            )
        })?;
        let Some(name) = meta.argv.first() else {
            return Err(NotStarted::Command(None, "the task names no command: its argv is empty".to_owned()));
        };
        let program = self.find_program(name, &meta)?;
        let is_clients = meta.stdin.as_deref() == Some("ask");
        let (its_stdin, stdin) = self.stdin_for(task, is_clients).map_err(on_machine)?;
        self.serial = self.serial.wrapping_add(1);
        let mark = Mark::new(self.config.id, self.serial);
        let its_stdin = its_stdin.as_ref().map_or(self.surroundings.nothing.as_fd(), |end| end.as_fd());
        let started = self.start_process(task, &meta, &program, its_stdin, mark);
        let started = started.map_err(|error| self.why_not(error, name, &program, &meta))?;
        let mut runner = Runner::of_command(started, generation, mark, stdin).map_err(on_machine)?;
        runner.current = Some(Current::of(task));
        Ok(runner)
    }

    fn start_process(
        &self,
        task: &Task,
        meta: &Meta,
        program: &Path,
        stdin: BorrowedFd<'_>,
        mark: Mark,
    ) -> Result<Started, SpawnError> {
        let text = |text: &str| c_string(OsStr::new(text)).map_err(SpawnError::Program);
        let ([stdout, stderr], [its_stdout, its_stderr]) = output_pipes().map_err(SpawnError::System)?;
        let folder = meta.cwd.as_ref().map(|cwd| c_string(cwd.as_os_str()).map_err(SpawnError::Folder));
        let folder = folder.transpose()?;
        let AttemptId { task: id, attempt } = attempt_of(task);
        let mut own =
            vec![text(&format!("ARGON_TASK_ID={id}"))?, text(&format!("ARGON_ATTEMPT={}", attempt.0))?];
        for (name, value) in &meta.env {
            own.push(text(&format!("{name}={value}"))?);
        }
        let is_replaced = |variable: &&CString| {
            let name = variable.as_bytes().split(|byte| *byte == b'=').next();
            meta.env.keys().any(|own| Some(own.as_bytes()) == name)
        };
        let inherited = self.surroundings.variables.iter().filter(|variable| !is_replaced(variable));
        let environment: Vec<&CStr> = inherited.chain(&own).map(CString::as_c_str).collect();
        let plan = Plan {
            program: &c_string(program.as_os_str()).map_err(SpawnError::Program)?,
            arguments: &meta.argv.iter().map(|argument| text(argument)).collect::<Result<Vec<_>, _>>()?,
            environment: &environment,
            folder: folder.as_deref(),
            stdio: [stdin, its_stdout.as_fd(), its_stderr.as_fd()],
            kept: None,
            mark,
            memory_mib: task.head.memory_mib,
        };
        let (pid, descriptor) = spawn(&plan)?;
        Ok(Started { pid, descriptor, stdout, stderr })
    }

    /// The command's end of its input, if it has one, and ours.
    fn stdin_for(&self, task: &Task, is_clients: bool) -> io::Result<(Option<OwnedFd>, Option<Stdin>)> {
        if task.payload.is_empty() && !is_clients {
            return Ok((None, None));
        }
        let (its, ours) = stdin::pipe(&task.payload, is_clients)?;
        Ok((Some(its), ours))
    }

    fn find_program(&self, name: &str, meta: &Meta) -> Result<PathBuf, NotStarted> {
        let path = meta.env.get("PATH").map_or_else(|| path_of(&self.environment), OsStr::new);
        in_path(OsStr::new(name), path, meta.cwd.as_deref()).map_err(|error| {
            let place = format!("in the PATH of worker {} ({})", self.config.name, path.display());
            if error.kind() == io::ErrorKind::PermissionDenied {
                let why = format!("the command '{name}' {place} is no file that may be executed");
                NotStarted::Command(Some(NOT_EXECUTABLE), why)
            } else {
                NotStarted::Command(Some(NOT_FOUND), format!("there is no command '{name}' {place}"))
            }
        })
    }

    fn why_not(&self, error: SpawnError, name: &str, program: &Path, meta: &Meta) -> NotStarted {
        let worker = &self.config.name;
        match error {
            SpawnError::System(error) => on_machine(error),
            SpawnError::Folder(error) => {
                let folder = meta.cwd.as_deref().unwrap_or(Path::new("")).display();
                let why = format!(
                    "the command '{name}' cannot start in the folder {folder} of worker {worker}: {error}"
                );
                NotStarted::Command(Some(NOT_EXECUTABLE), why)
            }
            SpawnError::Program(error) => {
                let file = meta.cwd.as_deref().unwrap_or(Path::new("")).join(program);
                let is_missing = error.kind() == io::ErrorKind::NotFound && !file.exists();
                let why = match error.raw_os_error() {
                    _ if is_missing => format!("there is no command '{name}' on worker {worker}"),
                    Some(libc::ENOENT) => format!(
                        "the command '{name}' cannot be executed on worker {worker}: the interpreter or loader that it names is not there"
                    ),
                    Some(libc::ENOEXEC) => format!(
                        "the command '{name}' cannot be executed on worker {worker}: it is no program for that machine, and no script that begins with #!"
                    ),
                    _ => format!("the command '{name}' cannot be executed on worker {worker}: {error}"),
                };
                NotStarted::Command(Some(if is_missing { NOT_FOUND } else { NOT_EXECUTABLE }), why)
            }
        }
    }

    /// The client has answered what a command's input goes on with. `false` if this is no command.
    pub(super) fn on_stdin(&mut self, to: AttemptId, ask: u32, found: bool, bytes: &Bytes) -> bool {
        let Some(slot) = self.pool.slot_of(to) else {
            return false;
        };
        let Some(runner) = self.runner_of(to).filter(|runner| runner.kind.runtime == Runtime::Exec) else {
            return false;
        };
        if !runner.is_answered(ask) {
            return true;
        }
        match &mut runner.stdin {
            Some(stdin) if found => stdin.take(bytes.clone()),
            Some(_) => {
                let why =
                    "the command was ended because what it reads is not to be had from its client any more";
                self.complain(slot, why.to_owned());
            }
            None => {}
        }
        true
    }
}

fn on_machine(error: io::Error) -> NotStarted {
    NotStarted::Machine(error.to_string())
}
