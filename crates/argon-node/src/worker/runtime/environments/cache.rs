//! The cache of environments with packages: its place, its bounds, and what is whole in it.
//!
//! Each environment has a folder and a lock file, named by a hash of all that decides about it. Workers that use it share
//! the lock; who builds or removes it has the lock alone. A file next to the folder shows that it is whole.
//!
//! The files belong to the worker's user. Only the folder itself belongs to the user of the tasks, so that a worker of root
//! writes nothing where others could put links.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Users;
use crate::worker::private_folder::own_user;

/// Environments that are kept, those in use included.
const KEPT_MAX: usize = 16;
/// Bytes of all that are kept.
const KEPT_BYTES: u64 = 10 << 30;
/// Ending of the file next to an environment that is whole; it has the size in bytes.
const WHOLE: &str = "size";

/// The cache of one user, and its bounds.
#[derive(Clone, Debug)]
pub(super) struct EnvironmentCache {
    pub(super) base: PathBuf,
    pub(super) kept_max: usize,
    pub(super) kept_bytes: u64,
}

impl EnvironmentCache {
    /// That of the user that runs the tasks.
    pub(super) fn of(users: &Users) -> Self {
        Self { base: base_of(users), kept_max: KEPT_MAX, kept_bytes: KEPT_BYTES }
    }

    /// Makes its folder, which only the worker's user can change.
    pub(super) fn make(&self, users: &Users) -> io::Result<()> {
        let mode = if users.user.is_some() { 0o711 } else { 0o700 };
        if !self.base.exists() {
            DirBuilder::new().recursive(true).mode(mode).create(&self.base)?;
        }
        let facts = fs::symlink_metadata(&self.base)?;
        if facts.is_dir() && facts.uid() == own_user() && facts.mode() & 0o022 == 0 {
            Ok(())
        } else {
            Err(io::Error::other("it is not a folder that only this worker's user can change; remove it"))
        }
    }

    /// Removes environments that nobody uses, the longest unused first, until there is room for one more; and what is left
    /// of builds that were killed.
    pub(super) fn make_room(&self, coming: &str) {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.base).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_coming = path.file_name().is_some_and(|name| name == coming);
            if is_coming || !path.is_dir() {
                continue;
            }
            let whole = path.with_extension(WHOLE);
            match fs::metadata(&whole).and_then(|facts| facts.modified()) {
                Ok(used) => {
                    let size = fs::read_to_string(&whole).ok().and_then(|text| text.parse().ok());
                    kept.push((used, path, size.unwrap_or(0_u64)));
                }
                Err(_) => drop(remove_unused(&path)),
            }
        }
        kept.sort();
        let (mut count, mut bytes) = (kept.len(), kept.iter().map(|(_, _, size)| size).sum::<u64>());
        for (_, path, size) in kept {
            if count < self.kept_max && bytes <= self.kept_bytes {
                return;
            }
            if remove_unused(&path) {
                count -= 1;
                bytes -= size;
            }
        }
    }
}

/// An environment was built to its end.
pub(super) fn mark_whole(folder: &Path) -> io::Result<()> {
    fs::write(folder.with_extension(WHOLE), size_of(folder).to_string())
}

/// Notes the time of the last use.
pub(super) fn note_use(folder: &Path) {
    let file = OpenOptions::new().append(true).open(folder.with_extension(WHOLE));
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

/// In the cache of the user that runs the tasks.
fn base_of(users: &Users) -> PathBuf {
    if let Some(user) = &users.user {
        return PathBuf::from("/var/cache/argon-environments").join(user.name());
    }
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let temporary = || std::env::temp_dir().join(format!("argon-environments-{}", own_user()));
    cache.map_or_else(temporary, |cache| cache.join("argon/environments"))
}

/// Makes the empty folder of an environment, which belongs to the user of the tasks.
pub(super) fn make_folder(folder: &Path, users: &Users) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    DirBuilder::new().mode(0o755).create(folder)?;
    users.user.as_ref().map_or(Ok(()), |user| user.own_file(folder))
}

/// Opens a lock file.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// True if an environment was built to its end.
pub(super) fn is_whole(folder: &Path) -> bool {
    folder.with_extension(WHOLE).is_file() && folder.is_dir()
}

/// Bytes of all files below a folder.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => size_of(&entry.path()),
            Ok(facts) => facts.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Removes an environment that no worker has locked. Its lock file goes, too.
fn remove_unused(path: &Path) -> bool {
    let lock_path = path.with_extension("lock");
    let Ok(lock) = open_lock(&lock_path) else {
        return false;
    };
    if lock.try_lock().is_err() {
        return false;
    }
    let _ = fs::remove_file(path.with_extension(WHOLE));
    let is_gone = fs::remove_dir_all(path).is_ok();
    tracing::info!("the environment {} was not used for long, and is removed", path.display());
    is_gone
}
