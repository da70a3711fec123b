//! Starts a runner process: its session, limits, mark, environment, pipes and private socket (`spec/runner.md`).

use std::ffi::OsString;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::kernel;
use super::mark::Mark;
use super::runtime::Launch;

/// A process that was just started, and our ends of what leads to it. All of them non-blocking.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: Pid,
    pub(super) descriptor: OwnedFd,
    pub(super) socket: UnixStream,
    pub(super) stdout: PipeReader,
    pub(super) stderr: PipeReader,
}

/// Starts a runner.
pub(super) fn start(
    launch: &Launch,
    environment: &[(OsString, OsString)],
    mark: Mark,
    memory_mib: u32,
) -> io::Result<Started> {
    let (socket, its_socket) = UnixStream::pair()?;
    let (stdout, its_stdout) = io::pipe()?;
    let (stderr, its_stderr) = io::pipe()?;
    for fd in [socket.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("ARGON_RUNNER_FD", its_socket.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .stdout(its_stdout)
        .stderr(its_stderr);
    let worker = Pid::this();
    let its_fd = its_socket.as_raw_fd();
    // SAFETY: the closure runs between fork and exec. It makes system calls only, allocates nothing and takes no lock;
    // `its_socket` lives until the command has been started, so its number is that descriptor.
    unsafe {
        command.pre_exec(move || prepare(worker, BorrowedFd::borrow_raw(its_fd), mark, memory_mib));
    }
    let child = command.spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    let descriptor = kernel::process_descriptor(pid).map_err(|error| {
        let _ = nix::sys::signal::killpg(pid, Signal::SIGKILL);
        let _ = nix::sys::wait::waitpid(pid, None);
        io::Error::new(
            error.kind(),
            format!("it cannot be watched ({error}); Argon needs Linux 5.3 or later"),
        )
    })?;
    Ok(Started { pid, descriptor, socket, stdout, stderr })
}

/// What the child does to itself before it becomes the runner. Async-signal-safe.
fn prepare(worker: Pid, socket: BorrowedFd<'_>, mark: Mark, memory_mib: u32) -> io::Result<()> {
    nix::unistd::setsid()?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The worker may have died before the line above.
    if Pid::parent() != worker {
        return Err(nix::errno::Errno::ESRCH.into());
    }
    nix::sys::prctl::set_no_new_privs()?;
    // A limit that cannot be had costs a convenience; the process group is killed all the same.
    let _ = mark.put_on_this_process();
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    if memory_mib > 0 {
        // What the process really uses. The address space is no measure: interpreters reserve a lot that they never touch.
        let bytes = u64::from(memory_mib) << 20;
        let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
        setrlimit(Resource::RLIMIT_DATA, bytes.min(hard), bytes.min(hard))?;
    }
    kernel::close_others_at_exec();
    fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}
