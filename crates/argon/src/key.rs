//! Where the cluster key is: a named file, `ARGON_KEY`, or the user's config folder; and how a manager makes one.
//!
//! Owns the search and the file's form and mode. It proves nothing to anybody: that is the handshake's.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use argon_proto::key::{Key, ParseKeyError, Role, Scope};

/// Bytes of a key file that are read: far more than a key has.
const FILE_BYTES: u64 = 4096;

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
    /// A device, a pipe or a socket was named.
    #[error(
        "{path} is not a regular file, so its mode protects nothing; name a file, or put the key itself into ARGON_KEY"
    )]
    NotAFile {
        /// What was named.
        path: String,
    },
    /// The file holds nothing.
    #[error(
        "the key file {path} is empty; copy the key again ('argon key --show' prints it on the manager's machine)"
    )]
    Empty {
        /// The file.
        path: String,
    },
    /// There is a file where a key was to be written.
    #[error("{path} exists and is not overwritten; name another place, or say --force")]
    Exists {
        /// The file.
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

/// Reads a key file. What is checked is the file that was opened: regular, and nothing for group and others. A symbolic
/// link is followed; the owner is not looked at, since the mode keeps everybody else but root out.
fn read(path: &Path) -> Result<Found, KeyError> {
    let shown = path.display().to_string();
    let unreadable = |why: io::Error| {
        let path = shown.clone();
        if why.kind() == io::ErrorKind::NotFound {
            KeyError::Missing { path }
        } else {
            KeyError::Unreadable { path, why }
        }
    };
    // A pipe that nobody writes to must not stop the program.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if facts.is_dir() {
        return Err(KeyError::Folder { path: shown });
    }
    if !facts.is_file() {
        return Err(KeyError::NotAFile { path: shown });
    }
    if facts.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Exposed { path: shown });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = String::from_utf8_lossy(&bytes);
    if text.trim().is_empty() {
        return Err(KeyError::Empty { path: shown });
    }
    let key = text.parse().map_err(|error| KeyError::NotAKey { place: shown.clone(), error })?;
    Ok(Found { key, source: shown, is_new: false })
}

/// Makes a new cluster key where the key would be looked for. If there is one, `replace` decides.
///
/// # Errors
/// If there is one that is not to be replaced, if `ARGON_KEY` holds the key itself, or if the file cannot be written.
pub fn make_new(named: Option<&Path>, replace: bool) -> Result<Found, KeyError> {
    match place(named)? {
        Place::Text(found) => Err(KeyError::Exists { path: format!("the key in {}", found.source) }),
        Place::File(path) => {
            let key = random_key(&path)?;
            write(&path, &key, replace)?;
            Ok(Found { key, source: path.display().to_string(), is_new: true })
        }
    }
}

/// Makes a key unless another process makes one at the same time, whose key it then is.
fn make(path: &Path) -> Result<Found, KeyError> {
    let key = random_key(path)?;
    match write(path, &key, false) {
        Ok(()) => Ok(Found { key, source: path.display().to_string(), is_new: true }),
        Err(KeyError::Exists { .. }) => read(path),
        Err(error) => Err(error),
    }
}

fn random_key(path: &Path) -> Result<Key, KeyError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| KeyError::NotMade {
        path: path.display().to_string(),
        why: io::Error::other(error.to_string()),
    })?;
    Ok(Key::cluster(secret))
}

/// Writes a key into a file of mode 0600, whole or not at all. The key is written beside its place first, so that of two
/// processes that begin at once one wins.
///
/// # Errors
/// If there is a file and `replace` is not set, or if it cannot be written.
pub fn write(path: &Path, key: &Key, replace: bool) -> Result<(), KeyError> {
    let failed = |why: io::Error| KeyError::NotMade { path: path.display().to_string(), why };
    if path.is_dir() {
        return Err(KeyError::Folder { path: path.display().to_string() });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(failed)?;
    }
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
        .and_then(|()| if replace { fs::rename(&draft, path) } else { fs::hard_link(&draft, path) });
    let _ = fs::remove_file(&draft);
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeyError::Exists { path: path.display().to_string() })
        }
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

    // kind: keys | a pipe, a device or an empty file as key | loud | refused for what it is
    #[test]
    fn what_is_not_a_key_file_is_refused_for_what_it_is() {
        let folder = folder("kinds");
        let path = folder.join("key");
        let made = find_or_make(Some(&path)).expect("made");
        let at = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("closed");
            path
        };
        let link = folder.join("link");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        assert_eq!(find(Some(&link)).expect("followed").key, made.key);
        let lines = at("lines", &format!("\r\n{}\r\n", made.key));
        assert_eq!(find(Some(&lines)).expect("trimmed").key, made.key);
        assert!(matches!(find(Some(&at("empty", "\n"))), Err(KeyError::Empty { .. })));
        assert!(matches!(find(Some(&at("other", "ssh-rsa"))), Err(KeyError::NotAKey { .. })));
        assert!(matches!(
            find(Some(&at("two", &format!("{0}{0}", made.key)))),
            Err(KeyError::NotAKey { .. })
        ));
        assert!(matches!(find(Some(Path::new("/dev/null"))), Err(KeyError::NotAFile { .. })));
        fs::remove_dir_all(folder).expect("cleaned");
    }

    #[test]
    fn a_key_is_replaced_only_if_that_is_said() {
        let folder = folder("replaced");
        let path = folder.join("key");
        let made = make_new(Some(&path), false).expect("made");
        assert!(matches!(make_new(Some(&path), false), Err(KeyError::Exists { .. })));
        assert_eq!(find(Some(&path)).expect("kept").key, made.key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("opened up");
        let other = make_new(Some(&path), true).expect("replaced");
        assert_ne!(other.key, made.key);
        assert_eq!(find(Some(&path)).expect("of mode 0600 again").key, other.key);
        fs::remove_dir_all(folder).expect("cleaned");
    }

    #[test]
    fn a_missing_key_says_what_to_do() {
        let failure = find(Some(Path::new("/nowhere/key"))).expect_err("missing");
        assert!(matches!(failure, KeyError::Missing { .. }));
        assert!(failure.to_string().contains("argon key"));
    }
}
