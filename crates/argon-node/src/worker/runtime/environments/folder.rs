//! The folder of a client's interpreter: is it on this machine, and is it the same one?
//!
//! Nothing in it is executed here. Its interpreter runs when the pool starts a process of the tasks' user.

use std::fs;
use std::path::{Path, PathBuf};

use argon_core::pool::Version;

use super::mark::mark_of;
use super::{UsableFolder, Users};

/// A longer path is none of a folder.
const PREFIX_BYTES_MAX: usize = 4096;

/// A folder to look for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) prefix: String,
    pub(super) mark: String,
    pub(super) version: Version,
    /// The worker's own interpreter of the version.
    pub(super) own: Option<PathBuf>,
}

/// The folder, if it is here, is the client's, may be used by tasks, and is not the worker's own.
pub(super) fn look(wanted: &Wanted, users: &Users) -> Option<UsableFolder> {
    let Wanted { prefix, mark, version, own } = wanted;
    let prefix = Path::new(prefix).to_owned();
    if !prefix.is_absolute() || prefix.as_os_str().len() > PREFIX_BYTES_MAX {
        return None;
    }
    let names = [format!("python{version}"), "python3".to_owned(), "python".to_owned()];
    let program = names
        .iter()
        .map(|name| prefix.join("bin").join(name))
        .find(|program| mark_of(&prefix, program).is_ok_and(|found| found == *mark))?;
    let libraries = prefix.join("lib").join(format!("python{version}"));
    let is_usable = libraries.is_dir() && users.may_run(&libraries) && users.may_run(&program);
    let is_own = own.as_ref().is_some_and(|own| is_same(own, &program));
    (is_usable && !is_own).then_some(UsableFolder { prefix, program, _lock: None })
}

/// True for two names of one interpreter in one folder. A link in another folder is another environment.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let folder = |path: &Path| path.parent().and_then(real);
    real(one).is_some() && real(one) == real(other) && folder(one) == folder(other)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const VERSION: Version = Version { major: 3, minor: 11 };

    /// A folder that looks like a venv of a Python in `base`.
    fn venv(base: &Path, name: &str) -> PathBuf {
        let prefix = base.join(name);
        fs::create_dir_all(prefix.join("bin")).expect("made");
        fs::create_dir_all(prefix.join("lib/python3.11")).expect("made");
        fs::write(prefix.join("pyvenv.cfg"), format!("home = {name}\n")).expect("written");
        symlink(base.join("python3.11"), prefix.join("bin/python3.11")).expect("linked");
        prefix
    }

    fn wanted(prefix: &Path, mark: &str) -> Wanted {
        let prefix = prefix.to_str().expect("text").to_owned();
        Wanted { prefix, mark: mark.to_owned(), version: VERSION, own: None }
    }

    #[test]
    fn the_folder_with_the_mark_of_the_client_is_used_and_another_one_is_not() {
        let base = tempfile::tempdir().expect("made");
        fs::write(base.path().join("python3.11"), "").expect("written");
        let [one, other] = ["one", "other"].map(|name| venv(base.path(), name));
        let mark = mark_of(&one, &one.join("bin/python3.11")).expect("there");
        let users = Users { user: None, sandbox: None };
        let found = look(&wanted(&one, &mark), &users).expect("found");
        assert_eq!((found.prefix, found.program), (one.clone(), one.join("bin/python3.11")));
        assert!(look(&wanted(&other, &mark), &users).is_none(), "another folder");
        assert!(look(&wanted(&one.join("none"), &mark), &users).is_none(), "no folder");
        let version = Version { major: 3, minor: 12 };
        assert!(look(&Wanted { version, ..wanted(&one, &mark) }, &users).is_none(), "another version");
        fs::remove_file(one.join("pyvenv.cfg")).expect("removed");
        fs::write(one.join("pyvenv.cfg"), "home = elsewhere, made anew\n").expect("written");
        assert!(look(&wanted(&one, &mark), &users).is_none(), "made anew");
    }

    #[test]
    fn the_folder_of_the_workers_own_interpreter_is_no_other_environment() {
        let base = tempfile::tempdir().expect("made");
        fs::write(base.path().join("python3.11"), "").expect("written");
        let prefix = venv(base.path(), "one");
        symlink("python3.11", prefix.join("bin/python3")).expect("linked");
        let mark = mark_of(&prefix, &prefix.join("bin/python3.11")).expect("there");
        let users = Users { user: None, sandbox: None };
        let with_own = |own: PathBuf| Wanted { own: Some(own), ..wanted(&prefix, &mark) };
        assert!(look(&with_own(prefix.join("bin/python3")), &users).is_none());
        assert!(look(&with_own(base.path().join("python3.11")), &users).is_some());
    }
}
