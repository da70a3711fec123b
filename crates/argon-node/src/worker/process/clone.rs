//! The one call with which a process is made in a control group and in the memory of its maker.
//!
//! No library has `clone3` with a stack: the new process goes on behind the call, without the frames of its maker.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::RawFd;

/// `struct clone_args` as Linux 5.7 reads it, the first with a group.
#[repr(C, align(8))]
#[derive(Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Starts `run` in a process of its own that uses this memory, in a group. Returns its pid.
///
/// # Errors
/// If the kernel refuses it, or the call is not known for this kind of CPU.
///
/// # Safety
/// `stack` is free memory for the process, aligned to 16 bytes at its end. `run` may only do what a process between
/// `vfork` and `exec` may do, and must not unwind.
pub(super) unsafe fn in_group(
    group: RawFd,
    stack: &mut [std::mem::MaybeUninit<u128>],
    descriptor: &mut RawFd,
    run: extern "C" fn(*mut c_void) -> c_int,
    shared: *mut c_void,
) -> io::Result<c_int> {
    let arguments = Arguments {
        flags: CLONE_INTO_CGROUP | (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64,
        pidfd: std::ptr::from_mut(descriptor) as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: size_of_val(stack) as u64,
        cgroup: u64::try_from(group).map_err(|_| io::ErrorKind::InvalidInput)?,
        ..Arguments::default()
    };
    // SAFETY: as the caller promises; the arguments outlive the call.
    let pid = unsafe { clone3(&arguments, run, shared) };
    if pid < 0 {
        return Err(io::Error::from_raw_os_error(i32::try_from(-pid).unwrap_or(libc::ENOSYS)));
    }
    Ok(pid as c_int)
}

#[cfg(target_arch = "x86_64")]
unsafe fn clone3(
    arguments: &Arguments,
    run: extern "C" fn(*mut c_void) -> c_int,
    shared: *mut c_void,
) -> isize {
    let result: isize;
    // SAFETY: as the caller promises. The new process has its own stack, and never gets behind the asm block.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "mov edi, eax",
            "mov eax, {exit}",
            "syscall",
            "2:",
            exit = const libc::SYS_exit_group,
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") arguments,
            in("rsi") size_of::<Arguments>(),
            in("r12") shared,
            in("r13") run,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn clone3(
    arguments: &Arguments,
    run: extern "C" fn(*mut c_void) -> c_int,
    shared: *mut c_void,
) -> isize {
    let result: isize;
    // SAFETY: as the caller promises. The new process has its own stack, and never gets behind the asm block.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "mov x8, {exit}",
            "svc #0",
            "2:",
            exit = const libc::SYS_exit_group,
            inlateout("x0") std::ptr::from_ref(arguments) as isize => result,
            in("x1") size_of::<Arguments>(),
            in("x8") libc::SYS_clone3,
            in("x20") shared,
            in("x21") run,
        );
    }
    result
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3(_: &Arguments, _: extern "C" fn(*mut c_void) -> c_int, _: *mut c_void) -> isize {
    -(libc::ENOSYS as isize)
}
