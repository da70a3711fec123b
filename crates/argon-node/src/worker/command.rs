//! Commands: tasks that are a process of their own (`spec/runner.md`, section 7).
//!
//! In its slot a command is a runner without a socket: what it prints, how it is ended and what it leaves is all the same.

pub(crate) mod line;
pub(crate) mod stdin;

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use argon_core::pool::{Blame, Exit, Input, RunnerId};
use argon_proto::AttemptId;
use argon_proto::{Runtime, Task};
use bytes::Bytes;
use nix::sys::signal::{Signal, killpg};

use self::line::CommandLine;
use self::stdin::Stdin;
use super::driver::Driver;
use super::process::environment;
use super::process::mark::Mark;
use super::process::spawn::{Plan, SpawnError, c_string};
use super::process::spawners::Spawned;
use super::process::start::{Started, c_variables, in_path, output_pipes, path_of};
use super::runners::runner::{Current, Runner};

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

/// Why a command was not started.
enum NotStarted {
    /// By its own fault: status, and why.
    Command(Option<i32>, String),
    /// The machine has not what it takes.
    Machine(String),
}

impl Surroundings {
    pub(super) fn new(environment: &[(OsString, OsString)]) -> io::Result<Self> {
        let variables = c_variables(environment.iter())?;
        Ok(Self { variables, nothing: File::open("/dev/null")? })
    }
}

/// A command that is being started.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) mark: Mark,
    /// What it is to be told as soon as it is there.
    pub(super) signal: Option<Signal>,
    current: Current,
    stdin: Option<Stdin>,
    output: [PipeReader; 2],
    /// For words: the command, its file, its folder.
    name: String,
    program: PathBuf,
    folder: PathBuf,
    size: Size,
}

/// What the kernel has to take in of a command, for words.
#[derive(Debug)]
struct Size {
    bytes: usize,
    longest: usize,
}

impl Driver {
    pub(super) fn execute(&mut self, id: RunnerId, task: &Task) {
        match self.plan_command(task) {
            Ok((starting, plan)) => {
                self.starting.insert(id, starting);
                self.spawners.start(id, plan);
            }
            Err(why) => self.on_not_started(id, why),
        }
    }

    /// A command was started, or could not be.
    pub(super) fn on_spawned(&mut self, Spawned { runner: id, result }: Spawned) {
        let Some(starting) = self.starting.remove(&id) else {
            return;
        };
        let (pid, descriptor) = match result {
            Ok(process) => process,
            Err(error) => {
                let why = self.why_not(error, &starting);
                self.on_not_started(id, why);
                return self.step_queued();
            }
        };
        let Starting { mark, signal, current, stdin, output: [stdout, stderr], .. } = starting;
        let signal = if self.leave_until.is_some() { Some(Signal::SIGKILL) } else { signal };
        let started = Started { pid, descriptor, stdout, stderr };
        match Runner::of_command(started, mark, stdin) {
            Ok(mut runner) => {
                runner.hands.begin(current);
                if let Some(signal) = signal {
                    runner.signal(signal);
                }
                self.runners.insert(id, runner);
            }
            Err(error) => {
                let _ = killpg(pid, Signal::SIGKILL);
                self.on_not_started(id, on_machine(error));
                self.step_queued();
            }
        }
    }

    fn on_not_started(&mut self, id: RunnerId, why: NotStarted) {
        let input = match why {
            NotStarted::Command(code, why) => {
                let exit = Exit { code, complaint: Some(why), ..Exit::default() };
                Input::RunnerGone { runner: id, exit }
            }
            NotStarted::Machine(why) => {
                self.on_trouble(format!("no command can be started: {why}"));
                Input::SpawnFailed { runner: id, why, blame: Blame::Machine }
            }
        };
        self.inputs.push_back(input);
    }

    fn plan_command(&mut self, task: &Task) -> Result<(Starting, Plan), NotStarted> {
        let line = CommandLine::of(task).map_err(|why| NotStarted::Command(None, why))?;
        let program = self.find_program(&line)?;
        let name = line.words[0].to_string_lossy().into_owned();
        let (its_stdin, stdin) = self.stdin_for(&line).map_err(on_machine)?;
        let (output, [its_stdout, its_stderr]) = output_pipes().map_err(on_machine)?;
        self.serial = self.serial.wrapping_add(1);
        let mark = Mark::new(self.config.id, self.serial);
        let unsayable = |error: io::Error| {
            NotStarted::Command(
                None,
                format!("the command '{name}' cannot be started as the task asks: {error}"),
            )
        };
        let plan = Plan {
            program: c_string(program.as_os_str()).map_err(unsayable)?,
            arguments: line.words.iter().map(c_string).collect::<io::Result<_>>().map_err(unsayable)?,
            environment: self.environment_of(task, &line).map_err(unsayable)?,
            folder: line.folder.as_ref().map(c_string).transpose().map_err(unsayable)?,
            umask: line.umask,
            stdio: [its_stdin, its_stdout.into(), its_stderr.into()],
            kept: Vec::new(),
            mark,
            memory_mib: task.head.memory_mib,
        };
        let starting = Starting {
            mark,
            signal: None,
            current: Current::of(task),
            stdin,
            output,
            name,
            program,
            folder: line.folder.unwrap_or_default(),
            size: Size::of(&plan),
        };
        Ok((starting, plan))
    }

    fn environment_of(&self, task: &Task, line: &CommandLine) -> io::Result<Vec<CString>> {
        let is_set = |name: &OsStr| line.variables.contains_key(name);
        let is_replaced = |variable: &&CString| {
            let name = variable.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
            environment::is_replaced(OsStr::from_bytes(name), is_set)
        };
        let inherited = self.surroundings.variables.iter().filter(|variable| !is_replaced(variable)).cloned();
        let AttemptId { task: id, attempt } = task.attempt_id();
        let own = [format!("ARGON_TASK_ID={id}"), format!("ARGON_ATTEMPT={}", attempt.0)].map(OsString::from);
        let own = own.into_iter().chain(line.variables.iter().map(|(name, value)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            text
        }));
        inherited.map(Ok).chain(own.map(c_string)).collect()
    }

    /// The command's end of its input, and ours if there is more to write.
    fn stdin_for(&self, line: &CommandLine) -> io::Result<(OwnedFd, Option<Stdin>)> {
        if line.input.is_empty() && !line.asks {
            return Ok((self.surroundings.nothing.try_clone()?.into(), None));
        }
        stdin::pipe(&line.input, line.asks)
    }

    fn find_program(&self, line: &CommandLine) -> Result<PathBuf, NotStarted> {
        let path = line
            .variables
            .get(OsStr::new("PATH"))
            .map_or_else(|| path_of(&self.environment), OsString::as_os_str);
        let name = line.words[0].display();
        in_path(&line.words[0], path, line.folder.as_deref()).map_err(|error| {
            let place = format!("in the PATH of worker {} ({})", self.config.name, path.display());
            if error.kind() == io::ErrorKind::PermissionDenied {
                let why = format!("the command '{name}' {place} is no file that may be executed");
                NotStarted::Command(Some(NOT_EXECUTABLE), why)
            } else {
                NotStarted::Command(Some(NOT_FOUND), format!("there is no command '{name}' {place}"))
            }
        })
    }

    fn why_not(&self, error: SpawnError, starting: &Starting) -> NotStarted {
        let Starting { name, program, folder, .. } = starting;
        let worker = &self.config.name;
        let error = match error {
            SpawnError::System(error) => return on_machine(error),
            SpawnError::Folder(error) => {
                let folder = folder.display();
                let why = format!(
                    "the command '{name}' cannot start in the folder {folder} of worker {worker}: {error}"
                );
                return NotStarted::Command(Some(NOT_EXECUTABLE), why);
            }
            SpawnError::Program(error) => error,
        };
        let is_missing = error.kind() == io::ErrorKind::NotFound && !folder.join(program).exists();
        if is_missing {
            return NotStarted::Command(
                Some(NOT_FOUND),
                format!("there is no command '{name}' on worker {worker}"),
            );
        }
        let why = match error.raw_os_error() {
            Some(libc::E2BIG) => starting.size.to_string(),
            Some(libc::ENOENT) => "the interpreter or loader that it names is not there".to_owned(),
            Some(libc::ENOEXEC) => {
                "it is no program for that machine, and no script that begins with #!".to_owned()
            }
            _ => error.to_string(),
        };
        let why = format!("the command '{name}' cannot be executed on worker {worker}: {why}");
        NotStarted::Command(Some(NOT_EXECUTABLE), why)
    }

    /// The client has answered what a command's input goes on with. `false` if this is no command.
    pub(super) fn on_stdin(&mut self, to: AttemptId, ask: u32, found: bool, bytes: &Bytes) -> bool {
        let Some(id) = self.pool.runner_of(to) else {
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
                self.complain(id, why.to_owned());
            }
            None => {}
        }
        true
    }
}

impl Size {
    fn of(plan: &Plan) -> Self {
        let texts =
            || plan.arguments.iter().chain(&plan.environment).map(|text| text.as_bytes_with_nul().len());
        Self { bytes: texts().sum(), longest: texts().max().unwrap_or(0) }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Linux: MAX_ARG_STRLEN is 32 pages.
        // SAFETY: asks only.
        let [in_all, page] =
            [libc::_SC_ARG_MAX, libc::_SC_PAGESIZE].map(|name| unsafe { libc::sysconf(name) });
        write!(
            f,
            "its words and variables have {} bytes, the longest {}; the kernel there takes {in_all} (ARG_MAX), and {} for one \
             (MAX_ARG_STRLEN); give it long texts through --stdin or a file",
            self.bytes,
            self.longest,
            page * 32
        )
    }
}

fn on_machine(error: io::Error) -> NotStarted {
    NotStarted::Machine(error.to_string())
}
