//! Commands: tasks that are a process of their own (`spec/runner.md`, section 7).
//!
//! In the worker a command is a runner without a socket: its output, its end and what it leaves are handled alike.

mod carried;
pub(crate) mod line;

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon_core::Time;
use argon_proto::conversation::child::TaskToken;
use argon_proto::{AttemptId, Task};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::config::WorkerConfig;
use super::process::environment;
use super::process::sandbox::{Sandbox, Scratch};
use super::process::shield::Shield;
use super::process::spawn::{SpawnError, SpawnPlan, c_string};
use super::process::start::{
    ROOT, Started, TMPDIR, c_variables, confinement, in_path, output_pipes, path_of, start_folder,
};
use super::process::user::RunAs;
use super::runners::attempt_io::AttemptIo;
use super::runners::runner::{Identity, Runner};
use super::runners::stdin::{self, Stdin};
use carried::Carried;
use line::CommandLine;

/// The status of a command that does not exist, as in shells.
const NOT_FOUND: i32 = 127;
/// The status of one that cannot be executed.
const NOT_EXECUTABLE: i32 = 126;

/// Facts that all commands of this worker start with.
#[derive(Debug)]
pub(crate) struct Commands {
    /// The worker's name, for messages.
    worker: String,
    /// The PATH of its runners.
    path: OsString,
    /// `NAME=VALUE` each.
    variables: Vec<CString>,
    /// Standard input of a command that has none.
    nothing: File,
    user: Option<Arc<RunAs>>,
    /// Number that is added to the nice value of all commands.
    nice: u8,
}

/// Why a command was not started.
pub(crate) enum NotStarted {
    /// By its own fault: status, and why.
    Command(Option<i32>, String),
    /// The machine lacks something.
    Machine(String),
}

/// A command that is being started.
#[derive(Debug)]
pub(crate) struct StartingCommand {
    pub(crate) identity: Identity,
    /// Signal that it gets as soon as it is there.
    pub(crate) signal: Option<Signal>,
    attempt: AttemptIo,
    stdin: Option<Stdin>,
    output: [PipeReader; 2],
    /// Files that it returns.
    returned: Option<PipeReader>,
    /// For messages: the command, its file, its folder.
    name: String,
    program: PathBuf,
    folder: Option<PathBuf>,
    /// Folder of the caller.
    present: Option<PathBuf>,
    size: Size,
}

/// Size of what the kernel is given for a command, for messages.
#[derive(Debug)]
struct Size {
    bytes: usize,
    longest: usize,
}

impl StartingCommand {
    /// Its attempt, if this is the token of its process.
    pub(crate) fn attempt_of(&self, token: TaskToken) -> Option<AttemptId> {
        (self.identity.token == token).then_some(self.attempt.attempt)
    }

    /// The folder in which it starts, if the task names one that is here.
    fn start(&self) -> Option<&Path> {
        self.folder.as_deref().or(self.present.as_deref().filter(|present| present.is_dir()))
    }

    fn has_program(&self) -> bool {
        self.start().unwrap_or(Path::new("")).join(&self.program).exists()
    }

    /// Where a path of the command begins, for people.
    fn place(&self) -> String {
        let is_relative = self.program.is_relative() && self.program.components().count() > 1;
        match (self.start(), &self.present) {
            _ if !is_relative => "on".to_owned(),
            (Some(start), _) => format!("in the folder {} of", start.display()),
            (None, Some(present)) => format!("in the own folder of a worker without {}:", present.display()),
            (None, None) => "in the own folder of".to_owned(),
        }
    }

    /// Its process is there.
    pub(crate) fn started(self, (pid, descriptor): (Pid, OwnedFd)) -> Result<Runner, NotStarted> {
        let Self { identity, signal, attempt, stdin, output: [stdout, stderr], returned, .. } = self;
        // One that has ended has no limits.
        let _ = identity.mark.put_on(pid);
        match Runner::of_command(
            Started { pid, descriptor, stdout, stderr, is_executed: true },
            identity,
            stdin,
            returned,
        ) {
            Ok(mut runner) => {
                runner.queue.start(attempt);
                if let Some(signal) = signal {
                    runner.signal(signal);
                }
                Ok(runner)
            }
            Err(error) => {
                let _ = killpg(pid, Signal::SIGKILL);
                Err(on_machine(error))
            }
        }
    }
}

impl Commands {
    /// Commands of a worker, with the environment of its runners.
    ///
    /// # Errors
    /// If the environment is not one for the kernel.
    pub(crate) fn new(config: &WorkerConfig, environment: &[(OsString, OsString)]) -> io::Result<Self> {
        let variables = c_variables(environment.iter())?;
        let path = path_of(environment).to_owned();
        let (worker, user, nice) = (config.name.clone(), config.run_as.clone(), config.nice);
        Ok(Self { worker, path, variables, nothing: File::open("/dev/null")?, user, nice })
    }

    /// The process to start for a task, and what is needed once it is there.
    pub(crate) fn plan(
        &self,
        now: Time,
        task: &Task,
        identity: Identity,
        shield: Shield,
        sandbox: Option<&Sandbox>,
        mut line: CommandLine,
    ) -> Result<(StartingCommand, SpawnPlan), NotStarted> {
        let scratch = identity.scratch.clone();
        if line.files.is_some() {
            line.folder = scratch.as_ref().map(|scratch| scratch.path().to_owned());
        }
        let program = self.find_program(&line)?;
        let name = line.words[0].to_string_lossy().into_owned();
        let (its_stdin, stdin) = self.stdin_for(&line).map_err(on_machine)?;
        let (output, [its_stdout, its_stderr]) = output_pipes(self.user.as_deref()).map_err(on_machine)?;
        let unusable = |error: io::Error| {
            NotStarted::Command(
                None,
                format!("the command '{name}' cannot be started as the task asks: {error}"),
            )
        };
        let scratch = scratch.as_deref();
        let carried = Carried::of(&line, &program, self.user.as_deref()).map_err(on_machine)?;
        let (folder, other_folder) = self.folders(&line, scratch).map_err(unusable)?;
        let plan = SpawnPlan {
            program: c_string(carried.program.as_os_str()).map_err(unusable)?,
            arguments: carried.words.iter().map(c_string).collect::<io::Result<_>>().map_err(unusable)?,
            environment: self.environment_of(task, &identity, &line).map_err(unusable)?,
            folder,
            other_folder,
            umask: line.umask,
            nice: line.nice + self.nice,
            stdio: [its_stdin, its_stdout.into(), its_stderr.into()],
            kept: carried.kept,
            mark: identity.mark,
            shield,
            is_shielded: false,
            group: identity.group.clone(),
            user: self.user.clone(),
            confinement: confinement(sandbox, scratch, Path::new("/proc/self/exe")).map_err(on_machine)?,
            memory_mib: task.head.memory_mib,
        };
        let starting = StartingCommand {
            identity,
            signal: None,
            attempt: AttemptIo::of(task, now),
            stdin,
            output,
            returned: carried.returned,
            name,
            program,
            folder: line.folder,
            present: line.present,
            size: Size::of(&plan),
        };
        Ok((starting, plan))
    }

    /// The folder in which a command starts, and the one where that cannot be entered.
    fn folders(
        &self,
        line: &CommandLine,
        scratch: Option<&Scratch>,
    ) -> io::Result<(Option<CString>, Option<CString>)> {
        if let Some(folder) = &line.folder {
            return Ok((Some(c_string(folder)?), None));
        }
        let own = start_folder(self.user.as_deref(), scratch)?;
        Ok(match &line.present {
            // Where this worker is at home it stays.
            Some(present) => (Some(c_string(present)?), Some(own.unwrap_or_else(|| c".".to_owned()))),
            None => (own, Some(ROOT.to_owned())),
        })
    }

    fn environment_of(
        &self,
        task: &Task,
        identity: &Identity,
        line: &CommandLine,
    ) -> io::Result<Vec<CString>> {
        let Identity { token, scratch, .. } = identity;
        let is_set = |name: &OsStr| line.variables.contains_key(name) || scratch.is_some() && name == TMPDIR;
        let is_replaced = |variable: &&CString| {
            let name = variable.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
            environment::is_replaced(OsStr::from_bytes(name), is_set)
        };
        let inherited = self.variables.iter().filter(|variable| !is_replaced(variable)).cloned();
        let AttemptId { task: id, attempt } = task.attempt_id();
        let own = [
            format!("ARGON_TASK_ID={id}"),
            format!("ARGON_ATTEMPT={}", attempt.0),
            format!("ARGON_TASK_TOKEN={token}"),
        ]
        .map(OsString::from);
        let own = own.into_iter().chain(
            line.variables.iter().filter(|(name, _)| scratch.is_none() || *name != TMPDIR).map(
                |(name, value)| {
                    let mut text = name.clone();
                    text.push("=");
                    text.push(value);
                    text
                },
            ),
        );
        let temporary = scratch.as_ref().map(|scratch| {
            let mut text = OsString::from("TMPDIR=");
            text.push(scratch.path());
            text
        });
        inherited.map(Ok).chain(own.chain(temporary).map(c_string)).collect()
    }

    /// The command's end of its input, and ours if there is more to write.
    fn stdin_for(&self, line: &CommandLine) -> io::Result<(OwnedFd, Option<Stdin>)> {
        if line.input.is_empty() && !line.asks {
            return Ok((self.nothing.try_clone()?.into(), None));
        }
        let (its, ours) = stdin::pipe(&line.input, line.asks)?;
        if let Some(user) = &self.user {
            user.own_pipe(its.as_fd())?;
        }
        Ok((its, ours))
    }

    fn find_program(&self, line: &CommandLine) -> Result<PathBuf, NotStarted> {
        let path =
            line.variables.get(OsStr::new("PATH")).map_or_else(|| self.path.as_os_str(), OsString::as_os_str);
        let name = line.words[0].display();
        in_path(
            &line.words[0],
            path,
            line.folder.as_deref().or(line.present.as_deref()),
            self.user.as_deref(),
        )
        .map_err(|error| {
            let place = format!("in the PATH of worker {} ({})", self.worker, path.display());
            if error.kind() == io::ErrorKind::PermissionDenied {
                let why = format!("the command '{name}' {place} is no file that may be executed");
                NotStarted::Command(Some(NOT_EXECUTABLE), why)
            } else {
                NotStarted::Command(Some(NOT_FOUND), format!("there is no command '{name}' {place}"))
            }
        })
    }

    /// Why a command was not started, for people.
    pub(crate) fn why_not(&self, error: SpawnError, starting: &StartingCommand) -> NotStarted {
        let name = &starting.name;
        let worker = &self.worker;
        let error = match error {
            SpawnError::System(error) => return on_machine(error),
            SpawnError::Folder(error) => {
                let folder = starting.folder.as_deref().unwrap_or(Path::new("/")).display();
                let why = format!(
                    "the command '{name}' cannot start in the folder {folder} of worker {worker}: {error}"
                );
                return NotStarted::Command(Some(NOT_EXECUTABLE), why);
            }
            SpawnError::Program(error) => error,
        };
        if error.kind() == io::ErrorKind::NotFound && !starting.has_program() {
            let why = format!("there is no command '{name}' {} worker {worker}", starting.place());
            return NotStarted::Command(Some(NOT_FOUND), why);
        }
        let why = match error.raw_os_error() {
            Some(libc::E2BIG) => starting.size.to_string(),
            Some(libc::EACCES) if starting.identity.scratch.is_some() => format!(
                "{error}; tasks of this worker are in a sandbox, where a file outside of the system must be named with \
                 --sandbox-read of argon worker"
            ),
            Some(libc::ENOENT) => "the interpreter or loader that it names is missing".to_owned(),
            Some(libc::ENOEXEC) => {
                "it is neither a program for that machine nor a script that begins with #!".to_owned()
            }
            _ => error.to_string(),
        };
        let why = format!("the command '{name}' cannot be executed on worker {worker}: {why}");
        NotStarted::Command(Some(NOT_EXECUTABLE), why)
    }
}

impl Size {
    fn of(plan: &SpawnPlan) -> Self {
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
             (MAX_ARG_STRLEN); pass long texts through --stdin or a file",
            self.bytes,
            self.longest,
            page * 32
        )
    }
}

pub(crate) fn on_machine(error: io::Error) -> NotStarted {
    NotStarted::Machine(error.to_string())
}
