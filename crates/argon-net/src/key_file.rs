//! Finds the cluster key in a named file, `ARGON_KEY`, or the user's config folder, and creates it for a manager.
//!
//! Owns the search, and the form and mode of the file. The handshake proves the key.

mod of_role;
mod source;
mod write;

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use of_role::{find_for, is_given, place_for};
pub use source::KeySource;
pub use write::{make_new, write};

use crate::identity::expected_pin;

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
    /// True if it was made just now.
    pub is_new: bool,
}

/// A key that cannot be used. The text gives advice.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither a variable nor a folder names a place.
    #[error(
        "no place for the key is known: neither HOME nor XDG_CONFIG_HOME names a folder from the root; name a file with \
         --key or ARGON_KEY"
    )]
    NoPlace,
    /// The file does not exist.
    #[error(
        "there is no key at {path}: to get one for a manager on another machine, run 'argon pair {}' here; 'argon up' makes \
         one and starts a manager and a worker on this machine; a key that lies elsewhere is named with --key or ARGON_KEY",
        .manager.as_deref().unwrap_or("HOST:PORT")
    )]
    Missing {
        /// Path at which it was expected.
        path: String,
        /// The manager that was to be reached with it.
        manager: Option<String>,
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
        /// The value of the option or variable.
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
    /// A file exists where a key was to be written.
    #[error("{path} exists and is not overwritten; name another place, or use --force")]
    Exists {
        /// The file.
        path: String,
    },
    /// Something else than a file exists where a key was to be written.
    #[error("{path} is not a regular file, and a key is not put into its place; name another place")]
    NotReplaced {
        /// Kind of the thing that is there.
        path: String,
    },
    /// The file cannot be read.
    #[error("the key {path} cannot be read: {why}; see who may read it")]
    Unreadable {
        /// The file.
        path: String,
        /// Error of the system.
        why: io::Error,
    },
    /// The file's mode gives it away.
    #[error("the key {path} can be read by others; run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: String,
    },
    /// The content is not a key.
    #[error("{place} is {error}")]
    NotAKey {
        /// The file or the variable.
        place: String,
        /// Description of the mistake.
        error: ParseKeyError,
    },
    /// A new key could not be written.
    #[error("a key cannot be written to {path}: {why}; name another place")]
    NotMade {
        /// The file.
        path: String,
        /// Error of the system.
        why: io::Error,
    },
}

impl KeyError {
    /// Adds the manager that was to be reached to the advice.
    #[must_use]
    pub fn with_manager(self, address: &str) -> Self {
        if let Self::Missing { path, .. } = self {
            return Self::Missing { path, manager: Some(address.to_owned()) };
        }
        self
    }
}

/// Default place of the key: by the XDG base directory specification, in which a relative path is
/// no path.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    let is_place = |folder: &PathBuf| folder.is_absolute();
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(is_place);
    let folder = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("argon").join("key"))
}

/// Finds the key that this user was given; `named` is a file that was named for it, such as the value of `--key`.
///
/// # Errors
/// If there is none, or it cannot be used.
pub fn find(named: Option<&Path>) -> Result<Found, KeyError> {
    match place(named)? {
        KeyPlace::Text(key) => Ok(key),
        KeyPlace::File(path) => read(&path),
    }
}

/// Finds the key, or makes one where it would be.
///
/// # Errors
/// If it can be neither read nor made.
pub fn find_or_make(named: Option<&Path>) -> Result<Found, KeyError> {
    match place(named)? {
        KeyPlace::Text(key) => Ok(key),
        KeyPlace::File(path) if path.exists() => read(&path),
        KeyPlace::File(path) => write::make(&path),
    }
}

enum KeyPlace {
    Text(Found),
    File(PathBuf),
}

fn place(named: Option<&Path>) -> Result<KeyPlace, KeyError> {
    if let Some(path) = named {
        return Ok(KeyPlace::File(path.to_owned()));
    }
    if let Some(value) = std::env::var_os("ARGON_KEY").filter(|value| !value.is_empty()) {
        // The key itself must never be taken for the name of a file: messages name files.
        let text = value.to_string_lossy();
        if !without_mark(&text).starts_with("argon1-") {
            return Ok(KeyPlace::File(value.into()));
        }
        let source = "ARGON_KEY".to_owned();
        let key =
            parse(without_mark(&text)).map_err(|error| KeyError::NotAKey { place: source.clone(), error })?;
        return Ok(KeyPlace::Text(Found { key, source, is_new: false }));
    }
    default_path().map(KeyPlace::File).ok_or(KeyError::NoPlace)
}

/// Reads a key file. What is checked is the file that was opened: regular, and nothing for group and others. A symbolic
/// link is followed; the owner is not looked at, since the mode keeps everybody else but root out.
fn read(path: &Path) -> Result<Found, KeyError> {
    let shown = path.display().to_string();
    let unreadable = |why: io::Error| {
        let path = shown.clone();
        if why.kind() == io::ErrorKind::NotFound {
            KeyError::Missing { path, manager: None }
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
    let text = without_mark(&text);
    if text.is_empty() {
        return Err(KeyError::Empty { path: shown });
    }
    let key = parse(text).map_err(|error| KeyError::NotAKey { place: shown.clone(), error })?;
    Ok(Found { key, source: shown, is_new: false })
}

/// A key, and whether the pin behind a cluster key is that of its identity.
fn parse(text: &str) -> Result<Key, ParseKeyError> {
    let key: Key = text.parse()?;
    let pin = text.lines().find_map(|line| line.trim().strip_prefix("pin "));
    let is_other = pin.is_some_and(|pin| expected_pin(&key).is_some_and(|own| own.to_string() != pin.trim()));
    if is_other { Err(ParseKeyError) } else { Ok(key) }
}

/// A text without white space around it and the byte order mark that some editors put before it.
fn without_mark(text: &str) -> &str {
    text.trim().trim_start_matches('\u{feff}').trim()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("deep").join("key");
        let made = find_or_make(Some(&path)).expect("made");
        assert!(made.is_new);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let found = find_or_make(Some(&path)).expect("found");
        assert!(!found.is_new);
        assert_eq!(found.key, made.key);
        let pin = expected_pin(&made.key).expect("of a cluster key");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text, format!("{}\npin {pin}\n", made.key), "clients of other languages look there");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_advice() {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("key");
        find_or_make(Some(&path)).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("opened up");
        let failure = find(Some(&path)).expect_err("refused");
        assert!(failure.to_string().contains("chmod 600"));
    }

    #[test]
    fn a_folder_in_place_of_a_key_is_told_as_one() {
        let failure = find(Some(&std::env::temp_dir())).expect_err("a folder");
        assert!(failure.to_string().contains("is a folder"), "{failure}");
    }

    // kind: keys | a pipe, a device or an empty file as key | loud | refused for what it is
    #[test]
    fn what_is_not_a_key_file_is_refused_for_what_it_is() {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("key");
        let made = find_or_make(Some(&path)).expect("made");
        let at = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("closed");
            path
        };
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        assert_eq!(find(Some(&link)).expect("followed").key, made.key);
        let lines = at("lines", &format!("\r\n{}\r\n", made.key));
        assert_eq!(find(Some(&lines)).expect("trimmed").key, made.key);
        let marked = at("marked", &format!("\u{feff}{}\r\n", made.key));
        assert_eq!(find(Some(&marked)).expect("read without its mark").key, made.key);
        let pin = expected_pin(&made.key).expect("of a cluster key");
        let more = at("more", &format!("{}\r\npin {pin}\r\nlater: 1\n", made.key));
        assert_eq!(find(Some(&more)).expect("read without its other lines").key, made.key);
        assert!(matches!(find(Some(&at("empty", "\n"))), Err(KeyError::Empty { .. })));
        assert!(matches!(find(Some(&at("other", "ssh-rsa"))), Err(KeyError::NotAKey { .. })));
        for (name, two) in
            [("two", format!("{0}{0}", made.key)), ("lines-of-two", format!("{0}\n{0}\n", made.key))]
        {
            assert!(matches!(find(Some(&at(name, &two))), Err(KeyError::NotAKey { .. })));
        }
        assert!(matches!(find(Some(Path::new("/dev/null"))), Err(KeyError::NotAFile { .. })));
    }

    #[test]
    fn a_missing_key_says_what_to_do() {
        let failure = find(Some(Path::new("/nowhere/key"))).expect_err("missing");
        assert!(matches!(failure, KeyError::Missing { .. }));
        for remedy in ["argon pair HOST:PORT", "argon up", "ARGON_KEY"] {
            assert!(failure.to_string().contains(remedy), "{failure}");
        }
    }
}
