//! The sandbox of tasks (`--sandbox`): Landlock for files, signals and TCP; filters of system calls for the rest.
//!
//! Each process of a task has a Landlock domain of its own. It reads the system and what is named, and writes its scratch
//! folder and what is named. `calls` refuses what Landlock does not know. `gate` lets it connect to its worker, and to no
//! other Unix socket. A template is not in a domain, since it executes no code of a task; each runner that it forks puts
//! itself into one first (`spec/runner.md`, section 8).
//!
//! A kernel that lacks any of this is an error before the worker starts: a task is never in half a sandbox.

mod calls;
mod gate;
pub(crate) mod handover;
mod scratch;

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon_proto::WorkerId;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};
use nix::errno::Errno;

use super::user::{self, RunAs};
use calls::Filters;
pub(crate) use gate::Gate;
pub(crate) use scratch::{Scratch, Scratches};

/// The first version that keeps signals and abstract sockets inside a domain.
const ABI_MIN: i32 = 6;
const ABI: ABI = ABI::V6;

/// Folders of the system that every task reads and executes, where they exist.
const SYSTEM: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
    "/proc",
    "/sys",
];
/// Sockets and files by which names of hosts are looked up, for tasks with network.
const RESOLVERS: [&str; 3] = ["/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager"];
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];
const DEVICES_TO_READ: [&str; 2] = ["/dev/random", "/dev/urandom"];
/// Beside the folder of an interpreter outside of the system.
const OF_INTERPRETER: [&str; 6] = ["lib", "lib64", "libexec", "share", "include", "pyvenv.cfg"];
/// Variables of the worker with folders of modules, which its runners have too.
const MODULES: [&str; 2] = ["PERL5LIB", "PYTHONPATH"];

/// Folders that tasks in a sandbox may reach besides the system and their scratch folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SandboxConfig {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    network: bool,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel lacks something.
    #[error("--sandbox: {0}; no task runs without its sandbox, so this worker does not start")]
    Kernel(String),
    /// A path that was named.
    #[error("{option} {path}: {source}")]
    Path {
        /// The option that names it.
        option: &'static str,
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The key of the worker is where tasks may read.
    #[error(
        "--sandbox: tasks could read the key {0}, which is in a folder that they read; move it, or use --run-as"
    )]
    Key(PathBuf),
    /// The system refuses something.
    #[error("--sandbox: {0}")]
    System(String),
}

impl SandboxConfig {
    /// A sandbox, after a look whether this kernel has what it takes and the paths exist.
    ///
    /// # Errors
    /// If not.
    pub fn new(read: &[PathBuf], write: &[PathBuf], network: bool) -> Result<Self, SandboxError> {
        check_kernel()?;
        let absolute = |option, paths: &[PathBuf]| -> Result<Vec<PathBuf>, SandboxError> {
            let failed = |path: &Path, source| SandboxError::Path { option, path: path.to_owned(), source };
            paths.iter().map(|path| fs::canonicalize(path).map_err(|error| failed(path, error))).collect()
        };
        let (read, write) = (absolute("--sandbox-read", read)?, absolute("--sandbox-write", write)?);
        Ok(Self { read, write, network })
    }

    /// True if tasks may use the network.
    #[must_use]
    pub fn network(&self) -> bool {
        self.network
    }

    /// True if tasks read what is at this real path, and cannot write it: what an unconfined template executes must not
    /// come from a task.
    #[must_use]
    pub(crate) fn may_run(&self, real: &Path) -> bool {
        let system = SYSTEM.iter().filter_map(|folder| fs::canonicalize(folder).ok());
        let mut read = system.chain(self.read.iter().cloned());
        read.any(|folder| real.starts_with(folder))
            && !self.write.iter().any(|folder| real.starts_with(folder))
    }

    /// Looks whether tasks could read the worker's key. `user` is theirs; a key file is for its owner alone.
    ///
    /// # Errors
    /// If they could.
    pub fn check_key(&self, key: &Path, user: Option<&RunAs>) -> Result<(), SandboxError> {
        let Some(key) = fs::canonicalize(key).ok().filter(|_| user.is_none()) else {
            return Ok(());
        };
        let system = SYSTEM.iter().filter_map(|folder| fs::canonicalize(folder).ok());
        let mut granted = system.chain(self.read.iter().chain(&self.write).cloned());
        if granted.any(|folder| key.starts_with(folder)) { Err(SandboxError::Key(key)) } else { Ok(()) }
    }
}

/// Looks whether this kernel has what the sandbox takes.
fn check_kernel() -> Result<(), SandboxError> {
    /// `LANDLOCK_CREATE_RULESET_VERSION`
    const VERSION: u32 = 1;
    // SAFETY: asks for a version; nothing is read or written.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    let missing = match Errno::result(version) {
        Ok(version) if version >= ABI_MIN.into() => None,
        Ok(version) => Some(format!(
            "the Landlock of this kernel has version {version}, and the sandbox needs {ABI_MIN} (Linux 6.12)"
        )),
        Err(Errno::EOPNOTSUPP) => Some(
            "Landlock is switched off on this machine (add 'landlock' to the 'lsm=' of the kernel's command line)".to_owned(),
        ),
        Err(error) => Some(format!("this kernel has no Landlock ({error}); the sandbox needs Linux 6.12")),
    };
    match missing
        .or_else(|| (!calls::are_possible()).then(|| "this kernel has no seccomp filters".to_owned()))
    {
        Some(missing) => Err(SandboxError::Kernel(missing)),
        None => Ok(()),
    }
}

/// The sandbox of a worker.
#[derive(Debug)]
pub(crate) struct Sandbox {
    rules: Vec<Rule>,
    network: bool,
    filters: Filters,
    scratches: Scratches,
    gate: Option<Arc<Gate>>,
    drops_capabilities: bool,
}

/// Access to a file or all below a folder.
#[derive(Debug)]
struct Rule {
    path: PathFd,
    access: BitFlags<AccessFs>,
}

/// The sandbox of one process, which puts it on itself before it executes its program.
#[derive(Debug)]
pub(crate) struct Confinement {
    filters: Filters,
    /// None for a template.
    ruleset: Option<OwnedFd>,
    drops_capabilities: bool,
    pub(crate) gate: Option<Arc<Gate>>,
}

impl Sandbox {
    /// The sandbox of a worker, whose tasks have that user; `door` is the socket where clients inside of tasks connect.
    ///
    /// # Errors
    /// If the system refuses something.
    pub(crate) fn new(
        worker: WorkerId,
        sandbox: &SandboxConfig,
        user: Option<&Arc<RunAs>>,
        door: Option<&Path>,
    ) -> Result<Self, SandboxError> {
        if user.is_some() && !user::has_capability(user::SYS_PTRACE) {
            return Err(SandboxError::System(
                "with --run-as it needs the capability CAP_SYS_PTRACE, which this process does not have"
                    .to_owned(),
            ));
        }
        if user.is_none() && nix::unistd::geteuid().is_root() {
            tracing::warn!(
                "tasks in the sandbox are processes of root without its capabilities: they can change modes and times of \
                 root's files that they read; --run-as USER closes that"
            );
        }
        let failed = |error: &dyn std::fmt::Display| SandboxError::System(error.to_string());
        let mut rules = Vec::new();
        let (read, all) = (AccessFs::from_read(ABI), AccessFs::from_all(ABI));
        let resolvers = RESOLVERS.iter().filter(|_| sandbox.network);
        let system = SYSTEM.iter().chain(&DEVICES_TO_READ).chain(resolvers).map(PathBuf::from);
        rules.extend(system.chain(module_folders()).filter_map(|path| Rule::of(&path, read)));
        rules.extend(std::env::current_exe().ok().and_then(|path| Rule::of(&path, read)));
        rules.extend(DEVICES.iter().filter_map(|path| Rule::of(Path::new(path), all)));
        for (paths, access, option) in
            [(&sandbox.read, read, "--sandbox-read"), (&sandbox.write, all, "--sandbox-write")]
        {
            for path in paths {
                let failed = || SandboxError::System(format!("{option} {} cannot be opened", path.display()));
                rules.push(Rule::of(path, access).ok_or_else(failed)?);
            }
        }
        // With network, a task reaches all sockets that its user does.
        let gate =
            door.filter(|_| !sandbox.network).map(Gate::new).transpose().map_err(|error| failed(&error))?;
        Ok(Self {
            rules,
            network: sandbox.network,
            filters: Filters::new(sandbox.network, gate.is_some()).map_err(SandboxError::System)?,
            scratches: Scratches::make(worker, user.cloned()).map_err(|error| failed(&error))?,
            gate: gate.map(Arc::new),
            drops_capabilities: user.is_none() && nix::unistd::geteuid().is_root(),
        })
    }

    /// The parent of all scratch folders.
    pub(crate) fn folder(&self) -> &Path {
        self.scratches.folder()
    }

    /// The scratch folder of a process of this number.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn scratch(&self, number: u64) -> io::Result<Arc<Scratch>> {
        self.scratches.scratch(number).map(Arc::new)
    }

    /// For a process that only forks others, which are restricted by [`Self::ruleset`].
    pub(crate) fn of_template(&self) -> Confinement {
        self.with(None)
    }

    /// For a process with that scratch folder, which executes that program.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub(crate) fn of_process(&self, scratch: &Scratch, program: &Path) -> io::Result<Confinement> {
        Ok(self.with(Some(self.ruleset(scratch, &[program])?)))
    }

    fn with(&self, ruleset: Option<OwnedFd>) -> Confinement {
        Confinement {
            filters: self.filters.clone(),
            ruleset,
            drops_capabilities: self.drops_capabilities,
            gate: self.gate.clone(),
        }
    }

    /// Argument of `landlock_restrict_self` for a process that executes these programs.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub(crate) fn ruleset(&self, scratch: &Scratch, programs: &[&Path]) -> io::Result<OwnedFd> {
        let mut own = vec![(scratch.path().to_owned(), AccessFs::from_all(ABI))];
        let programs = programs.iter().flat_map(|program| of_program(program));
        own.extend(programs.map(|path| (path, AccessFs::from_read(ABI))));
        let own: Vec<Rule> = own.iter().filter_map(|(path, access)| Rule::of(path, *access)).collect();
        let made = self.make_ruleset(&own).map_err(io::Error::other)?;
        made.ok_or_else(|| io::Error::other("the kernel has no Landlock any more"))
    }

    fn make_ruleset(&self, own: &[Rule]) -> Result<Option<OwnedFd>, RulesetError> {
        let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        ruleset = ruleset.handle_access(AccessFs::from_all(ABI))?.scope(Scope::from_all(ABI))?;
        if !self.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(ABI))?;
        }
        let mut ruleset = ruleset.create()?;
        for Rule { path, access } in self.rules.iter().chain(own) {
            ruleset = ruleset.add_rule(PathBeneath::new(path, *access))?;
        }
        Ok(ruleset.into())
    }
}

impl Rule {
    /// None if there is nothing of that name.
    fn of(path: &Path, access: BitFlags<AccessFs>) -> Option<Self> {
        let is_folder = fs::metadata(path).ok()?.is_dir();
        let access = if is_folder { access } else { access & AccessFs::from_file(ABI) };
        Some(Self { path: PathFd::new(path).ok()?, access })
    }
}

impl Confinement {
    /// Puts the calling process into the sandbox, for good. Returns a descriptor for [`Gate::serve`], where there is a gate.
    /// Async-signal-safe.
    pub(crate) fn put_on_this_process(&self) -> nix::Result<Option<libc::c_int>> {
        if self.drops_capabilities {
            user::drop_capabilities()?;
        }
        if let Some(ruleset) = &self.ruleset {
            // SAFETY: takes two integers.
            Errno::result(unsafe {
                libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0)
            })?;
        }
        self.filters.put_on_this_process()
    }
}

/// Folders that an interpreter outside of the system needs, and that of a program.
fn of_program(program: &Path) -> Vec<PathBuf> {
    let real = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let mut paths = Vec::new();
    for program in [program.to_owned(), real] {
        if let (Some(folder), Some(above)) = (program.parent(), program.ancestors().nth(2))
            && folder.ends_with("bin")
            && !SYSTEM.iter().any(|system| program.starts_with(system))
        {
            paths.extend(OF_INTERPRETER.iter().map(|name| above.join(name)).chain([folder.to_owned()]));
        }
        paths.push(program);
    }
    paths
}

fn module_folders() -> impl Iterator<Item = PathBuf> {
    let values = MODULES.iter().filter_map(std::env::var_os);
    let folders: Vec<PathBuf> =
        values.flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>()).collect();
    folders.into_iter().filter(|folder| folder.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_in_a_home_brings_its_libraries_and_not_the_home() {
        let paths = of_program(Path::new("/people/ann/bin/python3"));
        assert!(
            paths.contains(&"/people/ann/lib".into()) && paths.contains(&"/people/ann/bin".into()),
            "{paths:?}"
        );
        assert!(!paths.contains(&"/people/ann".into()), "{paths:?}");
        assert_eq!(of_program(Path::new("/people/ann/x/tool"))[0], Path::new("/people/ann/x/tool"));
    }

    #[test]
    fn a_key_that_tasks_could_read_is_refused() {
        let config = |read: &[PathBuf]| SandboxConfig { read: read.into(), write: vec![], network: false };
        let folder = tempfile::tempdir().expect("made");
        let folder = fs::canonicalize(folder.path()).expect("it is there");
        let key = folder.join("key");
        fs::write(&key, "").expect("written");
        assert!(config(&[]).check_key(&key, None).is_ok());
        assert!(config(std::slice::from_ref(&folder)).check_key(&key, None).is_err());
        assert!(config(&[folder.join("other")]).check_key(&key, None).is_ok());
        assert!(config(&[]).check_key(Path::new("/etc/passwd"), None).is_err());
    }
}
