//! The filters of system calls of the sandbox: what Landlock does not know.
//!
//! `seccompiler` makes the list of refused calls. The program of the gate is our own, since that library has no
//! `SECCOMP_RET_USER_NOTIF`. Programs of another data model, such as 32-bit ones, are killed.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::sync::Arc;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_FILTER_FLAG_NEW_LISTENER,
    SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_GET_ACTION_AVAIL, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO,
    SECCOMP_RET_USER_NOTIF, SECCOMP_SET_MODE_FILTER, c_int, c_long, seccomp_data, sock_filter, sock_fprog,
};
use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Calls that are always refused.
const REFUSED: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // File systems, and files without a path.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
    // Namespaces.
    libc::SYS_setns,
    // The kernel and its keys.
    libc::SYS_bpf,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // Clock and names of the machine.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Calls that no filter sees.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Memory and messages that tasks of other clients share.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
];
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// Flags of `clone` and `unshare` that make namespaces.
const NAMESPACES: [c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
const CLONE_NEWTIME: u64 = 0x80;
/// Bits of a mode that give a program the rights of its file's owner or group.
const SET_ID: [u64; 2] = [0o4000, 0o2000];
/// Calls with a mode, and the argument that has it.
const MODES: &[(c_long, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (SYS_FCHMODAT2, 2),
    (libc::SYS_openat, 3),
    (libc::SYS_mknodat, 2),
];
#[cfg(target_arch = "x86_64")]
const MODES_HERE: &[(c_long, u8)] =
    &[(libc::SYS_chmod, 1), (libc::SYS_open, 2), (libc::SYS_creat, 1), (libc::SYS_mknod, 1)];
#[cfg(not(target_arch = "x86_64"))]
const MODES_HERE: &[(c_long, u8)] = &[];
/// Number of the call, which is the same on every machine.
const SYS_FCHMODAT2: c_long = 452;
/// Calls with what matters in memory, where no filter sees it. Programs then use the older ones.
const UNKNOWN: [c_long; 2] = [libc::SYS_clone3, libc::SYS_openat2];
/// Requests of `ioctl` that write into the input of a terminal.
const TERMINALS: [u64; 2] = [0x5412, 0x541C];
/// The kinds of a socket among the bits of its type.
const KIND: u64 = 0xf;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Filters {
    list: Arc<[sock_filter]>,
    gate: Arc<[sock_filter]>,
    has_gate: bool,
}

/// True if this kernel has the filters, and this kind of CPU is known.
pub(super) fn are_possible() -> bool {
    let is_there = |action: u32| {
        // SAFETY: reads one number.
        let asked =
            unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
        asked == 0
    };
    Filters::new(false, true).is_ok() && is_there(SECCOMP_RET_ERRNO) && is_there(SECCOMP_RET_USER_NOTIF)
}

impl Filters {
    /// Filters with or without network, and with a gate if tasks connect to their worker.
    ///
    /// # Errors
    /// If there are none for this kind of CPU.
    pub(super) fn new(network: bool, has_gate: bool) -> Result<Self, String> {
        let rules = rules(network, has_gate).map_err(|error| error.to_string())?;
        let architecture = std::env::consts::ARCH
            .try_into()
            .map_err(|error: seccompiler::BackendError| error.to_string())?;
        let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.cast_unsigned()));
        let list = SeccompFilter::new(rules, allow, refuse, architecture)
            .and_then(BpfProgram::try_from)
            .map_err(|error| error.to_string())?;
        let list = list.iter().map(|step| instruction(step.code.into(), step.jt, step.jf, step.k));
        Ok(Self { list: list.collect(), gate: gate(has_gate).into(), has_gate })
    }

    /// Puts the filters on the calling thread, for good. Returns the listener of the gate. Async-signal-safe.
    pub(super) fn put_on_this_process(&self) -> nix::Result<Option<c_int>> {
        let flags = if self.has_gate { SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
        let listener = put_on(&self.gate, flags)?;
        put_on(&self.list, 0)?;
        Ok(self.has_gate.then_some(listener))
    }
}

fn put_on(program: &[sock_filter], flags: u64) -> nix::Result<c_int> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    let program = sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let flags = flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: reads the program, which outlives the call.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    Errno::result(done).map(|descriptor| descriptor as c_int)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(network: bool, has_gate: bool) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    let flags = NAMESPACES.map(|flag| u64::from(flag.cast_unsigned()));
    let of = |argument, bits: &[u64]| {
        bits.iter().map(|bits| has_bits(argument, *bits)).collect::<Result<Vec<_>, _>>()
    };
    rules.insert(libc::SYS_clone, of(0, &flags)?);
    rules.insert(libc::SYS_unshare, of(0, &[&flags[..], &[CLONE_NEWTIME]].concat())?);
    for (call, argument) in MODES.iter().chain(MODES_HERE) {
        rules.insert(*call, of(*argument, &SET_ID)?);
    }
    let requests = TERMINALS.map(|request| when(1, SeccompCmpOp::Eq, request));
    rules.insert(libc::SYS_ioctl, requests.into_iter().collect::<Result<_, _>>()?);
    if !network {
        // Datagrams go to any address, connected or not. SOCK_RAW of this family is the same.
        let datagrams = [libc::SOCK_DGRAM, libc::SOCK_RAW]
            .map(|kind| when(1, SeccompCmpOp::MaskedEq(KIND), u64::from(kind.cast_unsigned())));
        let datagrams = datagrams.into_iter().collect::<Result<Vec<_>, _>>()?;
        let other = when(0, SeccompCmpOp::Ne, u64::from(libc::AF_UNIX.cast_unsigned()))?;
        rules.insert(libc::SYS_socket, [vec![other], datagrams.clone()].concat());
        rules.insert(libc::SYS_socketpair, datagrams);
        if !has_gate {
            rules.insert(libc::SYS_connect, Vec::new());
        }
    }
    Ok(rules)
}

fn has_bits(argument: u8, bits: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    when(argument, SeccompCmpOp::MaskedEq(bits), bits)
}

fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    // The kernel takes the low halves of these arguments.
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
}

/// Calls with another answer than EPERM. It stands behind the list, which has looked at the data model.
fn gate(has_gate: bool) -> Vec<sock_filter> {
    let mut program = vec![instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset_of!(seccomp_data, nr) as u32)];
    let mut rule = |call: c_long, answer: u32| {
        program.push(instruction(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, call as u32));
        program.push(instruction(BPF_RET | BPF_K, 0, 0, answer));
    };
    for call in UNKNOWN {
        rule(call, SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned());
    }
    if has_gate {
        rule(libc::SYS_connect, SECCOMP_RET_USER_NOTIF);
    }
    program.push(instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW));
    program
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}
