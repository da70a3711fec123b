//! A folder of one worker that only its user can enter, and the user of its runners, if that is another one.
//!
//! The worker keeps it locked while it lives, so that the next one can tell what a killed worker has left.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::process::user::RunAs;

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// The system refuses something.
    #[error("{path} cannot be {what}: {source}")]
    System { path: PathBuf, what: &'static str, source: io::Error },
    /// Another user could put files there.
    #[error("{path} is not a folder that only this worker's user can change; remove it")]
    NotPrivate { path: PathBuf },
    /// The user of the runners would not find it.
    #[error("the user {user} of --run-as cannot pass through the folders above {path}")]
    OutOfReach { path: PathBuf, user: String },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    path: PathBuf,
    _lock: File,
}

impl PrivateFolder {
    /// Makes the folder of the worker of this name, in the first of `bases` that will do. `visitor` can pass through it, and
    /// change nothing.
    ///
    /// # Errors
    /// If none will do: why the last does not.
    pub(crate) fn make(bases: &[PathBuf], name: &str, visitor: Option<&RunAs>) -> Result<Self, FolderError> {
        let (last, others) =
            bases.split_last().ok_or_else(|| FolderError::NotPrivate { path: PathBuf::new() })?;
        others
            .iter()
            .find_map(|base| Self::make_in(base, name, visitor).ok())
            .map_or_else(|| Self::make_in(last, name, visitor), Ok)
    }

    fn make_in(base: &Path, name: &str, visitor: Option<&RunAs>) -> Result<Self, FolderError> {
        let failed = |path: &Path, what| {
            let path = path.to_owned();
            move |source| FolderError::System { path, what, source }
        };
        let make = |path: &Path| {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path, "made"))?;
            match visitor {
                _ if !is_own(path) => Err(FolderError::NotPrivate { path: path.to_owned() }),
                None if is_private(path) => Ok(()),
                None => Err(FolderError::NotPrivate { path: path.to_owned() }),
                Some(visitor) => {
                    let passable = Permissions::from_mode(0o711);
                    fs::set_permissions(path, passable).map_err(failed(path, "opened"))?;
                    let user = visitor.name().to_owned();
                    let out_of_reach = || FolderError::OutOfReach { path: path.to_owned(), user };
                    visitor.reaches(path).then_some(()).ok_or_else(out_of_reach)
                }
            }
        };
        make(base)?;
        // One worker at a time tidies up and makes its folder, so that none takes a new one for an old one.
        let turn = base.join("lock");
        let _turn = locked(&turn).map_err(failed(&turn, "locked"))?;
        remove_left_behind(base);
        let path = base.join(name);
        make(&path)?;
        let lock = path.join("lock");
        let lock = locked(&lock).map_err(failed(&lock, "locked"))?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The user of this process.
pub(crate) fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn is_own(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir() && facts.uid() == own_user())
}

fn is_private(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|facts| facts.mode() & 0o077 == 0)
}

fn locked(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)?;
    file.lock()?;
    Ok(file)
}

/// Removes the folders of workers that are gone.
fn remove_left_behind(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let lock = entry.path().join("lock");
        let is_free = File::open(lock).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_free {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
