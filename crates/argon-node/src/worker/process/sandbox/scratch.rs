//! Scratch folders: where a task in the sandbox may write, and where a command with files starts. Such a process has one;
//! it is emptied after each task and goes with the process.
//!
//! The worker only moves files away, which takes no time; a thread removes them.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use argon_proto::WorkerId;

use crate::worker::private_folder::{FolderError, PrivateFolder, own_user};
use crate::worker::process::user::RunAs;

/// Files that are moved away after a task. A runner whose task has left more is replaced.
const MOVES_MAX: usize = 10_000;

/// The scratch folders of a worker.
#[derive(Debug)]
pub(crate) struct Scratches {
    folder: PrivateFolder,
    user: Option<Arc<RunAs>>,
    trash: Trash,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    trash: Trash,
}

/// A folder from which a thread removes what is moved there.
#[derive(Clone, Debug)]
struct Trash {
    folder: PathBuf,
    names: Arc<AtomicU64>,
    removed: mpsc::Sender<PathBuf>,
}

impl Scratches {
    pub(crate) fn make(worker: WorkerId, user: Option<Arc<RunAs>>) -> Result<Self, FolderError> {
        let temporary = std::env::temp_dir();
        let name = match &user {
            Some(_) => "argon-scratch-run-as".to_owned(),
            None => format!("argon-scratch-{}", own_user()),
        };
        let bases = [temporary.join(&name), Path::new("/tmp").join(&name)];
        let folder = PrivateFolder::make(&bases, &worker.to_string()[..16], user.as_deref())?;
        let trash = folder.path().join("trash");
        let failed = |source| FolderError::System { path: trash.clone(), what: "made", source };
        DirBuilder::new().mode(0o700).create(&trash).map_err(failed)?;
        let (removed, remover) = mpsc::channel::<PathBuf>();
        let remove = move || remover.iter().for_each(|path| remove(&path));
        std::thread::Builder::new().name("argon scratch".to_owned()).spawn(remove).map_err(failed)?;
        Ok(Self { folder, user, trash: Trash { folder: trash, names: Arc::default(), removed } })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn scratch(&self, number: u64) -> io::Result<Scratch> {
        let path = self.folder.path().join(number.to_string());
        DirBuilder::new().mode(0o700).create(&path)?;
        let scratch = Scratch { path, trash: self.trash.clone() };
        self.user.as_ref().map_or(Ok(()), |user| user.own_file(&scratch.path))?;
        Ok(scratch)
    }
}

impl Drop for Scratches {
    fn drop(&mut self) {
        // The folder is removed next.
        open_all(self.folder.path());
    }
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves away what a task has left. Returns false if that is too much: its process must end.
    pub(crate) fn empty(&self) -> bool {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut count = 0;
        let are_moved = entries.take(MOVES_MAX).all(|entry| {
            count += 1;
            self.trash.take(&entry.path())
        });
        are_moved && count < MOVES_MAX
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.trash.take(&self.path);
    }
}

impl Trash {
    /// True if it has taken the file or folder.
    fn take(&self, path: &Path) -> bool {
        let place = self.folder.join(self.names.fetch_add(1, Ordering::Relaxed).to_string());
        let moved = fs::rename(path, &place).or_else(|_| {
            // The owner of a folder that cannot be written cannot move it either.
            open(path)?;
            fs::rename(path, &place)
        });
        if moved.is_ok() {
            let _ = self.removed.send(place);
        }
        moved.is_ok()
    }
}

/// Removes a file, or a folder with all below it.
fn remove(path: &Path) {
    let remove = || match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    // What cannot be removed now goes with the worker's folder.
    let _ = remove().or_else(|_| {
        open_all(path);
        remove()
    });
}

/// Makes all folders below this one writable for their owner. Root needs no such help, and must not follow what a task
/// exchanges meanwhile.
fn open_all(folder: &Path) {
    if own_user() == 0 || open(folder).is_err() {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_all(&entry.path());
        }
    }
}

fn open(folder: &Path) -> io::Result<()> {
    if own_user() == 0 || !fs::symlink_metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tasks_leave_is_removed_also_folders_that_cannot_be_written() {
        let base = tempfile::tempdir().expect("made");
        let (removed, remover) = mpsc::channel();
        let trash = Trash { folder: base.path().join("trash"), names: Arc::default(), removed };
        let scratch = Scratch { path: base.path().join("1"), trash: trash.clone() };
        fs::create_dir(&trash.folder).expect("made");
        fs::create_dir_all(scratch.path().join("locked/inner")).expect("made");
        fs::write(scratch.path().join("locked/inner/file"), "x").expect("written");
        fs::set_permissions(scratch.path().join("locked/inner"), Permissions::from_mode(0o500)).expect("set");
        fs::set_permissions(scratch.path().join("locked"), Permissions::from_mode(0o500)).expect("set");
        assert!(scratch.empty());
        assert_eq!(fs::read_dir(scratch.path()).expect("it stays").count(), 0);
        drop((scratch, trash));
        remover.iter().for_each(|path| remove(&path));
        assert_eq!(fs::read_dir(base.path().join("trash")).expect("it stays").count(), 0);
        assert!(!base.path().join("1").exists());
    }
}
