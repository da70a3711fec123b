//! System calls for which no library has a safe function.

use std::io;
use std::io::{IoSlice, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::ptr;
use std::time::{Duration, Instant};

use bytes::BufMut;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// End of a child, from the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ProcessEnd {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// Peak resident memory, KiB.
    pub(crate) peak_kib: Option<u64>,
    /// Processor time of the process and of its children that it has collected, microseconds.
    pub(crate) cpu_us: Option<u64>,
}

/// Collects a child that has ended; `None` if it still runs.
pub(crate) fn reap(pid: Pid) -> io::Result<Option<ProcessEnd>> {
    let mut status = 0;
    // SAFETY: rusage is plain integers, for which zero bytes are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call.
    let reaped = unsafe { libc::wait4(pid.as_raw(), &raw mut status, libc::WNOHANG, &raw mut usage) };
    match reaped {
        0 => Ok(None),
        pid if pid < 0 => Err(io::Error::last_os_error()),
        _ => Ok(Some(ProcessEnd {
            code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            peak_kib: u64::try_from(usage.ru_maxrss).ok(),
            cpu_us: micros(usage.ru_utime).zip(micros(usage.ru_stime)).map(|(user, system)| user + system),
        })),
    }
}

/// Peak resident memory of this process, KiB.
pub(crate) fn own_peak_kib() -> u64 {
    // SAFETY: rusage is plain integers, for which zero bytes are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    u64::try_from(usage.ru_maxrss).unwrap_or_default()
}

fn micros(time: libc::timeval) -> Option<u64> {
    let (seconds, micros) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_usec).ok()?);
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

/// A moment in the unit in which the kernel shows when processes started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    pub(crate) ticks: u64,
    pub(crate) per_second: u64,
}

/// The present moment.
pub(crate) fn ticks_since_boot() -> Option<Ticks> {
    // SAFETY: asks only.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes a local that outlives the call.
    Errno::result(unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) }).ok()?;
    let (seconds, nanos) = (u64::try_from(now.tv_sec).ok()?, u64::try_from(now.tv_nsec).ok()?);
    Some(Ticks { ticks: seconds * per_second + nanos * per_second / 1_000_000_000, per_second })
}

/// A descriptor that becomes readable when a child of this process has ended.
///
/// # Errors
/// If there is no such process, or the kernel is older than Linux 5.3.
pub(crate) fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and touches no memory of ours.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let descriptor = RawFd::try_from(descriptor).ok().filter(|descriptor| *descriptor >= 0);
    let descriptor = descriptor.ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made this descriptor for us, with CLOEXEC; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The numbers of the system calls that interpreters make by number (`spec/runner.md`, section 8).
pub(crate) fn system_calls() -> String {
    let calls = [
        ("recvmsg", libc::SYS_recvmsg),
        ("clone", libc::SYS_clone),
        ("clone3", libc::SYS_clone3),
        ("prctl", libc::SYS_prctl),
        ("setsid", libc::SYS_setsid),
        ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
        ("prlimit64", libc::SYS_prlimit64),
        ("ppoll", libc::SYS_ppoll),
        ("dup3", libc::SYS_dup3),
        ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
    ];
    calls.map(|(name, number)| format!("{name}:{number}")).join(",")
}

/// The soft value of a resource limit of a process.
///
/// # Errors
/// If there is no such process, or it belongs to somebody else.
pub(crate) fn limit_of(pid: Pid, resource: libc::__rlimit_resource_t) -> io::Result<u64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one limit, to a local that outlives the call.
    let read = unsafe { libc::prlimit64(pid.as_raw(), resource, ptr::null(), &raw mut limit) };
    if read < 0 { Err(io::Error::last_os_error()) } else { Ok(limit.rlim_cur) }
}

/// Sets the soft value of a resource limit of another process, within its hard value. `lowers_hard` lowers that, too.
///
/// # Errors
/// If there is no such process.
pub(crate) fn limit_process(
    pid: Pid,
    resource: libc::__rlimit_resource_t,
    value: u64,
    lowers_hard: bool,
) -> io::Result<()> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one limit, to a local that outlives the call.
    let read = unsafe { libc::prlimit64(pid.as_raw(), resource, ptr::null(), &raw mut limit) };
    limit.rlim_cur = value.min(limit.rlim_max);
    limit.rlim_max = if lowers_hard { limit.rlim_cur } else { limit.rlim_max };
    // SAFETY: reads one limit, from a local that outlives the call.
    let written = unsafe { libc::prlimit64(pid.as_raw(), resource, &raw const limit, ptr::null_mut()) };
    if read < 0 || written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Writes all bytes to a socket together with descriptors.
///
/// # Errors
/// If the socket does not take them at once.
pub(crate) fn send_with_descriptors(
    socket: &UnixStream,
    bytes: &[IoSlice<'_>],
    descriptors: &[RawFd],
) -> io::Result<()> {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let sent = sendmsg::<()>(socket.as_raw_fd(), bytes, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    let all: usize = bytes.iter().map(|part| part.len()).sum();
    if sent == all { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Waits until a child has ended; `false` if it has not within `limit`.
///
/// # Errors
/// If the child cannot be watched.
pub(crate) fn wait_until_ended(child: &Child, limit: Duration) -> io::Result<bool> {
    let descriptor = pidfd(Pid::from_raw(child.id().cast_signed()))?;
    let mut watched = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match poll(&mut watched, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Err(Errno::EINTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// Closes every descriptor from 3 up at exec, also those that this process was started with. Kernels before 5.11
/// cannot do that; the descriptors that the program itself has opened are closed anyway. Async-signal-safe.
pub(crate) fn close_others_at_exec() {
    // SAFETY: close_range with CLOEXEC takes three integers and touches no memory of ours.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// Reads once, to where the bytes stay.
pub(crate) fn read_into(socket: &UnixStream, buffer: &mut impl BufMut) -> io::Result<usize> {
    let room = buffer.chunk_mut();
    // SAFETY: the kernel writes at most `room.len()` bytes, to memory that is the buffer's and free.
    let count = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), 0) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: `count` bytes were just written there.
    unsafe { buffer.advance_mut(count) };
    Ok(count)
}

/// Makes our end of a pipe or socket non-blocking.
pub(crate) fn unblock(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Bytes that a pipe holds.
pub(crate) fn bytes_in(pipe: &PipeReader) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, to a local that outlives the call.
    let answer = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(usize::try_from(bytes).unwrap_or(0)) }
}

/// An owner of one descriptor, which stays the same for the owner's life.
pub(crate) trait OwnsOneDescriptor: AsRawFd {}
impl OwnsOneDescriptor for OwnedFd {}
impl OwnsOneDescriptor for UnixStream {}
impl OwnsOneDescriptor for PipeReader {}
impl OwnsOneDescriptor for PipeWriter {}

/// Watches a descriptor for reading. A socket that is watched for writing, too, wakes us each time its peer has read.
pub(crate) fn watched<T: OwnsOneDescriptor>(descriptor: T) -> io::Result<AsyncFd<T>> {
    watched_for(descriptor, Interest::READABLE)
}

/// Watches a descriptor for writing.
pub(crate) fn watched_for_room<T: OwnsOneDescriptor>(descriptor: T) -> io::Result<AsyncFd<T>> {
    watched_for(descriptor, Interest::WRITABLE)
}

fn watched_for<T: OwnsOneDescriptor>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: by the trait's promise the descriptor stays open and the same for as long as its owner, which the
    // AsyncFd now is.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}
