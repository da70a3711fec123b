//! The user of runners and commands, where it is not the worker's (`--run-as`).

use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::{CloneFlags, clone};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Group, Uid, User, fchown, geteuid, getgrouplist};

use super::quiet::Quiet;

/// A user whose tasks a worker of root executes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunAs {
    name: String,
    uid: Uid,
    gid: Gid,
    /// All of its groups, `gid` among them.
    groups: Vec<libc::gid_t>,
    home: PathBuf,
}

/// Why tasks cannot run as a user.
#[derive(Debug, thiserror::Error)]
pub enum RunAsError {
    /// The worker is not root's.
    #[error(
        "--run-as {0} needs a worker that root starts; this one is started by uid {1}: start it as {0}, without --run-as"
    )]
    NotRoot(String, u32),
    /// Root without its rights, as in a container.
    #[error("--run-as {0} needs the capabilities {1}, which this process does not have")]
    NoCapability(String, String),
    /// No user has that name or number.
    #[error("--run-as {given}: there is no {what} '{name}' on this machine")]
    Unknown {
        /// The value of the option.
        given: String,
        /// A user or a group.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The user is root, or in the group of root.
    #[error("--run-as {0} is {1} root: tasks would keep the rights of the worker; name another one")]
    Root(String, &'static str),
    /// The system does not answer.
    #[error("--run-as {0}: {1}")]
    System(String, io::Error),
}

/// Capabilities that a worker uses to start, limit and end processes of another user.
const NEEDED: [(&str, u32); 5] =
    [("CAP_CHOWN", 0), ("CAP_DAC_OVERRIDE", 1), ("CAP_KILL", 5), ("CAP_SETGID", 6), ("CAP_SETUID", 7)];
/// Room for the few calls of a process that acts for the worker.
const STACK_BYTES: usize = 32 << 10;

/// Number of the capability to read the memory of other users' processes.
pub(crate) const SYS_PTRACE: u32 = 19;

impl RunAs {
    /// Finds `USER[:GROUP]`, names or numbers.
    ///
    /// # Errors
    /// If this process may not start processes of that user, there is no such user, or it is root.
    pub fn find(given: &str) -> Result<Self, RunAsError> {
        let owned = || given.to_owned();
        if !geteuid().is_root() {
            return Err(RunAsError::NotRoot(owned(), geteuid().as_raw()));
        }
        let (user, group) = given.split_once(':').map_or((given, None), |(user, group)| (user, Some(group)));
        let unknown = |what, name: &str| RunAsError::Unknown { given: owned(), what, name: name.to_owned() };
        let failed = |errno: Errno| RunAsError::System(owned(), errno.into());
        let user = find_user(user).map_err(failed)?.ok_or_else(|| unknown("user", user))?;
        let gid = match group {
            None => user.gid,
            Some(name) => find_group(name).map_err(failed)?.ok_or_else(|| unknown("group", name))?.gid,
        };
        if user.uid.is_root() {
            return Err(RunAsError::Root(owned(), "the user"));
        }
        if gid.as_raw() == 0 {
            return Err(RunAsError::Root(owned(), "in the group of"));
        }
        if let Some(missing) = missing_capabilities() {
            return Err(RunAsError::NoCapability(owned(), missing));
        }
        let name = CString::new(user.name.as_str()).map_err(|_| unknown("user", &user.name))?;
        let groups = getgrouplist(&name, gid).map_err(failed)?;
        let groups = groups.into_iter().map(Gid::as_raw).collect();
        Ok(Self { name: user.name, uid: user.uid, gid, groups, home: user.dir })
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The variables that name it.
    pub(crate) fn variables(&self) -> [(OsString, OsString); 3] {
        [
            ("HOME".into(), self.home.clone().into()),
            ("USER".into(), self.name.clone().into()),
            ("LOGNAME".into(), self.name.clone().into()),
        ]
    }

    /// Turns the calling process into one of this user, for good. Async-signal-safe. The functions of the C library are of
    /// no use in a process that shares the worker's memory: they turn all threads of the worker.
    pub(crate) fn become_it(&self) -> nix::Result<()> {
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        // SAFETY (all calls): they take numbers, and pointers to memory that outlives them.
        unsafe {
            Errno::result(libc::syscall(libc::SYS_setgroups, self.groups.len(), self.groups.as_ptr()))?;
            Errno::result(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
            Errno::result(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        }
        drop_capabilities()
    }

    /// Does something in a process of this user, which shares the worker's memory and ends at once: the kernel lets a user
    /// limit its own processes, and root only with a capability that containers do not have. `act` must be
    /// async-signal-safe.
    pub(crate) fn act(&self, act: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut result = Ok(());
        let mut stack = vec![0; STACK_BYTES];
        let _quiet = Quiet::new();
        let run = || {
            result = self.become_it().map_err(io::Error::from).and_then(|()| act());
            0
        };
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // SAFETY: this thread stands still until the process has ended, which makes system calls only.
        let pid = unsafe { clone(Box::new(run), &mut stack, flags, Some(libc::SIGCHLD)) }?;
        let _ = waitpid(pid, None);
        result
    }

    /// Gives it a pipe: a program that opens `/dev/stderr` opens the pipe anew, as a file of its owner.
    pub(crate) fn own_pipe(&self, pipe: BorrowedFd<'_>) -> io::Result<()> {
        let kind = SFlag::from_bits_truncate(fstat(pipe)?.st_mode) & SFlag::S_IFMT;
        if kind == SFlag::S_IFIFO {
            fchown(pipe, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }

    /// Gives it a file that the worker has made.
    pub(crate) fn own_file(&self, path: &Path) -> io::Result<()> {
        Ok(nix::unistd::chown(path, Some(self.uid), Some(self.gid))?)
    }

    /// Lets its group have a file of the worker.
    pub(crate) fn share_file(&self, file: &fs::File) -> io::Result<()> {
        Ok(fchown(file, None, Some(self.gid))?)
    }

    /// True if it may pass through all folders above a path.
    pub(crate) fn reaches(&self, path: &Path) -> bool {
        path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).all(|folder| {
            fs::metadata(folder).is_ok_and(|facts| {
                let bit = match (facts.uid() == self.uid.as_raw(), self.groups.contains(&facts.gid())) {
                    (true, _) => 0o100,
                    (false, true) => 0o010,
                    (false, false) => 0o001,
                };
                facts.mode() & bit != 0
            })
        })
    }
}

/// Gives up all capabilities of the calling process. Async-signal-safe.
pub(crate) fn drop_capabilities() -> nix::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`, of this process.
    const HEADER: [u32; 2] = [0x2008_0522, 0];
    const NONE: [u32; 6] = [0; 6];
    // SAFETY: reads two lists of numbers of the lengths that this version has.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), NONE.as_ptr()) }).map(drop)
}

fn find_user(text: &str) -> nix::Result<Option<User>> {
    match User::from_name(text)? {
        Some(user) => Ok(Some(user)),
        None => text.parse().map_or(Ok(None), |uid| User::from_uid(Uid::from_raw(uid))),
    }
}

fn find_group(text: &str) -> nix::Result<Option<Group>> {
    match Group::from_name(text)? {
        Some(group) => Ok(Some(group)),
        None => text.parse().map_or(Ok(None), |gid| Group::from_gid(Gid::from_raw(gid))),
    }
}

/// The names of those that this process does not have.
fn missing_capabilities() -> Option<String> {
    let missing = NEEDED.iter().filter(|(_, number)| !has_capability(*number)).map(|(name, _)| *name);
    let missing = missing.collect::<Vec<_>>().join(", ");
    (!missing.is_empty()).then_some(missing)
}

/// True if this process has the capability, or does not know.
pub(crate) fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let has = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let has = has.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    has.is_none_or(|has| has & (1 << number) != 0)
}
