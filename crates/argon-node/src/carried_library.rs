//! The Perl and the Python client that the program carries, unpacked into the user's cache for programs on a machine where
//! nothing is installed. A release has a folder of its own, named by its content.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use twox_hash::XxHash3_128;

mod files {
    include!(concat!(env!("OUT_DIR"), "/libraries.rs"));
}

/// A client's library: name of its folder, and files with their paths.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// The Perl client, for `perl -I`.
pub const PERL: Library = Library { name: "perl-lib", files: files::PERL };
/// The Python client, for `PYTHONPATH`.
pub const PYTHON: Library = Library { name: "python-lib", files: files::PYTHON };

/// Name of the link to this program next to the files, by which the clients find it where PATH does not lead to it.
const PROGRAM: &str = "argon-program";
/// The folder of another release is removed when it was not asked for within this time.
const KEPT: Duration = Duration::from_hours(30 * 24);

impl Library {
    /// Writes what is missing or differs, and returns the folder.
    ///
    /// # Errors
    /// A sentence, if there is no private place to write to.
    pub fn unpack(self) -> Result<PathBuf, String> {
        let cache = of_user(|name| std::env::var_os(name).map(PathBuf::from))?;
        self.unpack_in(&cache.join("argon").join(self.name))
    }

    fn unpack_in(self, folder: &Path) -> Result<PathBuf, String> {
        let own = folder.join(self.version());
        let unpacked = private(folder).and_then(|()| private(&own)).and_then(|()| self.fill(&own));
        unpacked.map_err(|error| {
            format!(
                "the library cannot be written to {}: {error}; name another folder in XDG_CACHE_HOME",
                own.display()
            )
        })?;
        remove_old(folder, &own);
        Ok(own)
    }

    /// Hash of names and contents.
    fn version(self) -> String {
        let mut hash = XxHash3_128::new();
        for (path, content) in self.files {
            hash.write(&(path.len() as u64).to_le_bytes());
            hash.write(path.as_bytes());
            hash.write(&(content.len() as u64).to_le_bytes());
            hash.write(content);
        }
        format!("{:032x}", hash.finish_128())
    }

    fn fill(self, folder: &Path) -> io::Result<()> {
        for (inner, content) in self.files {
            let path = folder.join(inner);
            if fs::read(&path).is_ok_and(|there| there == *content) {
                continue;
            }
            if let Some(parent) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            replace(&path, |new| {
                OpenOptions::new().create_new(true).write(true).mode(0o600).open(new)?.write_all(content)
            })?;
        }
        let program = std::env::current_exe()?;
        let link = folder.join(PROGRAM);
        if fs::read_link(&link).is_ok_and(|there| there == program) {
            return Ok(());
        }
        replace(&link, |new| symlink(&program, new))
    }
}

/// The user's cache folder by the XDG base directory specification, which ignores relative paths.
fn of_user(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, String> {
    let absolute = |name: &str| variable(name).filter(|folder| folder.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME names a folder for the library".to_owned())
}

/// Makes a folder that only this user can enter, or finds one that only this user can change.
fn private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let facts = fs::symlink_metadata(folder)?;
    let is_own = facts.is_dir() && facts.uid() == nix::unistd::geteuid().as_raw();
    if is_own && facts.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::other("other users can change that folder"))
}

/// Makes a file under another name, then puts it in its place: a reader sees all of it or nothing.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    make(&new).and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

/// Notes that `own` was asked for, and removes the folders of releases that nobody asks for any more.
fn remove_old(folder: &Path, own: &Path) {
    let now = SystemTime::now();
    let _ = File::open(own).and_then(|opened| opened.set_modified(now));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let asked = entry.metadata().and_then(|facts| facts.modified());
        let is_old = asked.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEPT));
        if is_old && entry.path() != own {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LIBRARY: Library = Library { name: "x", files: &[("A.pm", b"1;"), ("A/B.pm", b"2;")] };

    #[test]
    fn a_library_is_unpacked_once_and_mended_when_a_file_differs() {
        let home = tempfile::tempdir().expect("a folder");
        let base = home.path().join("x");
        let folder = LIBRARY.unpack_in(&base).expect("unpacked");
        assert_eq!(fs::metadata(&folder).expect("there").mode() & 0o777, 0o700);
        let (whole, damaged) = (folder.join("A.pm"), folder.join("A/B.pm"));
        let before = fs::metadata(&whole).expect("there").ino();
        fs::write(&damaged, "?").expect("written");
        assert_eq!(LIBRARY.unpack_in(&base), Ok(folder.clone()));
        assert_eq!(fs::read(&damaged).expect("there"), b"2;");
        assert_eq!(
            fs::metadata(&whole).expect("there").ino(),
            before,
            "it was right, and is not written again"
        );
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 3, "two entries and the program");
    }

    #[test]
    fn releases_that_nobody_asks_for_are_removed() {
        let home = tempfile::tempdir().expect("a folder");
        let base = home.path().join("x");
        let old = base.join("old");
        fs::create_dir_all(&old).expect("made");
        let opened = File::open(&old).expect("a folder");
        opened.set_modified(SystemTime::now() - KEPT - Duration::from_hours(1)).expect("set");
        fs::create_dir_all(base.join("recent")).expect("made");
        let own = LIBRARY.unpack_in(&base).expect("unpacked");
        assert!(!old.exists() && own.exists() && base.join("recent").exists());
    }

    #[test]
    fn a_folder_that_others_can_change_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).expect("set");
        let why = LIBRARY.unpack_in(home.path()).expect_err("refused");
        assert!(
            why.contains("other users can change that folder; name another folder in XDG_CACHE_HOME"),
            "{why}"
        );
    }

    #[test]
    fn the_clients_are_carried_whole() {
        for (library, file) in [(PERL, "Argon/Client.pm"), (PYTHON, "argon/client.py")] {
            assert!(library.files.iter().any(|(path, content)| *path == file && !content.is_empty()));
        }
    }
}
