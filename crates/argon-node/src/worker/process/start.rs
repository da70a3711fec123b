//! Starts a runner process: its pipes, its private socket, its environment (`spec/runner.md`).

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;

use super::kernel;
use super::lease_pipe::LeasePipe;
use super::mark::Mark;
use super::spawn::{Plan, SpawnError, c_string, spawn};
use crate::worker::runtime::Launch;

/// What a runner's socket holds in each direction, if the system allows so much.
const SOCKET_BYTES: usize = 512 << 10;

/// A process that was just started, and our ends of what comes from it. All of them non-blocking.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: Pid,
    pub(crate) descriptor: OwnedFd,
    pub(crate) stdout: PipeReader,
    pub(crate) stderr: PipeReader,
}

/// A runner that was just started, with the worker's ends of its private socket and its leases.
#[derive(Debug)]
pub(crate) struct StartedRunner {
    pub(crate) process: Started,
    pub(crate) socket: UnixStream,
    pub(crate) leases: LeasePipe,
}

/// Starts a runner.
pub(crate) fn start(
    launch: &Launch,
    environment: &[(OsString, OsString)],
    mark: Mark,
    memory_mib: u32,
) -> Result<StartedRunner, SpawnError> {
    let program =
        in_path(launch.program.as_os_str(), path_of(environment), None).map_err(SpawnError::Program)?;
    let (socket, its_socket) = UnixStream::pair().map_err(SpawnError::System)?;
    for socket in [&socket, &its_socket] {
        // Of a big payload so much is written before its reader has to be woken; less is worse, and not wrong.
        let _ = setsockopt(socket, sockopt::SndBuf, &SOCKET_BYTES);
    }
    let ([stdout, stderr], [its_stdout, its_stderr]) = output_pipes().map_err(SpawnError::System)?;
    kernel::unblock(socket.as_fd()).map_err(SpawnError::System)?;
    let stdin = File::open("/dev/null").map_err(SpawnError::System)?;
    let (leases, its_leases) = LeasePipe::new().map_err(SpawnError::System)?;
    let own = [
        ("ARGON_RUNNER_FD", its_socket.as_raw_fd().to_string()),
        ("ARGON_CLAIM_FD", its_leases.as_raw_fd().to_string()),
        ("ARGON_FIONREAD", libc::FIONREAD.to_string()),
    ]
    .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let variables = environment.iter().chain(&own);
    let name = launch.program.as_os_str();
    let arguments = [name].into_iter().chain(launch.arguments.iter().map(OsStr::new));
    let plan = Plan {
        program: c_string(program.as_os_str()).map_err(SpawnError::Program)?,
        arguments: arguments.map(c_string).collect::<Result<_, _>>().map_err(SpawnError::Program)?,
        environment: c_variables(variables).map_err(SpawnError::Program)?,
        folder: None,
        umask: None,
        stdio: [stdin.into(), its_stdout.into(), its_stderr.into()],
        kept: vec![its_socket.into(), its_leases],
        mark,
        memory_mib,
    };
    let (pid, descriptor) = spawn(&plan)?;
    Ok(StartedRunner { process: Started { pid, descriptor, stdout, stderr }, socket, leases })
}

/// Pipes for standard output and error: our ends, which never wait, and the process's.
pub(crate) fn output_pipes() -> io::Result<([PipeReader; 2], [PipeWriter; 2])> {
    let (stdout, its_stdout) = io::pipe()?;
    let (stderr, its_stderr) = io::pipe()?;
    kernel::unblock(stdout.as_fd())?;
    kernel::unblock(stderr.as_fd())?;
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

/// The file of a program that will start in the folder `start`: a path as it is, a name by the first folder of the PATH that has it
/// as something executable.
///
/// # Errors
/// If there is none; of the kind `PermissionDenied` if there is only one that cannot be executed.
pub(crate) fn in_path(program: &OsStr, path: &OsStr, start: Option<&Path>) -> io::Result<PathBuf> {
    if program.is_empty() || program.as_encoded_bytes().contains(&b'/') {
        return Ok(PathBuf::from(program));
    }
    let mut error = io::Error::from_raw_os_error(libc::ENOENT);
    for folder in std::env::split_paths(path) {
        // An empty entry is the present folder.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder.as_path() };
        let file = folder.join(program);
        match std::fs::metadata(start.unwrap_or(Path::new("")).join(&file)) {
            Ok(facts) if facts.is_file() && facts.permissions().mode() & 0o111 != 0 => return Ok(file),
            Ok(_) => error = io::Error::from_raw_os_error(libc::EACCES),
            Err(_) => {}
        }
    }
    Err(error)
}
