//! The gate of the sandbox: a task connects to its worker's socket, and to no other Unix socket.
//!
//! Landlock does not know the paths of sockets, and a filter does not see an address, which is in memory. So the kernel
//! stops each `connect` and asks the worker (`SECCOMP_RET_USER_NOTIF`). A thread for each process that the worker has
//! started reads the address, and connects the socket of the task itself: the task could change the address after a look.
//! The thread ends when no process of the task is left.

use std::ffi::c_int;
use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{UnixAddr, connect};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::worker::process::kernel;

/// `sizeof(struct sockaddr_un)` and the bytes of its family.
const ADDRESS_BYTES: usize = 110;
const FAMILY_BYTES: usize = 2;

// The requests of <linux/seccomp.h>: read and written, of magic '!'.
const NOTIF_RECV: u64 = request(3, 0, size_of::<libc::seccomp_notif>());
const NOTIF_SEND: u64 = request(3, 1, size_of::<libc::seccomp_notif_resp>());
const NOTIF_ID_VALID: u64 = request(1, 2, size_of::<u64>());

const fn request(direction: u64, number: u64, size: usize) -> u64 {
    direction << 30 | (size as u64) << 16 | (b'!' as u64) << 8 | number
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    door: UnixAddr,
    /// The path as it stands in an address.
    path: Vec<u8>,
}

impl Gate {
    /// A gate to the socket of this path.
    pub(super) fn new(door: &Path) -> io::Result<Self> {
        Ok(Self { door: UnixAddr::new(door)?, path: door.as_os_str().as_bytes().to_owned() })
    }

    /// Answers what the processes of a listener ask, on a thread of its own, until they have ended.
    ///
    /// # Errors
    /// If there are no more threads.
    pub(crate) fn serve(self: std::sync::Arc<Self>, listener: OwnedFd) -> io::Result<()> {
        let serve = move || while self.answer_next(&listener).is_ok() {};
        std::thread::Builder::new().name("argon gate".to_owned()).stack_size(64 << 10).spawn(serve).map(drop)
    }

    /// # Errors
    /// If no process is left that could ask.
    fn answer_next(&self, listener: &OwnedFd) -> nix::Result<()> {
        let mut watched = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok(()),
            polled => polled?,
        };
        if !watched[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) {
            return Err(Errno::EPIPE);
        }
        // SAFETY: plain integers, for which zero bytes are a value, and which the kernel wants.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: writes one structure of this size.
        let received = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV as _, &raw mut asked) };
        if Errno::result(received).is_err() {
            // The one that asked has ended.
            return Ok(());
        }
        let error = self.connect(listener, &asked).err().map_or(0, |errno| -(errno as c_int));
        let answer = libc::seccomp_notif_resp { id: asked.id, val: 0, error, flags: 0 };
        // SAFETY: reads one structure of this size. One that has ended needs no answer.
        unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND as _, &raw const answer) };
        Ok(())
    }

    fn connect(&self, listener: &OwnedFd, asked: &libc::seccomp_notif) -> nix::Result<()> {
        let [socket, place, length, ..] = asked.data.args;
        let thread = Pid::from_raw(asked.pid.cast_signed());
        let mut address = [0_u8; ADDRESS_BYTES];
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(ADDRESS_BYTES);
        let remote = RemoteIoVec { base: usize::try_from(place).unwrap_or(0), len: length };
        let read = process_vm_readv(thread, &mut [IoSliceMut::new(&mut address[..length])], &[remote]);
        read.map_err(|_| Errno::EACCES)?;
        let (family, path) = address[..length].split_at_checked(FAMILY_BYTES).ok_or(Errno::EINVAL)?;
        let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
        if c_int::from(u16::from_ne_bytes([family[0], family[1]])) != libc::AF_UNIX || path != self.path {
            return Err(Errno::EACCES);
        }
        let process = kernel::pidfd(group_of(thread).ok_or(Errno::ESRCH)?).map_err(|_| Errno::ESRCH)?;
        let socket = descriptor_of(&process, socket as RawFd)?;
        // Its number was not given to another process meanwhile.
        // SAFETY: reads one number.
        Errno::result(unsafe {
            libc::ioctl(listener.as_raw_fd(), NOTIF_ID_VALID as _, &raw const asked.id)
        })?;
        connect(socket.as_raw_fd(), &self.door)
    }
}

/// The process of a thread.
fn group_of(thread: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    line.trim().parse().ok().map(Pid::from_raw)
}

/// A descriptor of another process, as one of this process.
fn descriptor_of(process: &OwnedFd, number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: takes three integers.
    let own = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    let own = Errno::result(own)? as RawFd;
    // SAFETY: the kernel has just made it for us, with CLOEXEC.
    Ok(unsafe { OwnedFd::from_raw_fd(own) })
}
