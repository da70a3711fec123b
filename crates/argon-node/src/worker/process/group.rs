//! Control groups: one for each process that the worker starts, where the machine lets it make some (cgroup v2).
//!
//! A group ends all of its processes with one write, however fast they fork, and counts what they use. It is made below the
//! worker's own group. The worker keeps its folder locked while it lives, so that the guardian of a later worker finds what
//! a killed one has left. Where no group can be made, the mark, the subreaper and the guardian do the work.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use nix::unistd::Pid;

/// Prefix of the names of workers' groups.
const PREFIX: &str = "argon-";
/// Names that are tried.
const NAMES_MAX: u32 = 16;
/// Empty groups that are kept.
const EMPTY_MAX: usize = 64;
/// Longest file of a group that is read.
const FILE_BYTES: usize = 4096;

/// The groups of a worker.
#[derive(Debug)]
pub(crate) struct Groups {
    folder: PathBuf,
    _lock: File,
    has_memory: bool,
    /// Empty groups for the next processes: to make and to remove one takes as long as to start a small command.
    empty: Vec<Arc<Group>>,
    /// Groups that had processes when they were to be removed.
    dying: Vec<PathBuf>,
}

/// The group of one process that the worker has started, and of all that this process starts.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    folder: File,
    has_memory: bool,
    /// Files of the group that are used again and again.
    events: OnceLock<File>,
    cpu: OnceLock<File>,
    /// Processor time of earlier processes of the group, microseconds.
    earlier_cpu_us: AtomicU64,
}

/// Usage of the processes of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time, microseconds.
    pub(crate) cpu_us: Option<u64>,
    /// Most memory at once, KiB. Only where the group may count memory.
    pub(crate) peak_kib: Option<u64>,
    /// Processes that the kernel has killed because the group, or one above it, had no memory left.
    pub(crate) oom_kills: u64,
}

impl Groups {
    /// Makes the group of a worker, if that is possible.
    pub(crate) fn make() -> Option<Self> {
        Self::make_in(&own_group()?)
    }

    fn make_in(own: &Path) -> Option<Self> {
        let (folder, lock) = (0..NAMES_MAX).find_map(|number| locked_folder(own, number))?;
        // Kernels before 5.14 cannot end a group.
        if !folder.join("cgroup.kill").exists() {
            let _ = fs::remove_dir(&folder);
            return None;
        }
        let has_memory = count_memory(own, &folder);
        tracing::debug!(
            "each runner has a control group in {}{}",
            folder.display(),
            if has_memory { ", which counts memory" } else { "" }
        );
        Some(Self { folder, _lock: lock, has_memory, empty: Vec::new(), dying: Vec::new() })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A group for a process. `memory_mib` limits all of its processes together, where groups count memory; 0 for no limit.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn group(&mut self, number: u64, memory_mib: u32) -> io::Result<Arc<Group>> {
        self.remove_dying();
        if let Some(group) = self.empty.pop() {
            return Ok(group);
        }
        let path = self.folder.join(number.to_string());
        DirBuilder::new().mode(0o755).create(&path)?;
        let folder = open_folder(&path)?;
        let group = Group {
            path,
            folder,
            has_memory: self.has_memory,
            events: OnceLock::new(),
            cpu: OnceLock::new(),
            earlier_cpu_us: AtomicU64::new(0),
        };
        if self.has_memory && memory_mib > 0 {
            // A limit that cannot be set leaves that of each process.
            let _ = group.write("memory.max", &(u64::from(memory_mib) << 20).to_string());
            let _ = group.write("memory.oom.group", "1");
        }
        Ok(Arc::new(group))
    }

    /// Ends what is left in the group of a process that has ended. An empty group is used again, unless it counts memory:
    /// that could not be begun anew.
    pub(crate) fn end(&mut self, group: &Arc<Group>) {
        let is_empty = group.is_empty();
        if is_empty && !self.has_memory && self.empty.len() < EMPTY_MAX {
            group.begin_anew();
            return self.empty.push(Arc::clone(group));
        }
        if !is_empty {
            group.kill();
        }
        self.dying.push(group.path.clone());
        self.remove_dying();
    }

    fn remove_dying(&mut self) {
        self.dying.retain(|group| !remove(group));
    }

    /// Ends all processes of all groups, and removes the groups: the worker leaves. `true` if all are gone.
    pub(crate) fn end_all(&mut self) -> bool {
        end_folder(&self.folder)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        end_folder(&self.folder);
    }
}

impl Group {
    /// For `clone3`.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.folder.as_raw_fd()
    }

    /// Moves a process into it.
    ///
    /// # Errors
    /// If the process has ended, or the kernel refuses it.
    pub(crate) fn add(&self, process: Pid) -> io::Result<()> {
        self.write("cgroup.procs", &process.to_string())
    }

    /// Ends all of its processes, also those that are just being forked.
    pub(crate) fn kill(&self) {
        let _ = self.write("cgroup.kill", "1");
    }

    /// False also if that is not certain.
    fn is_empty(&self) -> bool {
        self.read_again(&self.events, "cgroup.events")
            .and_then(|text| field(&text, "populated"))
            .is_some_and(|populated| populated == 0)
    }

    fn begin_anew(&self) {
        self.earlier_cpu_us.store(self.all_cpu_us().unwrap_or(0), Ordering::Relaxed);
    }

    fn all_cpu_us(&self) -> Option<u64> {
        self.read_again(&self.cpu, "cpu.stat").and_then(|text| field(&text, "usage_usec"))
    }

    pub(crate) fn usage(&self) -> Usage {
        let earlier_us = self.earlier_cpu_us.load(Ordering::Relaxed);
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let memory = |file| self.has_memory.then(|| self.read(file)).flatten();
        Usage {
            cpu_us: self.all_cpu_us().map(|all_us| all_us.saturating_sub(earlier_us)),
            peak_kib: memory("memory.peak").and_then(|text| number(&text)).map(|bytes| bytes >> 10),
            oom_kills: memory("memory.events").and_then(|text| field(&text, "oom_kill")).unwrap_or(0),
        }
    }

    fn read(&self, file: &str) -> Option<String> {
        let mut text = vec![0; FILE_BYTES];
        let length = File::open(self.path.join(file)).and_then(|mut file| file.read(&mut text)).ok()?;
        text.truncate(length);
        String::from_utf8(text).ok()
    }

    /// Reads a file that stays open.
    fn read_again(&self, file: &OnceLock<File>, name: &str) -> Option<String> {
        if file.get().is_none() {
            let _ = file.set(File::open(self.path.join(name)).ok()?);
        }
        let mut text = vec![0; FILE_BYTES];
        let length = file.get()?.read_at(&mut text, 0).ok()?;
        text.truncate(length);
        String::from_utf8(text).ok()
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        write(&self.path.join(file), text)
    }
}

/// Ends what workers that are gone have left in groups beside this one. `true` if nothing is left.
pub(crate) fn end_left_behind(worker_folder: &Path) -> bool {
    let Some(own) = worker_folder.parent() else {
        return true;
    };
    let mut are_gone = true;
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_workers = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_workers && path != worker_folder && open_folder(&path).is_ok_and(|it| it.try_lock().is_ok()) {
            are_gone &= end_folder(&path);
        }
    }
    are_gone
}

/// Ends all processes of a worker's groups, and removes the groups that are empty. `true` if all are gone.
pub(crate) fn end_folder(folder: &Path) -> bool {
    let _ = write(&folder.join("cgroup.kill"), "1");
    remove(folder)
}

/// Removes a group and those in it; `false` if one of them still has processes.
fn remove(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    match fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// A new folder that nobody has taken for a dead worker's before it was locked.
fn locked_folder(own: &Path, number: u32) -> Option<(PathBuf, File)> {
    let path = own.join(format!("{PREFIX}{}-{number}", std::process::id()));
    DirBuilder::new().mode(0o755).create(&path).ok()?;
    let lock = open_folder(&path).ok()?;
    (lock.try_lock().is_ok() && path.is_dir()).then_some((path, lock))
}

/// Lets the groups in `folder` count memory, if the worker alone is in its own group: the kernel allows it only there. The
/// worker moves into a group below, since a group whose subgroups count memory has no processes of its own.
fn count_memory(own: &Path, folder: &Path) -> bool {
    let has_memory = |group: &Path| {
        let controllers = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
        controllers.split_whitespace().any(|name| name == "memory")
    };
    let enable = |group: &Path| write(&group.join("cgroup.subtree_control"), "+memory").is_ok();
    if !has_memory(own) {
        return false;
    }
    if !enable(own) {
        let members = fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
        let pid = std::process::id().to_string();
        if members.split_whitespace().ne([pid.as_str()]) {
            return false;
        }
        // Not one that a later worker takes for a dead one's.
        let home = own.join("argon.worker");
        let moved = fs::create_dir(&home)
            .or_else(unless_it_is_there)
            .and_then(|()| write(&home.join("cgroup.procs"), &pid));
        if moved.is_err() || !enable(own) {
            let _ = write(&own.join("cgroup.procs"), &pid);
            return false;
        }
    }
    has_memory(folder) && enable(folder)
}

fn unless_it_is_there(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

/// The folder of this process's group.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    group_of(&groups, &mounts)
}

/// From the texts that the kernel shows. In a container the mount may show only a part of the tree.
fn group_of(groups: &str, mounts: &str) -> Option<PathBuf> {
    let group = Path::new(groups.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts.lines().find_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, mount) = (place.next()?, place.next()?);
        let below = what.starts_with("cgroup2 ").then(|| group.strip_prefix(root).ok()).flatten()?;
        Some(Path::new(mount).join(below))
    })
}

/// One number of a file of names and numbers.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &str = "4:memory:/x\n0::/user.slice/argon.service\n";

    #[test]
    fn the_own_group_is_found_in_every_kind_of_mount() {
        let found = |mount: &str| group_of(GROUPS, &format!("22 1 8:1 / / rw - ext4 /dev/sda rw\n{mount}\n"));
        let path = |text: &str| Some(PathBuf::from(text));
        let whole = "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw";
        assert_eq!(found(whole), path("/sys/fs/cgroup/user.slice/argon.service"));
        let hybrid = "31 22 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        assert_eq!(found(hybrid), path("/sys/fs/cgroup/unified/user.slice/argon.service"));
        let part = "30 22 0:26 /user.slice /sys/fs/cgroup rw - cgroup2 cgroup rw";
        assert_eq!(found(part), path("/sys/fs/cgroup/argon.service"));
        assert_eq!(found("30 22 0:26 /other /sys/fs/cgroup rw - cgroup2 cgroup rw"), None);
        assert_eq!(found("30 22 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"), None);
        assert_eq!(group_of("4:memory:/x\n", whole), None);
    }

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let text = "usage_usec 17\nuser_usec 3\noom 1\noom_kill 2\noom_group_kill 9\n";
        assert_eq!([field(text, "usage_usec"), field(text, "oom_kill")], [Some(17), Some(2)]);
        assert_eq!(field(text, "nothing"), None);
    }
}
