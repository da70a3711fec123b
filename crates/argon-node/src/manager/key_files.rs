//! Files of the cluster keys of a manager: `key`, next to it `key.old` while both are valid, and `key.retired`, which opens
//! nothing and verifies tickets that were given before.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use argon_net::accept::OpenKeys;
use argon_net::{key_file, random};
use argon_proto::Capabilities;
use argon_proto::key::{Key, Scope};

/// The cluster keys of a running manager.
#[derive(Debug)]
pub struct ClusterKeys {
    /// Valid keys, which connections that are being opened read, too.
    pub open: Rc<RefCell<OpenKeys>>,
    /// Their files.
    pub files: KeyFiles,
}

/// The files, and the keys in them besides the present one.
#[derive(Debug, Default)]
pub struct KeyFiles {
    /// The file of the present key; `None` if it came from a variable.
    file: Option<PathBuf>,
    /// The key that the present one replaces, as long as both are valid.
    older: Option<Key>,
    /// The key that was valid before.
    retired: Option<Key>,
}

impl KeyFiles {
    /// Key files next to the one in which the present key was found.
    ///
    /// # Errors
    /// If one is there and cannot be read: peers with that key would be locked out without a word.
    pub fn of(source: &str, present: &Key) -> Result<Self, String> {
        let file = PathBuf::from(source);
        if !file.exists() {
            return Ok(Self::default());
        }
        let read = |kind: &str| match with_suffix(&file, kind) {
            path if !path.exists() => Ok(None),
            path => {
                key_file::find(Some(&path)).map(|found| Some(found.key)).map_err(|error| error.to_string())
            }
        };
        // A rotation that was cut short has left a copy of the present key.
        let is_another = |key: &Key| key.scope() == Scope::Cluster && key != present;
        let (older, retired) = (read("old")?.filter(is_another), read("retired")?.filter(is_another));
        Ok(Self { file: Some(file), older, retired })
    }

    /// The key that the present one replaces, as long as both are valid.
    #[must_use]
    pub fn older(&self) -> Option<&Key> {
        self.older.as_ref()
    }

    /// The file of the present key.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Writes a new key in the place of the present one, which becomes the older one.
    ///
    /// # Errors
    /// If there are two keys already, or the files cannot be written.
    pub fn rotate(&mut self, present: &Key) -> Result<Key, String> {
        let file = self.file.as_ref().ok_or(
            "this manager has its key from ARGON_KEY and not from a file; start it with --key FILE to rotate the key",
        )?;
        if self.older.is_some() {
            return Err(
                "two cluster keys are valid already; end the older one with 'argon key retire' first"
                    .to_owned(),
            );
        }
        let secret = random::bytes().map_err(|error| format!("no random number can be had: {error}"))?;
        let (new, failed) =
            (Key::cluster(secret), |error: key_file::KeyError| format!("{error}; nothing was changed"));
        key_file::write(&with_suffix(file, "old"), present, true).map_err(failed)?;
        key_file::write(file, &new, true).map_err(failed)?;
        self.older = Some(present.clone());
        Ok(new)
    }

    /// Ends the older key.
    ///
    /// # Errors
    /// If there is none, or the files cannot be changed.
    pub fn retire(&mut self) -> Result<(), String> {
        let none = "there is one cluster key only, and it stays; 'argon key rotate' makes another one";
        let (Some(file), Some(older)) = (&self.file, &self.older) else { return Err(none.to_owned()) };
        fs::rename(with_suffix(file, "old"), with_suffix(file, "retired")).map_err(|error| {
            format!("the old key's file next to {} cannot be renamed: {error}", file.display())
        })?;
        self.retired = Some(older.clone());
        self.older = None;
        Ok(())
    }

    /// Capabilities of the present key, which verify those of the others as well.
    #[must_use]
    pub fn capabilities(&self, present: &Key) -> Capabilities {
        let former = [&self.older, &self.retired].into_iter().flatten();
        former.fold(Capabilities::new(present), |capabilities, key| capabilities.and_former(key))
    }
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use argon_proto::{SessionId, TaskId};

    use super::*;

    #[test]
    fn both_keys_are_found_again_until_one_is_retired_and_tickets_of_both_are_verified_after_that() {
        let folder = std::env::temp_dir().join(format!("argon-key-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let path = folder.join("key");
        let source = path.display().to_string();
        let first = Key::cluster([1; 32]);
        key_file::write(&path, &first, false).expect("written");
        let mut files = KeyFiles::of(&source, &first).expect("readable");
        assert!(files.retire().expect_err("one key only").contains("argon key rotate"));
        let second = files.rotate(&first).expect("rotated");
        assert!(files.rotate(&second).expect_err("two keys").contains("argon key retire"));
        assert_eq!(key_file::find(Some(&path)).expect("readable").key, second);
        // As a manager that is started now finds them.
        let mut files = KeyFiles::of(&source, &second).expect("readable");
        assert_eq!(files.older, Some(first.clone()));
        files.retire().expect("retired");
        let files = KeyFiles::of(&source, &second).expect("readable");
        assert_eq!(files.older, None);
        let id = TaskId { session: SessionId([3; 16]), sequence: 7 };
        let capabilities = files.capabilities(&second);
        for key in [&first, &second] {
            assert!(capabilities.verifies(&Capabilities::new(key).ticket(id)));
        }
        assert!(!capabilities.verifies(&Capabilities::new(&Key::cluster([9; 32])).ticket(id)));
        assert_eq!(
            capabilities.ticket(id),
            Capabilities::new(&second).ticket(id),
            "new ones follow from the new key"
        );
        fs::write(folder.join("key.old"), "?").expect("written");
        assert!(KeyFiles::of(&source, &second).is_err(), "damage is not ignored");
        fs::remove_dir_all(folder).expect("cleaned");
    }
}
