//! Starts a runner process: its pipes, its private socket, its environment (`spec/runner.md`).

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon_proto::conversation::child::TaskToken;
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;

use super::group::Group;
use super::kernel;
use super::lease_pipe::LeasePipe;
use super::mark::Mark;
use super::sandbox::{Confinement, Sandbox, Scratch};
use super::shield::Shield;
use super::spawn::{SpawnError, SpawnPlan, c_string, spawn};
use super::user::RunAs;
use crate::worker::runtime::Launch;

/// Bytes that a runner's socket holds in each direction, if the system allows that.
const SOCKET_BYTES: usize = 512 << 10;

/// A process that was just started, and our ends of its output pipes. All of them are non-blocking.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: Pid,
    pub(crate) descriptor: OwnedFd,
    pub(crate) stdout: PipeReader,
    pub(crate) stderr: PipeReader,
    /// True if this process executed it; false if a template forked it.
    pub(crate) is_executed: bool,
}

/// A runner that was just started, with the worker's ends of its private socket and its leases.
#[derive(Debug)]
pub(crate) struct StartedRunner {
    pub(crate) process: Started,
    pub(crate) socket: UnixStream,
    pub(crate) leases: LeasePipe,
}

/// The worker's ends of what connects it with a runner.
#[derive(Debug)]
pub(crate) struct WorkerEnds {
    socket: UnixStream,
    leases: LeasePipe,
    output: [PipeReader; 2],
}

/// The runner's ends.
#[derive(Debug)]
pub(crate) struct RunnerEnds {
    socket: UnixStream,
    leases: OwnedFd,
    output: [PipeWriter; 2],
}

/// Makes the sockets and pipes between a worker and a runner.
///
/// # Errors
/// If the system has no descriptors left.
pub(crate) fn ends(user: Option<&RunAs>) -> io::Result<(WorkerEnds, RunnerEnds)> {
    let (socket, its_socket) = socket_pair()?;
    let (output, its_output) = output_pipes(user)?;
    let (leases, its_leases) = LeasePipe::new()?;
    let its = RunnerEnds { socket: its_socket, leases: its_leases, output: its_output };
    Ok((WorkerEnds { socket, leases, output }, its))
}

/// Our end, which never waits, and the end of a process.
fn socket_pair() -> io::Result<(UnixStream, UnixStream)> {
    let (socket, its_socket) = UnixStream::pair()?;
    for socket in [&socket, &its_socket] {
        // Of a big payload this much is written before its reader has to be woken; less is slower.
        let _ = setsockopt(socket, sockopt::SndBuf, &SOCKET_BYTES);
    }
    kernel::unblock(socket.as_fd())?;
    Ok((socket, its_socket))
}

impl WorkerEnds {
    /// The runner is there. `is_executed` as in [`Started`].
    pub(crate) fn of(self, (pid, descriptor): (Pid, OwnedFd), is_executed: bool) -> StartedRunner {
        let [stdout, stderr] = self.output;
        let process = Started { pid, descriptor, stdout, stderr, is_executed };
        StartedRunner { process, socket: self.socket, leases: self.leases }
    }
}

impl RunnerEnds {
    /// In the order of `spec/runner.md`, section 8.
    pub(crate) fn descriptors(&self) -> [RawFd; 4] {
        let [stdout, stderr] = &self.output;
        [self.socket.as_raw_fd(), self.leases.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()]
    }
}

/// A process that executes a launch, and how it is treated.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) launch: &'a Launch,
    pub(crate) environment: &'a [(OsString, OsString)],
    pub(crate) mark: Mark,
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) shield: Shield,
    pub(crate) user: Option<Arc<RunAs>>,
    pub(crate) sandbox: Option<&'a Sandbox>,
    pub(crate) scratch: Option<Arc<Scratch>>,
    /// Number that is added to the nice value.
    pub(crate) nice: u8,
}

/// Starts a runner. `token` is the secret of its tasks; `memory_mib` is its limit, 0 for none.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn start(
    setting: &Setting<'_>,
    token: TaskToken,
    memory_mib: u32,
) -> Result<StartedRunner, SpawnError> {
    let (ours, its) = ends(setting.user.as_deref()).map_err(SpawnError::System)?;
    let variables = [
        ("ARGON_RUNNER_FD", its.socket.as_raw_fd().to_string()),
        ("ARGON_CLAIM_FD", its.leases.as_raw_fd().to_string()),
        ("ARGON_TASK_TOKEN", token.to_string()),
    ];
    let RunnerEnds { socket, leases, output: [stdout, stderr] } = its;
    let stdin = nothing().map_err(SpawnError::System)?;
    let plan = setting.plan(&variables, [stdin, stdout.into(), stderr.into()])?;
    let process = spawn(&SpawnPlan { kept: vec![socket.into(), leases], memory_mib, ..plan })?;
    Ok(ours.of(process, true))
}

/// A template that was just started, and our ends of its socket and its standard error. Neither waits.
#[derive(Debug)]
pub(crate) struct StartedTemplate {
    pub(crate) pid: Pid,
    pub(crate) descriptor: OwnedFd,
    pub(crate) socket: UnixStream,
    pub(crate) stderr: PipeReader,
}

/// Starts a template of runners.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn start_template(setting: &Setting<'_>) -> Result<StartedTemplate, SpawnError> {
    let (socket, its_socket) = socket_pair().map_err(SpawnError::System)?;
    let (stderr, its_stderr) = io::pipe().map_err(SpawnError::System)?;
    kernel::unblock(stderr.as_fd()).map_err(SpawnError::System)?;
    let sandbox = setting.sandbox.map(|sandbox| sandbox.folder().display().to_string());
    let variables = [
        ("ARGON_RUNNER_FD", its_socket.as_raw_fd().to_string()),
        ("ARGON_TEMPLATE", "1".to_owned()),
        ("ARGON_SYSCALLS", kernel::system_calls()),
        // A template leaves an empty one alone.
        ("ARGON_SANDBOX", sandbox.unwrap_or_default()),
    ];
    let [stdin, stdout] = [nothing(), nothing()];
    let stdio = [stdin.map_err(SpawnError::System)?, stdout.map_err(SpawnError::System)?, its_stderr.into()];
    let plan = setting.plan(&variables, stdio)?;
    let (pid, descriptor) = spawn(&SpawnPlan { kept: vec![its_socket.into()], ..plan })?;
    Ok(StartedTemplate { pid, descriptor, socket, stderr })
}

impl Setting<'_> {
    fn plan(&self, own: &[(&str, String)], stdio: [OwnedFd; 3]) -> Result<SpawnPlan, SpawnError> {
        let Self { launch, environment, mark, group, shield, user, sandbox, scratch, nice } = self;
        let name = launch.program.as_os_str();
        let program =
            in_path(name, path_of(environment), None, user.as_deref()).map_err(SpawnError::Program)?;
        let own = own.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let own = own.chain([("ARGON_FIONREAD".into(), libc::FIONREAD.to_string().into())]);
        let temporary = scratch.as_ref().map(|scratch| (TMPDIR.into(), scratch.path().into()));
        let own: Vec<_> = own.filter(|(_, value)| !value.is_empty()).chain(temporary).collect();
        let is_replaced = |name: &OsString| launch.variables.iter().any(|(other, _)| other == name);
        let is_kept =
            |(name, _): &&(OsString, OsString)| (scratch.is_none() || name != TMPDIR) && !is_replaced(name);
        let variables = environment.iter().filter(is_kept).chain(&launch.variables).chain(&own);
        let arguments = [name].into_iter().chain(launch.arguments.iter().map(OsStr::new));
        Ok(SpawnPlan {
            program: c_string(program.as_os_str()).map_err(SpawnError::Program)?,
            arguments: arguments.map(c_string).collect::<Result<_, _>>().map_err(SpawnError::Program)?,
            environment: c_variables(variables).map_err(SpawnError::Program)?,
            folder: start_folder(user.as_deref(), scratch.as_deref()).map_err(SpawnError::System)?,
            other_folder: Some(ROOT.to_owned()),
            umask: None,
            nice: *nice,
            stdio,
            kept: Vec::new(),
            mark: *mark,
            shield: shield.clone(),
            is_shielded: false,
            group: group.clone(),
            user: user.clone(),
            confinement: confinement(*sandbox, scratch.as_deref(), &program).map_err(SpawnError::System)?,
            memory_mib: 0,
        })
    }
}

/// Folder in which processes of a user start whose home cannot be entered.
pub(crate) const ROOT: &CStr = c"/";

/// Variable with the folder for temporary files.
pub(crate) const TMPDIR: &str = "TMPDIR";

/// Folder in which processes start that are not told one: the worker's own, the home of another user, or a scratch folder.
pub(crate) fn start_folder(user: Option<&RunAs>, scratch: Option<&Scratch>) -> io::Result<Option<CString>> {
    let home = user.map(RunAs::home);
    scratch.map(Scratch::path).or(home).map(c_string).transpose()
}

/// The sandbox of a process that executes a program; of a template if it has no scratch folder.
pub(crate) fn confinement(
    sandbox: Option<&Sandbox>,
    scratch: Option<&Scratch>,
    program: &Path,
) -> io::Result<Option<Confinement>> {
    let confined = sandbox.map(|sandbox| match scratch {
        Some(scratch) => sandbox.of_process(scratch, program),
        None => Ok(sandbox.of_template()),
    });
    confined.transpose()
}

fn nothing() -> io::Result<OwnedFd> {
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    Ok(nothing.into())
}

/// Pipes for standard output and error of a process of `user`: our ends, which never wait, and the process's.
pub(crate) fn output_pipes(user: Option<&RunAs>) -> io::Result<([PipeReader; 2], [PipeWriter; 2])> {
    let (stdout, its_stdout) = io::pipe()?;
    let (stderr, its_stderr) = io::pipe()?;
    kernel::unblock(stdout.as_fd())?;
    kernel::unblock(stderr.as_fd())?;
    if let Some(user) = user {
        user.own_pipe(its_stdout.as_fd())?;
        user.own_pipe(its_stderr.as_fd())?;
    }
    Ok(([stdout, stderr], [its_stdout, its_stderr]))
}

/// An environment as the kernel wants it.
pub(crate) fn c_variables<'a>(
    variables: impl Iterator<Item = &'a (OsString, OsString)>,
) -> io::Result<Vec<CString>> {
    variables
        .map(|(name, value)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            c_string(&text)
        })
        .collect()
}

/// The PATH of an environment.
pub(crate) fn path_of(environment: &[(OsString, OsString)]) -> &OsStr {
    environment.iter().rev().find(|(name, _)| name == "PATH").map_or(OsStr::new(""), |(_, path)| path)
}

/// The file of a program that starts in the folder `start`. A path is used as it is. A name is looked for in the PATH; the
/// first executable file of that name is used that `user` can reach.
///
/// # Errors
/// If there is none. The kind is `PermissionDenied` if there is only one that cannot be executed.
pub(crate) fn in_path(
    program: &OsStr,
    path: &OsStr,
    start: Option<&Path>,
    user: Option<&RunAs>,
) -> io::Result<PathBuf> {
    if program.is_empty() || program.as_encoded_bytes().contains(&b'/') {
        return Ok(PathBuf::from(program));
    }
    let mut error = io::Error::from_raw_os_error(libc::ENOENT);
    for folder in std::env::split_paths(path) {
        // An empty entry is the present folder.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder.as_path() };
        let file = folder.join(program);
        let whole = start.unwrap_or(Path::new("")).join(&file);
        let is_reached = || user.is_none_or(|user| user.reaches(&whole));
        match std::fs::metadata(&whole) {
            Ok(facts) if facts.is_file() && facts.permissions().mode() & 0o111 != 0 && is_reached() => {
                return Ok(file);
            }
            Ok(_) => error = io::Error::from_raw_os_error(libc::EACCES),
            Err(_) => {}
        }
    }
    Err(error)
}
