//! Keys of people that this manager admits, in memory and in a file next to its store.
//!
//! The file has names, roles and dates, and no secret: the secret of a key follows from the cluster key. A manager that
//! takes over the store reads the same file. A file that was changed or replaced by somebody else is read anew.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use argon_proto::conversation::admin::PersonKey;
use argon_proto::handshake::{Proven, Refusal, RefusalCode};
use argon_proto::holder::{Holder, KeyId, OwnerName};
use argon_proto::key::Role;
use serde::{Deserialize, Serialize};

/// Keys that a manager knows at most, in force or revoked.
const KEYS_MAX: usize = 10_000;
/// Bytes of a file that are read: far more than [`KEYS_MAX`] keys take.
const FILE_BYTES: u64 = 16 << 20;
/// Format of the file.
const VERSION: u32 = 1;

/// The keys of people.
#[derive(Debug, Default)]
pub struct KeyBook {
    file: Option<PathBuf>,
    seen: Option<FileState>,
    keys: BTreeMap<KeyId, PersonKey>,
}

/// Identity of the file that was read or written last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileState {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

/// Content of the file.
#[derive(Serialize, Deserialize)]
struct Pages {
    version: u32,
    keys: Vec<PersonKey>,
}

impl KeyBook {
    /// The book of a manager whose store is in this file: `manager.redb` has `manager.keys.json` next to it.
    ///
    /// # Errors
    /// If there is a file that cannot be read: without it, revoked keys would be forgotten.
    pub fn of_store(store: &Path) -> Result<Self, String> {
        let file = store.with_extension("keys.json");
        let mut book = Self { file: Some(file), ..Self::default() };
        book.read()?;
        Ok(book)
    }

    /// The file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// All keys, by name.
    pub fn list(&mut self) -> Vec<PersonKey> {
        self.follow_file();
        let mut keys: Vec<PersonKey> = self.keys.values().cloned().collect();
        keys.sort_by(|one, other| (&one.name, one.made, one.id).cmp(&(&other.name, other.made, other.id)));
        keys
    }

    /// Puts a new key into force.
    ///
    /// # Errors
    /// If the role is not one that people have, there are too many keys, or the file cannot be written: then nothing changed.
    pub fn add(&mut self, name: OwnerName, role: Role, id: KeyId, now_s: u64) -> Result<PersonKey, String> {
        if role == Role::Admin {
            return Err(
                "people have the role client, worker or observer; an admin has the cluster key".to_owned()
            );
        }
        self.follow_file();
        if self.keys.len() >= KEYS_MAX && !self.forget_oldest_revoked() {
            return Err(format!("there are {KEYS_MAX} keys in force, which is the limit; revoke some"));
        }
        let key = PersonKey { id, name, role: role.name().to_owned(), made: now_s, revoked: None };
        self.change(|keys| _ = keys.insert(id, key.clone()))?;
        Ok(key)
    }

    /// Revokes the key of this id, or all keys of the person of this name; returns those that were in force.
    ///
    /// # Errors
    /// If there is none, or the file cannot be written: then nothing changed.
    pub fn revoke(&mut self, named: &str, now_s: u64) -> Result<Vec<PersonKey>, String> {
        self.follow_file();
        let meant = self.named(named)?;
        let mut revoked: Vec<PersonKey> = meant.into_iter().filter(|key| key.revoked.is_none()).collect();
        revoked.iter_mut().for_each(|key| key.revoked = Some(now_s));
        if !revoked.is_empty() {
            self.change(|keys| keys.extend(revoked.iter().map(|key| (key.id, key.clone()))))?;
        }
        Ok(revoked)
    }

    /// The key of this id, or the keys of the person of this name.
    fn named(&self, named: &str) -> Result<Vec<PersonKey>, String> {
        let by_id = named.parse().ok().and_then(|id: KeyId| self.keys.get(&id));
        let found: Vec<PersonKey> = match by_id {
            Some(key) => vec![key.clone()],
            None => self.keys.values().filter(|key| key.name.as_str() == named).cloned().collect(),
        };
        if found.is_empty() {
            return Err(format!(
                "there is no key of '{named}' here; 'argon key list' shows those that there are"
            ));
        }
        Ok(found)
    }

    /// Decides whether a proven key is in force. Those of the cluster's own always are.
    ///
    /// # Errors
    /// A sentence for the holder, who has proven that it is his.
    pub fn check(&mut self, proven: &Proven) -> Result<(), Refusal> {
        let Some(holder) = &proven.holder else { return Ok(()) };
        self.follow_file();
        let known = self.keys.get(&holder.id);
        let known = known.filter(|key| key.name == holder.name && key.role == proven.role.name());
        match known {
            Some(PersonKey { revoked: None, .. }) => Ok(()),
            Some(_) => Err(Refusal::new(RefusalCode::Key, revoked_words(holder))),
            None => Err(Refusal::new(
                RefusalCode::Key,
                format!(
                    "this manager does not know the key {}: keys of people are kept next to a manager's store, and this \
                     manager has another one; ask its operator for a new key ('argon key add')",
                    holder_words(holder)
                ),
            )),
        }
    }

    /// Applies a change to the file, then to this book.
    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<KeyId, PersonKey>)) -> Result<(), String> {
        let mut keys = self.keys.clone();
        change(&mut keys);
        if let Some(file) = &self.file {
            let pages = Pages { version: VERSION, keys: keys.values().cloned().collect() };
            let written = write(file, &pages).and_then(|()| FileState::of(file));
            self.seen = written.map_err(|error| {
                format!("the keys cannot be written to {}: {error}; nothing was changed", file.display())
            })?;
        }
        self.keys = keys;
        Ok(())
    }

    /// Makes room in this book. The next change writes it; a key that is not known is refused like one that is revoked.
    fn forget_oldest_revoked(&mut self) -> bool {
        let revoked = self.keys.values().filter_map(|key| Some((key.revoked?, key.id)));
        let Some((_, id)) = revoked.min() else { return false };
        self.keys.remove(&id).is_some()
    }

    /// Reads the file if it is another one than before. What is in memory stays in force if it cannot be read.
    fn follow_file(&mut self) {
        let Some(file) = &self.file else { return };
        let is_same = FileState::of(file).is_ok_and(|state| state == self.seen);
        if !is_same && let Err(why) = self.read() {
            tracing::error!("{why}; the keys that were known before stay in force");
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let state = FileState::of(file).map_err(|error| unreadable(file, &error))?;
        let keys = match state {
            None => BTreeMap::new(),
            Some(state) if state.length > FILE_BYTES => return Err(unreadable(file, &"it is too long")),
            Some(_) => {
                let bytes = fs::read(file).map_err(|error| unreadable(file, &error))?;
                let pages: Pages =
                    serde_json::from_slice(&bytes).map_err(|error| unreadable(file, &error))?;
                if pages.version != VERSION {
                    return Err(unreadable(file, &format!("its format has version {}", pages.version)));
                }
                pages.keys.into_iter().map(|key| (key.id, key)).collect()
            }
        };
        (self.keys, self.seen) = (keys, state);
        Ok(())
    }
}

/// Message for the holder of a revoked key.
#[must_use]
pub fn revoked_words(holder: &Holder) -> String {
    format!("the key {} was revoked; ask the operator of this manager for another one", holder_words(holder))
}

fn holder_words(holder: &Holder) -> String {
    format!("{} of {}", holder.id, holder.name)
}

fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> String {
    format!(
        "the keys of people in {} cannot be read: {why}. Restore the file from a copy, or move it aside to refuse all of \
         them",
        file.display()
    )
}

impl FileState {
    /// `None` if there is no file.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(facts) => Ok(Some(Self {
                inode: facts.ino(),
                length: facts.len(),
                changed: (facts.mtime(), facts.mtime_nsec()),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Writes the file whole or not at all, of mode 0600. Returns when it is durable.
fn write(path: &Path, pages: &Pages) -> io::Result<()> {
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let text = serde_json::to_vec_pretty(pages)?;
    let written = (|| {
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn store(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("argon-key-book-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("made");
        folder.join("manager.redb")
    }

    fn name(text: &str) -> OwnerName {
        text.parse().expect("a name")
    }

    fn proven(name_: &str, id: u8, role: Role) -> Proven {
        Proven { role, holder: Some(Holder { name: name(name_), id: KeyId([id; 8]) }), key: 0 }
    }

    #[test]
    fn a_key_is_in_force_for_its_name_and_role_until_it_is_revoked_and_for_the_next_manager_too() {
        let store = store("force");
        let mut book = KeyBook::of_store(&store).expect("none there");
        book.add(name("ann"), Role::Client, KeyId([1; 8]), 10).expect("added");
        book.add(name("ann"), Role::Worker, KeyId([2; 8]), 11).expect("added");
        let mode = fs::metadata(book.file().expect("a file")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut next = KeyBook::of_store(&store).expect("read");
        assert_eq!(next.check(&proven("ann", 1, Role::Client)), Ok(()));
        for other in
            [proven("bob", 1, Role::Client), proven("ann", 1, Role::Worker), proven("ann", 3, Role::Client)]
        {
            assert_eq!(next.check(&other).expect_err("not known").code, RefusalCode::Key);
        }
        // The file was changed by another manager.
        assert_eq!(book.revoke("0101010101010101", 12).expect("revoked").len(), 1);
        let refusal = next.check(&proven("ann", 1, Role::Client)).expect_err("revoked");
        assert!(refusal.message.contains("was revoked"), "{refusal}");
        assert_eq!(next.check(&proven("ann", 2, Role::Worker)), Ok(()));
        assert_eq!(next.revoke("ann", 13).expect("the other").len(), 1, "one was revoked before");
        assert!(next.revoke("bob", 13).expect_err("none").contains("argon key list"));
        assert_eq!(next.check(&Proven { role: Role::Client, holder: None, key: 0 }), Ok(()));
        fs::remove_dir_all(store.parent().expect("a folder")).expect("cleaned");
    }

    // kind: keys | a damaged file of the keys of people | loud | the manager does not start, and a running one keeps what it knows
    #[test]
    fn a_damaged_file_is_refused_at_the_start_and_does_not_let_revoked_keys_in() {
        let store = store("damage");
        let mut book = KeyBook::of_store(&store).expect("none there");
        book.add(name("ann"), Role::Client, KeyId([1; 8]), 10).expect("added");
        let file = book.file().expect("a file").to_owned();
        for damaged in ["", "{", "{\"version\":2,\"keys\":[]}", "[]"] {
            fs::write(&file, damaged).expect("written");
            let why = KeyBook::of_store(&store).expect_err("damaged");
            assert!(why.contains("cannot be read") && why.contains("manager.keys.json"), "{why}");
            assert_eq!(book.check(&proven("ann", 1, Role::Client)), Ok(()), "what is known stays");
        }
        fs::remove_dir_all(store.parent().expect("a folder")).expect("cleaned");
    }

    #[test]
    fn the_oldest_revoked_keys_make_room_and_those_in_force_do_not() {
        let mut book = KeyBook::default();
        for number in 0..KEYS_MAX as u64 {
            let id = KeyId(number.to_be_bytes());
            book.keys.insert(
                id,
                PersonKey { id, name: name("ann"), role: "client".to_owned(), made: 0, revoked: None },
            );
        }
        assert!(book.add(name("bob"), Role::Client, KeyId([9; 8]), 1).is_err());
        book.revoke("0000000000000007", 1).expect("there");
        book.add(name("bob"), Role::Client, KeyId([9; 8]), 2).expect("room was made");
        assert_eq!((book.keys.len(), book.keys.contains_key(&KeyId(7_u64.to_be_bytes()))), (KEYS_MAX, false));
        assert!(book.add(name("bob"), Role::Admin, KeyId([8; 8]), 2).is_err());
    }
}
