//! Where the cluster key is: a named file, `ARGON_KEY`, or the user's config folder; and how a manager makes one.
//!
//! Owns the search and the file's form and mode. It proves nothing to anybody: that is the handshake's.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use argon_proto::key::{Key, ParseKeyError, Role, Scope};

/// A key and where it came from.
#[derive(Debug, Clone)]
pub struct Found {
    /// The key.
    pub key: Key,
    /// Its file, or the name of the environment variable that held it.
    pub source: String,
    /// Whether it was made just now.
    pub is_new: bool,
}

/// Why there is no key to use. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither a variable nor a folder says where to look.
    #[error(
        "no place for the key is known: neither HOME nor XDG_CONFIG_HOME is set; name a file with --key or ARGON_KEY"
    )]
    NoPlace,
    /// There is no file.
    #[error(
        "there is no key at {path}: 'argon up' makes one and starts a manager and a worker on this machine; to join \
         others, copy the file from the manager's machine ('argon key' there shows where it is) and name it with \
         --key or ARGON_KEY"
    )]
    Missing {
        /// Where it would be.
        path: String,
    },
    /// A folder was named.
    #[error("{path} is a folder; name the file in it that holds the key, such as {path}/key")]
    Folder {
        /// The folder.
        path: String,
    },
    /// The file cannot be read.
    #[error("the key {path} cannot be read: {why}; see who may read it")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        why: io::Error,
    },
    /// The file's mode gives it away.
    #[error("the key {path} can be read by others; run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: String,
    },
    /// What was found is no key.
    #[error("{place} is {error}")]
    NotAKey {
        /// The file or the variable.
        place: String,
        /// What a key looks like.
        error: ParseKeyError,
    },
    /// A new key could not be written.
    #[error("a key cannot be made at {path}: {why}; name another place with --key")]
    NotMade {
        /// The file.
        path: String,
        /// What the system said.
        why: io::Error,
    },
}

/// Where the key is kept when nobody says otherwise.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(folder.join("argon").join("key"))
}

/// Finds the key that this user was given; `named` is a file that was named for it, such as the value of `--key`.
///
/// # Errors
/// If there is none, or it cannot be used.
pub fn find(named: Option<&Path>) -> Result<Found, KeyError> {
    match place(named)? {
        Place::Text(key) => Ok(key),
        Place::File(path) => read(&path),
    }
}

/// Finds the key, or makes one where it would be.
///
/// # Errors
/// If it can be neither read nor made.
pub fn find_or_make(named: Option<&Path>) -> Result<Found, KeyError> {
    match place(named)? {
        Place::Text(key) => Ok(key),
        Place::File(path) if path.exists() => read(&path),
        Place::File(path) => make(&path),
    }
}

enum Place {
    Text(Found),
    File(PathBuf),
}

fn place(named: Option<&Path>) -> Result<Place, KeyError> {
    if let Some(path) = named {
        return Ok(Place::File(path.to_owned()));
    }
    if let Ok(value) = std::env::var("ARGON_KEY")
        && !value.is_empty()
    {
        if !value.starts_with("argon1-") {
            return Ok(Place::File(value.into()));
        }
        let source = "ARGON_KEY".to_owned();
        let key = value.parse().map_err(|error| KeyError::NotAKey { place: source.clone(), error })?;
        return Ok(Place::Text(Found { key, source, is_new: false }));
    }
    default_path().map(Place::File).ok_or(KeyError::NoPlace)
}

fn read(path: &Path) -> Result<Found, KeyError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|why| {
        let path = shown.clone();
        let kind = why.kind();
        if kind == io::ErrorKind::NotFound {
            KeyError::Missing { path }
        } else if kind == io::ErrorKind::IsADirectory {
            KeyError::Folder { path }
        } else {
            KeyError::Unreadable { path, why }
        }
    })?;
    let mode = fs::metadata(path).map_or(0o600, |facts| facts.permissions().mode());
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: shown });
    }
    let key = text.parse().map_err(|error| KeyError::NotAKey { place: shown.clone(), error })?;
    Ok(Found { key, source: shown, is_new: false })
}

/// Writes a new key beside its place and links it there, so that of two managers that start at once one wins.
fn make(path: &Path) -> Result<Found, KeyError> {
    let failed = |why: io::Error| KeyError::NotMade { path: path.display().to_string(), why };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let key = Key::cluster(secret);
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            writeln!(file, "{key}")?;
            file.sync_all()
        })
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match written {
        Ok(()) => Ok(Found { key, source: path.display().to_string(), is_new: true }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("argon-key-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let folder = folder("made");
        let path = folder.join("deep").join("key");
        let made = find_or_make(Some(&path)).expect("made");
        assert!(made.is_new);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let found = find_or_make(Some(&path)).expect("found");
        assert!(!found.is_new);
        assert_eq!(found.key, made.key);
        fs::remove_dir_all(folder).expect("cleaned");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_advice() {
        let folder = folder("open");
        let path = folder.join("key");
        find_or_make(Some(&path)).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("opened up");
        let failure = find(Some(&path)).expect_err("refused");
        assert!(failure.to_string().contains("chmod 600"));
        fs::remove_dir_all(folder).expect("cleaned");
    }

    #[test]
    fn a_folder_in_place_of_a_key_is_told_as_one() {
        let failure = find(Some(&std::env::temp_dir())).expect_err("a folder");
        assert!(failure.to_string().contains("is a folder"), "{failure}");
    }

    #[test]
    fn a_missing_key_says_what_to_do() {
        let failure = find(Some(Path::new("/nowhere/key"))).expect_err("missing");
        assert!(matches!(failure, KeyError::Missing { .. }));
        assert!(failure.to_string().contains("argon key"));
    }
}
