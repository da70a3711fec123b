//! Environments with packages that clients list: built once, in the cache that later workers of the user find.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use argon_proto::BlobHash;
use bytes::Bytes;

use super::UsableFolder;
use super::cache::{self, EnvironmentCache};
use super::installer::{self, Stopped};
use super::order::{Cancelled, PackageOrder};

/// Bytes of one list.
const LIST_BYTES_MAX: usize = 64 << 10;
/// Pause between two looks whether a lock is free or the build is cancelled.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why there is no environment.
#[derive(Debug)]
pub(super) enum NoPackages {
    /// Nobody waits for it.
    Cancelled,
    /// A message for people.
    Failed(String),
}

/// Number of packages in a list.
pub(super) fn count(list: &str) -> usize {
    requirements(list).count()
}

/// The lines of a list that name packages.
fn requirements(list: &str) -> impl Iterator<Item = &str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The environment with these packages: that of the cache, or a new one. One at a time of this worker is built.
pub(super) fn provide(
    wanted: &PackageOrder,
    turn: &Mutex<()>,
    cancelled: &Cancelled,
) -> Result<UsableFolder, NoPackages> {
    provide_in(&EnvironmentCache::of(&wanted.users), wanted, turn, cancelled)
}

fn provide_in(
    cache: &EnvironmentCache,
    wanted: &PackageOrder,
    turn: &Mutex<()>,
    cancelled: &Cancelled,
) -> Result<UsableFolder, NoPackages> {
    check(&wanted.list).map_err(|why| NoPackages::Failed(with_worker(wanted, &why)))?;
    let failed = |path: &Path, error: &io::Error| {
        let why = format!("{} cannot be used: {error}", path.display());
        NoPackages::Failed(with_worker(wanted, &why))
    };
    cache.make(&wanted.users).map_err(|error| failed(&cache.base, &error))?;
    let key = key_of(wanted);
    let folder = cache.base.join(&key);
    let path = cache.base.join(format!("{key}.lock"));
    let lock = cache::open_lock(&path).map_err(|error| failed(&path, &error))?;
    loop {
        wait(cancelled, || lock.try_lock_shared().is_ok())?;
        if cache::is_whole(&folder) {
            cache::note_use(&folder);
            let program = folder.join("bin/python3");
            return Ok(UsableFolder { prefix: folder, program, _lock: Some(Arc::new(lock)) });
        }
        let _ = lock.unlock();
        let _turn = my_turn(turn, cancelled)?;
        wait(cancelled, || lock.try_lock().is_ok())?;
        if !cache::is_whole(&folder) {
            cache.make_room(&key);
            build(wanted, &folder, cancelled)?;
        }
        // Another worker may remove it before the lock is shared: then it is built again.
        let _ = lock.unlock();
    }
}

fn build(wanted: &PackageOrder, folder: &Path, cancelled: &Cancelled) -> Result<(), NoPackages> {
    let failed = |error: io::Error| Stopped::Failed(format!("{}: {error}", folder.display()));
    let result = cache::make_folder(folder, &wanted.users).map_err(failed);
    let result = result.and_then(|()| installer::install(wanted, folder, cancelled));
    let result = result.and_then(|()| cache::mark_whole(folder).map_err(failed));
    result.map_err(|stopped| {
        let _ = fs::remove_dir_all(folder);
        match stopped {
            Stopped::Cancelled => NoPackages::Cancelled,
            Stopped::Failed(why) => NoPackages::Failed(with_worker(wanted, &why)),
        }
    })
}

fn with_worker(wanted: &PackageOrder, why: &str) -> String {
    let packages = match count(&wanted.list) {
        1 => "the package of the task cannot be installed".to_owned(),
        count => format!("the {count} packages of the task cannot be installed"),
    };
    format!("{packages} on worker {} for Python {}: {why}", wanted.worker, wanted.full_version)
}

/// Refuses what is more than names and versions: options of the installer would read files of the worker.
fn check(list: &str) -> Result<(), String> {
    if list.len() > LIST_BYTES_MAX {
        return Err(format!("the list is longer than {LIST_BYTES_MAX} bytes"));
    }
    match requirements(list).find(|line| line.starts_with('-') || line.contains(char::is_control)) {
        Some(line) => Err(format!("'{}' is not a requirement such as numpy==2.4", line.escape_debug())),
        None if count(list) == 0 => Err("the list is empty".to_owned()),
        None => Ok(()),
    }
}

/// The name of the folder of an environment.
fn key_of(wanted: &PackageOrder) -> String {
    let PackageOrder { list, full_version, program, config, .. } = wanted;
    let real = fs::canonicalize(program).unwrap_or_else(|_| program.clone());
    let index = config.index.as_deref().unwrap_or_default();
    let mut lines: Vec<&str> = requirements(list).collect();
    lines.sort_unstable();
    let text = format!(
        "argon packages 1\n{full_version}\n{}\n{}\n{index}\n{}",
        real.display(),
        std::env::consts::ARCH,
        lines.join("\n")
    );
    let mut key = BlobHash::of(&[Bytes::from(text)]).to_string();
    key.truncate(32);
    key
}

/// Waits until `is_free`, unless it is cancelled before.
fn wait(cancelled: &Cancelled, mut is_free: impl FnMut() -> bool) -> Result<(), NoPackages> {
    while !is_free() {
        if cancelled.load(Ordering::Relaxed) {
            return Err(NoPackages::Cancelled);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

fn my_turn<'a>(
    turn: &'a Mutex<()>,
    cancelled: &Cancelled,
) -> Result<std::sync::MutexGuard<'a, ()>, NoPackages> {
    let mut taken = None;
    wait(cancelled, || {
        taken = match turn.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        taken.is_some()
    })?;
    taken.ok_or(NoPackages::Cancelled)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Users;
    use super::super::order::PackagesConfig;
    use super::*;

    /// A Python that makes and fills venvs as the real one does, and writes down each build.
    const PYTHON: &str = r#"#!/bin/sh
base=${0%/*}
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python3" && echo "$base" > "$3/base" ;;
    *"-m pip install "*)
        echo built >> "$(cat "$base/../base")/builds"
        while [ -e "$(cat "$base/../base")/hang" ]; do sleep 0.02; done
        list=$(for word; do :; done; echo "$word")
        if grep -q broken "$list"; then echo "ERROR: No matching distribution found for broken"; exit 1; fi ;;
esac
"#;

    struct Machine {
        folder: tempfile::TempDir,
        cache: EnvironmentCache,
    }

    impl Machine {
        fn new() -> Self {
            use std::os::unix::fs::PermissionsExt;
            let folder = tempfile::tempdir().expect("made");
            let python = folder.path().join("python3");
            fs::write(&python, PYTHON).expect("written");
            fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("allowed");
            let cache =
                EnvironmentCache { base: folder.path().join("cache"), kept_max: 2, kept_bytes: 1 << 20 };
            Self { folder, cache }
        }

        fn wanted(&self, list: &str) -> PackageOrder {
            PackageOrder {
                list: list.to_owned(),
                full_version: "3.11.2".to_owned(),
                program: self.folder.path().join("python3"),
                config: PackagesConfig { index: Some(self.folder.path().display().to_string()) },
                users: Users { user: None, sandbox: None },
                worker: "here:1".to_owned(),
                uses_uv: false,
            }
        }

        fn provide(&self, list: &str) -> Result<UsableFolder, NoPackages> {
            provide_in(&self.cache, &self.wanted(list), &Mutex::new(()), &Cancelled::default())
        }

        fn builds(&self) -> usize {
            fs::read_to_string(self.folder.path().join("builds")).unwrap_or_default().lines().count()
        }
    }

    fn why(result: Result<UsableFolder, NoPackages>) -> String {
        match result {
            Err(NoPackages::Failed(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_is_built_once_in_whatever_order_it_comes() {
        let machine = Machine::new();
        let first = machine.provide("a==1\nb\n").expect("built");
        assert!(first.program.is_file());
        let again = machine.provide("# my list\nb\na==1").expect("found");
        assert_eq!((first.prefix, machine.builds()), (again.prefix, 1));
        machine.provide("a==2").expect("built");
        assert_eq!(machine.builds(), 2);
    }

    #[test]
    fn a_broken_list_ends_in_a_sentence_with_the_words_of_the_installer() {
        let machine = Machine::new();
        let message = "the 2 packages of the task cannot be installed on worker here:1 for Python 3.11.2: \
             pip: ERROR: No matching distribution found for broken";
        assert_eq!(why(machine.provide("a\nbroken")), message);
        let left = fs::read_dir(&machine.cache.base).expect("there").flatten().map(|entry| entry.path());
        let left: Vec<PathBuf> =
            left.filter(|path| path.extension().is_none_or(|end| end != "lock")).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }

    #[test]
    fn options_of_the_installer_are_no_requirements() {
        let machine = Machine::new();
        for list in ["-r /etc/passwd", "a\n  --index-url=http://x", "", "# nothing", "a\u{1b}[2J"] {
            assert!(why(machine.provide(list)).contains("cannot be installed"), "{list}");
        }
        assert_eq!(machine.builds(), 0);
    }

    #[test]
    fn a_build_ends_when_nobody_waits_for_it() {
        let machine = Machine::new();
        fs::write(machine.folder.path().join("hang"), "").expect("written");
        let cancelled = Cancelled::default();
        let (wanted, cache, stop) = (machine.wanted("a"), machine.cache.clone(), Arc::clone(&cancelled));
        let build = std::thread::spawn(move || provide_in(&cache, &wanted, &Mutex::new(()), &stop));
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while machine.builds() == 0 {
            assert!(std::time::Instant::now() < until, "the build did not begin");
            std::thread::yield_now();
        }
        cancelled.store(true, Ordering::Relaxed);
        assert!(matches!(build.join().expect("ended"), Err(NoPackages::Cancelled)));
        fs::remove_file(machine.folder.path().join("hang")).expect("removed");
        machine.provide("a").expect("built anew");
        assert_eq!(machine.builds(), 2);
    }

    #[test]
    fn the_longest_unused_environment_makes_room_and_one_in_use_stays() {
        let machine = Machine::new();
        let in_use = machine.provide("a").expect("built");
        let second = machine.provide("b").expect("built").prefix;
        let third = machine.provide("c").expect("built").prefix;
        assert!(in_use.prefix.is_dir() && !second.exists() && third.is_dir());
        // What a killed worker has left.
        let left = machine.cache.base.join("left");
        fs::create_dir(&left).expect("made");
        machine.provide("d").expect("built");
        assert!(!left.exists() && !third.exists());
    }
}
