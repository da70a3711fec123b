//! The key of a program that runs for long: read anew from its file for each connection, so that a new key is used without a
//! restart.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use argon_proto::key::Key;

use super::{Found, find};

/// A key, and the file that it is read from if it came from one.
#[derive(Debug)]
pub struct KeySource {
    file: Option<PathBuf>,
    last: Mutex<Key>,
}

impl KeySource {
    /// The key that was found, and its file.
    #[must_use]
    pub fn of(found: &Found) -> Self {
        let file = PathBuf::from(&found.source);
        // The name of a variable is not that of a file.
        Self { file: file.exists().then_some(file), last: Mutex::new(found.key.clone()) }
    }

    /// The key as it is now. Where the file cannot be read, the last key counts: it may be being replaced.
    #[must_use]
    pub fn read(&self) -> Key {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file {
            match find(Some(file)) {
                Ok(found) if found.key != *last => {
                    #[cfg(feature = "listen")]
                    tracing::info!("the key in {} has changed", file.display());
                    *last = found.key;
                }
                Ok(_) => {}
                // A client has no log.
                #[cfg(not(feature = "listen"))]
                Err(_) => {}
                #[cfg(feature = "listen")]
                Err(error) => tracing::warn!("the last key is used: {error}"),
            }
        }
        last.clone()
    }
}

impl From<Key> for KeySource {
    /// A key that does not change.
    fn from(key: Key) -> Self {
        Self { file: None, last: Mutex::new(key) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    // kind: keys | the key file of a running worker or client is replaced, or is gone for a moment | right | the next connection uses the new key, and without a file the last one
    #[test]
    fn a_key_that_is_replaced_is_used_for_the_next_connection() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let (one, two) = (Key::cluster([1; 32]), Key::cluster([2; 32]));
        write(&path, &one, false).expect("written");
        let source = KeySource::of(&find(Some(&path)).expect("found"));
        assert_eq!(source.read(), one);
        write(&path, &two, true).expect("replaced");
        assert_eq!(source.read(), two);
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(source.read(), two);
        assert_eq!(KeySource::from(one.clone()).read(), one);
    }
}
