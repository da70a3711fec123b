//! Starts a process for less than a fork costs: the child uses the worker's memory until it executes its program.
//!
//! This is what `posix_spawn` does. `posix_spawn` itself cannot do all that `spec/runner.md` asks for: a session of its own,
//! death with the worker, limits and the mark. The child may only touch what was prepared for it, because every change of
//! memory is a change of the worker's memory. The thread that started it is suspended meanwhile.
//!
//! The program is executed as it is. `execvp` would give a program of another machine to the shell.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::group::Group;
use super::mark::Mark;
use super::quiet::Quiet;
use super::sandbox::{Confinement, handover};
use super::shield::Shield;
use super::user::RunAs;
use super::{clone, kernel};

/// Room for the few calls that the child makes.
const STACK_BYTES: usize = 64 << 10;
/// Signals that this program handles or ignores. A program expects the defaults.
const RESET: [c_int; 9] = [
    libc::SIGCHLD,
    libc::SIGPIPE,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGALRM,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// A process to start.
#[derive(Debug)]
pub(crate) struct SpawnPlan {
    /// The file to execute.
    pub(crate) program: CString,
    /// Its arguments, its own name first.
    pub(crate) arguments: Vec<CString>,
    /// `NAME=VALUE` each.
    pub(crate) environment: Vec<CString>,
    /// Working folder; the worker's own if not given.
    pub(crate) folder: Option<CString>,
    /// Used if that cannot be entered, where there is one.
    pub(crate) other_folder: Option<CString>,
    /// Mode bits that files which it makes do not get; the worker's own if not given.
    pub(crate) umask: Option<u32>,
    /// Number that is added to its nice value.
    pub(crate) nice: u8,
    /// Its standard input, output and error.
    pub(crate) stdio: [OwnedFd; 3],
    /// Further descriptors, which keep their numbers.
    pub(crate) kept: Vec<OwnedFd>,
    pub(crate) mark: Mark,
    pub(crate) shield: Shield,
    /// The thread that starts it has the shield, and the child inherits it. The mark is then put on it from outside; until
    /// then it has that of the worker.
    pub(crate) is_shielded: bool,
    /// The control group in which it starts, where there is one.
    pub(crate) group: Option<Arc<Group>>,
    /// Its user; the worker's own if not given.
    pub(crate) user: Option<Arc<RunAs>>,
    /// Its sandbox, where tasks are in one.
    pub(crate) confinement: Option<Confinement>,
    /// 0 for no limit.
    pub(crate) memory_mib: u32,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// The folder cannot be entered.
    #[error("its folder cannot be entered: {0}")]
    Folder(io::Error),
    /// The program cannot be executed.
    #[error("{0}")]
    Program(io::Error),
    /// The system lacks something, such as a free process or descriptor.
    #[error("{0}")]
    System(io::Error),
}

/// The step at which the child failed.
#[derive(Clone, Copy)]
enum Step {
    Itself,
    Folder,
    Program,
}

/// Memory shared with the child, which reads it, and writes its failure.
struct Shared<'a> {
    plan: &'a SpawnPlan,
    worker: Pid,
    arguments: &'a [*const c_char],
    environment: &'a [*const c_char],
    /// Descriptor to which it hands over the listener of its gate.
    handover: Option<RawFd>,
    failed: Option<(Step, c_int)>,
}

/// Starts a process; returns it with a descriptor that becomes readable when it has ended.
pub(crate) fn spawn(plan: &SpawnPlan) -> Result<(Pid, OwnedFd), SpawnError> {
    let arguments = pointers(&plan.arguments);
    let environment = pointers(&plan.environment);
    let gate = plan.confinement.as_ref().and_then(|confinement| confinement.gate.clone());
    let sockets = gate.as_ref().map(|_| handover::sockets()).transpose().map_err(SpawnError::System)?;
    let mut shared = Shared {
        plan,
        worker: Pid::this(),
        arguments: &arguments,
        environment: &environment,
        handover: sockets.as_ref().map(|(_, its)| its.as_raw_fd()),
        failed: None,
    };
    let mut stack: Vec<u128> = Vec::with_capacity(STACK_BYTES / 16);
    let mut descriptor: RawFd = -1;
    let _quiet = Quiet::new();
    let pid = clone(plan, &mut shared, &mut stack, &mut descriptor);
    if pid < 0 {
        return Err(SpawnError::System(io::Error::last_os_error()));
    }
    let pid = Pid::from_raw(pid);
    if descriptor < 0 {
        let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
        let _ = nix::sys::wait::waitpid(pid, None);
        return Err(SpawnError::System(io::Error::other(
            "a process cannot be watched here; Argon needs Linux 5.3 or later",
        )));
    }
    // SAFETY: the kernel has just made this descriptor for us, with CLOEXEC; nobody else owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let Some((step, errno)) = shared.failed else {
        if let (Some(gate), Some((ours, _))) = (gate, sockets)
            && let Err(error) = handover::take_over(&ours).and_then(|listener| gate.serve(listener))
        {
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
            return Err(SpawnError::System(error));
        }
        return Ok((pid, descriptor));
    };
    let _ = nix::sys::wait::waitpid(pid, None);
    let error = io::Error::from_raw_os_error(errno);
    Err(match step {
        Step::Itself => SpawnError::System(error),
        Step::Folder => SpawnError::Folder(error),
        Step::Program => SpawnError::Program(error),
    })
}

/// Makes the process, in its group if the kernel can do that. Returns its pid, or less than 0.
fn clone(plan: &SpawnPlan, shared: &mut Shared<'_>, stack: &mut Vec<u128>, descriptor: &mut RawFd) -> c_int {
    let shared = ptr::from_mut(shared).cast();
    let stack = stack.spare_capacity_mut();
    // SAFETY (both calls): with CLONE_VFORK this thread stands still until the child has executed its program or ended, so
    // that the stack, `shared` and all that it points to outlive what the child does with them. No signal handler runs in
    // the child: all signals are blocked here, and it resets the handlers before it unblocks them.
    if let Some(group) = &plan.group
        && let Ok(pid) = unsafe { clone::in_group(group.descriptor(), stack, descriptor, child, shared) }
    {
        return pid;
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: see above.
    unsafe {
        libc::clone(child, stack.as_mut_ptr_range().end.cast(), flags, shared, ptr::from_mut(descriptor))
    }
}

/// Text for the kernel.
///
/// # Errors
/// If it holds a zero byte, which the kernel does not accept.
pub(crate) fn c_string(text: impl AsRef<OsStr>) -> io::Result<CString> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| io::Error::other("it holds a zero byte"))
}

/// A list in the form of the kernel: with a null pointer behind the last.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// The child's life before its program. Allocates nothing, takes no lock, never panics.
extern "C" fn child(shared: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its `Shared`, and does not touch it while this runs.
    let shared = unsafe { &mut *shared.cast::<Shared<'_>>() };
    let failed = match prepare(shared) {
        Err(failed) => failed,
        Ok(()) => {
            // SAFETY: all three are strings, and lists of strings that end with a null pointer.
            unsafe {
                libc::execve(
                    shared.plan.program.as_ptr(),
                    shared.arguments.as_ptr(),
                    shared.environment.as_ptr(),
                );
            }
            (Step::Program, Errno::last())
        }
    };
    shared.failed = Some((failed.0, failed.1 as c_int));
    127
}

fn prepare(shared: &Shared<'_>) -> Result<(), (Step, Errno)> {
    let plan = shared.plan;
    let itself = |errno| (Step::Itself, errno);
    nix::unistd::setsid().map_err(itself)?;
    if let Some(user) = &plan.user {
        user.become_it().map_err(itself)?;
    }
    // After the change of the user, which the kernel answers by taking this back.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(itself)?;
    // The worker may have died before the line above.
    if Pid::parent() != shared.worker {
        return Err(itself(Errno::ESRCH));
    }
    nix::sys::prctl::set_no_new_privs().map_err(itself)?;
    if !plan.is_shielded {
        // A limit that cannot be had costs a convenience; the process group is killed all the same.
        let _ = plan.mark.put_on_this_process();
    }
    set_limits(plan).map_err(itself)?;
    if let Some(mask) = plan.umask {
        // SAFETY: changes the mask of this process; the worker has its own.
        unsafe { libc::umask(mask & 0o777) };
    }
    if let Some(folder) = &plan.folder {
        // SAFETY: a folder is a string.
        let enter = |folder: &CStr| Errno::result(unsafe { libc::chdir(folder.as_ptr()) });
        let entered = enter(folder).or_else(|errno| plan.other_folder.as_deref().map_or(Err(errno), enter));
        entered.map_err(|errno| (Step::Folder, errno))?;
    }
    place_descriptors(plan).map_err(itself)?;
    reset_signals();
    if let Some(confinement) = &plan.confinement {
        let listener = confinement.put_on_this_process().map_err(itself)?;
        if let (Some(listener), Some(socket)) = (listener, shared.handover) {
            handover::hand_over(socket, listener).map_err(itself)?;
        }
        if let Some(other) = &plan.other_folder {
            // A folder that the sandbox hides is not one to start in.
            let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
            // SAFETY (all three): two strings, and the descriptor that was opened here.
            match unsafe { libc::open(c".".as_ptr(), flags) } {
                -1 => drop(unsafe { libc::chdir(other.as_ptr()) }),
                opened => drop(unsafe { libc::close(opened) }),
            }
        }
        // Programs of other data models get past the sandbox where there is no shield.
        return if plan.is_shielded { Ok(()) } else { plan.shield.put_on_this_process().map_err(itself) };
    }
    if !plan.is_shielded {
        // A kernel without filters costs certainty against tasks that mean harm, not the task.
        let _ = plan.shield.put_on_this_process();
    }
    Ok(())
}

fn set_limits(plan: &SpawnPlan) -> Result<(), Errno> {
    // A task that wants a core file raises its own limit.
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, hard)?;
    if plan.memory_mib > 0 {
        // Memory in use. The address space is no measure: interpreters reserve a lot that they never touch.
        let bytes = u64::from(plan.memory_mib) << 20;
        let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
        setrlimit(Resource::RLIMIT_DATA, bytes.min(hard), bytes.min(hard))?;
    }
    if plan.nice > 0 {
        // SAFETY: changes the nice value of this process, which may always be raised.
        unsafe { libc::nice(plan.nice.into()) };
    }
    Ok(())
}

/// Makes the process's standard descriptors, and lets it keep no other one but those of the plan.
fn place_descriptors(plan: &SpawnPlan) -> Result<(), Errno> {
    kernel::close_others_at_exec();
    for (number, descriptor) in (0..).zip(&plan.stdio) {
        // SAFETY: two descriptors; the worker's own three are open, so that no source is one of the targets.
        Errno::result(unsafe { libc::dup2(descriptor.as_raw_fd(), number) })?;
    }
    for kept in &plan.kept {
        // SAFETY: clears the flag of one descriptor of this process.
        Errno::result(unsafe { libc::fcntl(kept.as_raw_fd(), libc::F_SETFD, 0) })?;
    }
    Ok(())
}

fn reset_signals() {
    for signal in RESET {
        // SAFETY: sets the default; the table of handlers is the child's own.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero set is an empty one here, as sigemptyset makes it.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}
