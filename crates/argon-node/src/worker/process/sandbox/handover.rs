//! Handover of a gate's listener from a process that is being started to the worker.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};

/// The worker's socket, and that of the process.
///
/// # Errors
/// If the system has no descriptors left.
pub(crate) fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends a descriptor. Async-signal-safe, as the function of the library is not: that one allocates.
pub(crate) fn hand_over(socket: RawFd, descriptor: RawFd) -> nix::Result<()> {
    let mut byte = 0_u8;
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut control = [0_u64; 4];
    // SAFETY: the header points to locals that outlive the call, and there is room for one descriptor.
    let sent = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = libc::SOL_SOCKET;
        (*message).cmsg_type = libc::SCM_RIGHTS;
        (*message).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(message).cast::<RawFd>().write_unaligned(descriptor);
        libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL)
    };
    Errno::result(sent).map(drop)
}

/// Takes the descriptor that was sent.
///
/// # Errors
/// If there is none.
pub(crate) fn take_over(socket: &OwnedFd) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut control = cmsg_space!(RawFd);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let found = message.cmsgs()?.find_map(|message| {
        let ControlMessageOwned::ScmRights(descriptors) = message else {
            return None;
        };
        descriptors.first().copied()
    });
    let descriptor = found.ok_or_else(|| io::Error::other("the process did not hand its listener over"))?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
