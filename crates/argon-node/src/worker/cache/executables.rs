//! The clients' own executables as files that can be started: private to this user, bounded, and gone with the worker.
//!
//! A file is written under another name and renamed, so it is whole or not there; before it is started
//! again it must still be the file that was written.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use argon_core::Time;
use argon_proto::{BlobHash, ByteLru, Payload};
use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::worker::private_folder::{FolderError, PrivateFolder, own_user};
use crate::worker::process::user::RunAs;

/// Bytes of executables that are kept in addition to those that tasks at this worker name.
const KEPT_BYTES: u64 = 1 << 30;
/// An executable that was not started for this time is removed.
const COLD_AFTER: Duration = Duration::from_secs(3600);

/// Reason why an executable has no file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecutableError {
    /// The system refuses something.
    #[error(
        "its file {path} cannot be {what}: {source}; free some room, or set XDG_CACHE_HOME for the worker"
    )]
    System { path: PathBuf, what: &'static str, source: io::Error },
    /// No folder can be used.
    #[error("{0}; set XDG_CACHE_HOME for the worker")]
    Folder(#[from] FolderError),
}

/// The executables of one worker.
#[derive(Debug)]
pub(crate) struct Executables {
    /// Parents of the folders of this user's workers; the first that can be used is taken.
    bases: Vec<PathBuf>,
    name: String,
    /// This worker's folder, once there is something to keep.
    folder: Option<PrivateFolder>,
    held: ByteLru<BlobHash, Held>,
    bytes_max: u64,
    /// User who executes them, if it is not that of this process.
    user: Option<Arc<RunAs>>,
}

#[derive(Debug)]
struct Held {
    path: PathBuf,
    stamp: Stamp,
    used: Time,
}

/// Facts that change with a file. No one can set the time of its last change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
    owner: u32,
}

impl Executables {
    /// The executables of the worker of this name; nothing is touched before there is one.
    pub(crate) fn new(worker: &str, user: Option<Arc<RunAs>>) -> Self {
        let bases = if user.is_some() { bases_to_share() } else { bases() };
        Self { user, ..Self::within(bases, KEPT_BYTES, worker) }
    }

    fn within(bases: Vec<PathBuf>, bytes_max: u64, worker: &str) -> Self {
        Self { bases, name: worker.to_owned(), folder: None, held: ByteLru::default(), bytes_max, user: None }
    }

    /// The file of an executable, if it is here and still what it was.
    pub(crate) fn find(&mut self, hash: BlobHash, now: Time) -> Option<PathBuf> {
        let held = self.held.get(&hash)?;
        let found = Stamp::of(&held.path).ok().filter(|found| found.owner == own_user());
        match found {
            Some(found) if found == held.stamp => {}
            Some(found) if hash_of(&held.path).is_ok_and(|is| is == hash) => held.stamp = found,
            Some(_) | None => {
                tracing::warn!("{} was changed by somebody, and is not used any more", held.path.display());
                self.remove(hash);
                return None;
            }
        }
        held.used = now;
        Some(held.path.clone())
    }

    /// Writes an executable, after making room for it. Those in `wanted` stay.
    pub(crate) fn add(
        &mut self,
        hash: BlobHash,
        payload: &Payload,
        now: Time,
        wanted: &FxHashSet<BlobHash>,
    ) -> Result<PathBuf, ExecutableError> {
        self.make_room(payload.len(), wanted);
        let folder = self.folder()?.to_owned();
        let path = folder.join(hash.to_string());
        let unfinished = folder.join("unfinished");
        let failed = |what| {
            let path = path.clone();
            move |source| ExecutableError::System { path, what, source }
        };
        write(&unfinished, payload, self.user.as_deref()).map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            failed("written")(error)
        })?;
        fs::rename(&unfinished, &path).map_err(failed("named"))?;
        let stamp = Stamp::of(&path).map_err(failed("read"))?;
        self.held.insert(hash, Held { path: path.clone(), stamp, used: now }, stamp.bytes);
        Ok(path)
    }

    /// When [`Self::remove_cold`] has something to do.
    pub(crate) fn cold_at(&self) -> Option<Time> {
        self.held.iter().next().map(|(_, held)| held.used + COLD_AFTER)
    }

    /// Removes what was not started for long. What is `wanted` counts as used. Returns what is gone.
    pub(crate) fn remove_cold(&mut self, now: Time, wanted: &FxHashSet<BlobHash>) -> Vec<BlobHash> {
        for hash in wanted {
            if let Some(held) = self.held.get(hash) {
                held.used = now;
            }
        }
        let cold: Vec<BlobHash> = self
            .held
            .iter()
            .filter(|(_, held)| now.since(held.used) >= COLD_AFTER)
            .map(|(hash, _)| *hash)
            .collect();
        cold.iter().for_each(|hash| self.remove(*hash));
        cold
    }

    #[cfg(test)]
    fn contains(&self, hash: BlobHash) -> bool {
        self.held.contains(&hash)
    }

    fn make_room(&mut self, bytes: u64, wanted: &FxHashSet<BlobHash>) {
        let left = self.bytes_max.saturating_sub(bytes);
        for (_, held) in self.held.shrink_to(left, |hash| wanted.contains(hash)) {
            held.remove_file();
        }
    }

    fn remove(&mut self, hash: BlobHash) {
        if let Some(held) = self.held.remove(&hash) {
            held.remove_file();
        }
    }

    fn folder(&mut self) -> Result<&Path, ExecutableError> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => PrivateFolder::make(&self.bases, &self.name, self.user.as_deref())?,
        };
        Ok(self.folder.insert(folder).path())
    }
}

impl Held {
    /// Removes the file. A process that executes it is not affected.
    fn remove_file(self) {
        let _ = fs::remove_file(self.path);
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let facts: Metadata = fs::symlink_metadata(path)?;
        if !facts.is_file() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self {
            device: facts.dev(),
            inode: facts.ino(),
            bytes: facts.len(),
            changed: (facts.ctime(), facts.ctime_nsec()),
            owner: facts.uid(),
        })
    }
}

/// In the user's cache, or with other temporary files if there is none.
fn bases() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let private = cache.map(|cache| cache.join("argon/executables"));
    let temporary = std::env::temp_dir().join(format!("argon-executables-{}", own_user()));
    private.into_iter().chain([temporary]).collect()
}

/// For the user of runners, who reads and executes what it cannot change. `/run` is often mounted noexec.
fn bases_to_share() -> Vec<PathBuf> {
    ["/var/cache/argon-executables", "/tmp/argon-executables-run-as"].map(PathBuf::from).into()
}

fn write(path: &Path, payload: &Payload, user: Option<&RunAs>) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(path)?;
    if let Some(user) = user {
        user.share_file(&file)?;
        file.set_permissions(Permissions::from_mode(0o550))?;
    }
    payload.parts().iter().try_for_each(|part| file.write_all(part))
}

fn hash_of(path: &Path) -> io::Result<BlobHash> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(BlobHash::of(&[Bytes::from(bytes)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache in a temporary folder, which is removed with the second value.
    fn executables(bytes_max: u64) -> (Executables, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("made");
        (Executables::within(vec![folder.path().join("base")], bytes_max, "one"), folder)
    }

    fn blob(byte: u8) -> (BlobHash, Payload) {
        let payload = Payload::from_parts(vec![vec![byte; 60].into(), vec![byte; 40].into()]);
        (BlobHash::of(payload.parts()), payload)
    }

    fn none() -> FxHashSet<BlobHash> {
        FxHashSet::default()
    }

    #[test]
    fn a_file_is_private_executable_and_gone_with_the_worker() {
        let (mut executables, _folder) = executables(1000);
        let (hash, payload) = blob(1);
        let path = executables.add(hash, &payload, Time(0), &none()).expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o500, 0o700));
        assert_eq!(fs::read(&path).expect("readable"), [1; 100]);
        assert_eq!(executables.find(hash, Time(1)), Some(path.clone()));
        drop(executables);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_somebody_changed_is_never_started() {
        let (mut executables, _folder) = executables(1000);
        let (hash, payload) = blob(1);
        let path = executables.add(hash, &payload, Time(0), &none()).expect("written");
        fs::remove_file(&path).expect("removed");
        fs::write(&path, [1; 100]).expect("written");
        assert_eq!(executables.find(hash, Time(1)), Some(path.clone()), "the same bytes are as good");
        fs::write(&path, [2; 100]).expect("written");
        assert_eq!(executables.find(hash, Time(2)), None);
        assert!(!path.exists() && !executables.contains(hash));
    }

    #[test]
    fn beyond_the_limit_the_one_not_started_for_longest_goes_unless_it_is_wanted() {
        let (mut executables, _folder) = executables(250);
        let [one, two, three] = [1, 2, 3].map(blob);
        executables.add(one.0, &one.1, Time(1), &none()).expect("written");
        executables.add(two.0, &two.1, Time(2), &none()).expect("written");
        executables.add(three.0, &three.1, Time(3), &FxHashSet::from_iter([one.0])).expect("written");
        assert_eq!([one.0, two.0, three.0].map(|hash| executables.contains(hash)), [true, false, true]);
        let late = Time(3) + COLD_AFTER;
        assert_eq!(executables.remove_cold(late, &FxHashSet::from_iter([three.0])), [one.0]);
        assert_eq!(executables.held.bytes(), 100);
    }

    #[test]
    fn what_a_killed_worker_left_is_removed_and_what_a_living_one_has_stays() {
        let (mut living, _folder) = executables(1000);
        let (hash, payload) = blob(1);
        living.add(hash, &payload, Time(0), &none()).expect("written");
        let left = living.bases[0].join("killed");
        fs::create_dir(&left).expect("made");
        fs::write(left.join("lock"), "").expect("written");
        let mut other = Executables::within(living.bases.clone(), 1000, "two");
        other.add(hash, &payload, Time(0), &none()).expect("written");
        assert!(!left.exists() && living.find(hash, Time(1)).is_some());
    }

    #[test]
    fn a_folder_that_others_can_change_is_not_used() {
        let (mut executables, _folder) = executables(1000);
        fs::create_dir(&executables.bases[0]).expect("made");
        fs::set_permissions(&executables.bases[0], fs::Permissions::from_mode(0o777)).expect("allowed");
        let (hash, payload) = blob(1);
        let error = executables.add(hash, &payload, Time(0), &none()).expect_err("not private");
        assert!(error.to_string().contains("is not a folder that only this worker's user can change"));
    }
}
