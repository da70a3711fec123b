//! A filter of system calls, which stops processes of tasks from leaving the reach of their worker, also as root:
//! they cannot take off their mark, end the guardian, or stop worker or guardian.
//!
//! The kernel keeps the filter for a process and all that it starts. Nothing can remove it, not even root. It is not a
//! sandbox: it refuses the few calls that this takes. Tasks may kill the worker, because the guardian then ends all that
//! it had started.
//!
//! Where the kernel or the machine's CPU has no filter, tasks run without it.

use std::mem::offset_of;
use std::sync::Arc;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, EPERM, RLIMIT_LOCKS,
    SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_SET_MODE_FILTER, c_int,
    seccomp_data, sock_filter, sock_fprog,
};
use nix::errno::Errno;
use nix::unistd::{Pid, getpgrp};

const STOPS: [c_int; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
const F_SETSIG: u32 = 10;
/// System calls of another data model, which programs do not use, have numbers from here.
const X32: u32 = 0x4000_0000;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Shield(Arc<[sock_filter]>);

/// The numbers of the system calls of one kind of program.
struct Numbers {
    arch: u32,
    prlimit64: u32,
    setrlimit: u32,
    kill: u32,
    tkill: u32,
    tgkill: u32,
    rt_sigqueueinfo: u32,
    rt_tgsigqueueinfo: u32,
    pidfd_send_signal: u32,
    fcntl: &'static [u32],
    ptrace: u32,
}

/// Of 64-bit programs, and of 32-bit programs that the same kernel may execute.
#[cfg(target_arch = "x86_64")]
const NUMBERS: [Numbers; 2] = [
    Numbers {
        arch: 0xC000_003E,
        prlimit64: 302,
        setrlimit: 160,
        kill: 62,
        tkill: 200,
        tgkill: 234,
        rt_sigqueueinfo: 129,
        rt_tgsigqueueinfo: 297,
        pidfd_send_signal: 424,
        fcntl: &[72],
        ptrace: 101,
    },
    Numbers {
        arch: 0x4000_0003,
        prlimit64: 340,
        setrlimit: 75,
        kill: 37,
        tkill: 238,
        tgkill: 270,
        rt_sigqueueinfo: 178,
        rt_tgsigqueueinfo: 335,
        pidfd_send_signal: 424,
        fcntl: &[55, 221],
        ptrace: 26,
    },
];
#[cfg(target_arch = "aarch64")]
const NUMBERS: [Numbers; 2] = [
    Numbers {
        arch: 0xC000_00B7,
        prlimit64: 261,
        setrlimit: 164,
        kill: 129,
        tkill: 130,
        tgkill: 131,
        rt_sigqueueinfo: 138,
        rt_tgsigqueueinfo: 240,
        pidfd_send_signal: 424,
        fcntl: &[25],
        ptrace: 117,
    },
    Numbers {
        arch: 0x4000_0028,
        prlimit64: 369,
        setrlimit: 75,
        kill: 37,
        tkill: 238,
        tgkill: 268,
        rt_sigqueueinfo: 178,
        rt_tgsigqueueinfo: 363,
        pidfd_send_signal: 424,
        fcntl: &[55, 221],
        ptrace: 26,
    },
];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NUMBERS: [Numbers; 0] = [];

/// The processes that are protected.
struct Protected {
    worker: u32,
    worker_group: u32,
    guardians: Vec<u32>,
}

impl Shield {
    /// The filter for tasks of this process, which has those guardians.
    pub(crate) fn new(guardians: &[Pid]) -> Self {
        let protected = Protected {
            worker: bits(Pid::this().as_raw()),
            worker_group: bits(getpgrp().as_raw()),
            guardians: guardians.iter().map(|pid| bits(pid.as_raw())).collect(),
        };
        let mut program = vec![load(offset_of!(seccomp_data, arch))];
        for numbers in &NUMBERS {
            let rules = rules(numbers, &protected);
            // Too far for a conditional jump.
            program.push(jump_if(numbers.arch, 1, 0));
            program.push(jump(rules.len()));
            program.extend(rules);
        }
        program.push(allow());
        Self(program.into())
    }

    /// True for the same filter.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Puts the filter on the calling thread, for good; it must have given up new privileges. Async-signal-safe.
    pub(crate) fn put_on_this_process(&self) -> nix::Result<()> {
        let length = u16::try_from(self.0.len()).map_err(|_| Errno::E2BIG)?;
        let program = sock_fprog { len: length, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: reads the program, which outlives the call. Without the flag, the kernel would slow down the process.
        let done = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                SECCOMP_SET_MODE_FILTER,
                SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                &raw const program,
            )
        };
        Errno::result(done).map(drop)
    }
}

/// The program for one kind of callers. Each rule decides, or goes on with the next.
fn rules(numbers: &Numbers, protected: &Protected) -> Vec<sock_filter> {
    let mut program =
        vec![load(offset_of!(seccomp_data, nr)), jump_unless_from(X32, 1), refuse(libc::ENOSYS)];
    let mut rule = |number: u32, body: Vec<sock_filter>| {
        program.push(jump_if(number, 0, body.len()));
        program.extend(body);
    };
    // Signals through descriptors of processes cannot be judged; programs then use kill, as on older kernels.
    rule(numbers.pidfd_send_signal, vec![refuse(libc::ENOSYS)]);
    rule(numbers.kill, signal(0, 1, true, protected));
    rule(numbers.tkill, signal(0, 1, false, protected));
    rule(numbers.tgkill, signal(0, 2, false, protected));
    rule(numbers.rt_sigqueueinfo, signal(0, 1, false, protected));
    rule(numbers.rt_tgsigqueueinfo, signal(0, 2, false, protected));
    rule(numbers.setrlimit, [refuse_if(argument(0), &[RLIMIT_LOCKS]), vec![allow()]].concat());
    let own = [&[protected.worker], &protected.guardians[..]].concat();
    // Reading a limit is free: the new value is a null pointer then, in both halves.
    let is_read = vec![load(argument(2)), jump_if(0, 0, 3), load(argument(2) + 4), jump_if(0, 0, 1), allow()];
    let limits = [is_read, refuse_if(argument(0), &own), refuse_if(argument(1), &[RLIMIT_LOCKS])];
    rule(numbers.prlimit64, [limits.concat(), vec![allow()]].concat());
    rule(numbers.ptrace, [refuse_if(argument(1), &own), vec![allow()]].concat());
    let signals: Vec<u32> = STOPS.into_iter().chain([libc::SIGKILL]).map(bits).collect();
    let set_signal =
        [vec![load(argument(1)), jump_if(F_SETSIG, 1, 0), allow()], refuse_if(argument(2), &signals)];
    for fcntl in numbers.fcntl {
        rule(*fcntl, [set_signal.concat(), vec![allow()]].concat());
    }
    program.push(allow());
    program
}

/// A signal to the process of the argument `target`. `reaches_all`: -1 stands for every process of the user.
fn signal(target: usize, signal: usize, reaches_all: bool, protected: &Protected) -> Vec<sock_filter> {
    let minus = |pid: u32| pid.wrapping_neg();
    let guarded = protected.guardians.iter().flat_map(|pid| [*pid, minus(*pid)]);
    let guarded: Vec<u32> = guarded.chain(reaches_all.then_some(minus(1))).collect();
    [
        // Signal 0 asks whether a process is there.
        vec![load(argument(signal)), jump_if(0, 0, 1), allow()],
        refuse_if(argument(target), &guarded),
        vec![jump_if(protected.worker, 2, 0), jump_if(minus(protected.worker_group), 1, 0), allow()],
        refuse_if(argument(signal), &STOPS.map(bits)),
        vec![allow()],
    ]
    .concat()
}

/// Loads a word, and refuses the call if it is one of these values.
fn refuse_if(word: usize, values: &[u32]) -> Vec<sock_filter> {
    let tests = values.iter().flat_map(|value| [jump_if(*value, 0, 1), refuse(EPERM)]);
    [load(word)].into_iter().chain(tests).collect()
}

/// The place of an argument's low half.
fn argument(number: usize) -> usize {
    let high_first = usize::from(cfg!(target_endian = "big")) * 4;
    offset_of!(seccomp_data, args) + 8 * number + high_first
}

fn bits(number: c_int) -> u32 {
    number.cast_unsigned()
}

fn load(place: usize) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, place as u32)
}

/// Skips `equal` instructions if the loaded word is this value, `other` if it is another one.
fn jump_if(value: u32, equal: usize, other: usize) -> sock_filter {
    instruction(BPF_JMP | BPF_JEQ | BPF_K, equal as u8, other as u8, value)
}

/// Skips `below` instructions if the loaded word is below a value.
fn jump_unless_from(value: u32, below: u8) -> sock_filter {
    instruction(BPF_JMP | BPF_JGE | BPF_K, 0, below, value)
}

fn jump(count: usize) -> sock_filter {
    instruction(BPF_JMP, 0, 0, count as u32)
}

fn allow() -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW)
}

fn refuse(errno: c_int) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | bits(errno))
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}
