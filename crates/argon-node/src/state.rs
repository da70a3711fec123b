//! Default folder of a server's files: the one that systemd gives it, else the user's state folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file of the store of the manager at this host and port, in a folder that can be written.
///
/// # Errors
/// The reason why there is no such folder.
pub fn store(host: &str, port: u16) -> Result<PathBuf, String> {
    let folder = folder()?;
    usable(&folder).map(|()| folder.join(format!("manager-{host}-{port}.redb")))
}

/// The folder of a server's files, which may not be there yet.
///
/// # Errors
/// The reason why none is known.
pub fn folder() -> Result<PathBuf, String> {
    match of_service() {
        Some(folder) => Ok(folder),
        None => Ok(of_user(|name| std::env::var_os(name))?.join("argon")),
    }
}

/// The folder that a service manager has made for this process.
#[must_use]
pub fn of_service() -> Option<PathBuf> {
    let folders = std::env::var_os("STATE_DIRECTORY")?;
    // There may be several, with a colon between.
    std::env::split_paths(&folders).next().filter(|folder| folder.is_absolute())
}

/// The state folder of the XDG base directory specification, which ignores relative paths.
fn of_user(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, String> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| "neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME names a folder".to_owned())
}

/// Makes the folder if it is not there, and looks whether files can be made in it.
fn usable(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .and_then(|()| {
            Ok(nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK)?)
        })
        .map_err(|error| format!("the folder {} cannot be written: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_folders_are_places() {
        let found = |variables: &'static [(&'static str, &'static str)]| {
            of_user(|name| variables.iter().find(|known| known.0 == name).map(|known| known.1.into()))
        };
        assert_eq!(found(&[("HOME", "/h")]), Ok("/h/.local/state".into()));
        assert_eq!(found(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Ok("/s".into()));
        assert_eq!(found(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")]), Ok("/h/.local/state".into()));
        assert_eq!(found(&[("HOME", "/h"), ("XDG_STATE_HOME", "")]), Ok("/h/.local/state".into()));
        for nothing in [&[][..], &[("HOME", "")], &[("HOME", "home")]] {
            assert!(found(nothing).expect_err("no place").contains("STATE_DIRECTORY"));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told_by_its_name() {
        let error = usable(Path::new("/proc/nowhere")).expect_err("nothing can be made there");
        assert!(error.starts_with("the folder /proc/nowhere cannot be written: "), "{error}");
    }
}
