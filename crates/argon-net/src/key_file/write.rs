//! Writes a key file: new, whole or not at all, and closed to others.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use argon_proto::key::Key;

use crate::identity::Identity;

use super::{Found, KeyError, KeyPlace, place, read};

/// Makes a new cluster key where the key would be looked for. If there is one, `replace` decides.
///
/// # Errors
/// If there is one that is not to be replaced, if `ARGON_KEY` holds the key itself, or if the file cannot be written.
pub fn make_new(named: Option<&Path>, replace: bool) -> Result<Found, KeyError> {
    match place(named)? {
        KeyPlace::Text(found) => Err(KeyError::Exists { path: format!("the key in {}", found.source) }),
        KeyPlace::File(path) => {
            let key = random_key(&path)?;
            write(&path, &key, replace)?;
            Ok(Found { key, source: path.display().to_string(), is_new: true })
        }
    }
}

/// Makes a key unless another process makes one at the same time, whose key it then is.
pub(super) fn make(path: &Path) -> Result<Found, KeyError> {
    let key = random_key(path)?;
    match write(path, &key, false) {
        Ok(()) => Ok(Found { key, source: path.display().to_string(), is_new: true }),
        Err(KeyError::Exists { .. }) => read(path),
        Err(error) => Err(error),
    }
}

fn random_key(path: &Path) -> Result<Key, KeyError> {
    random(path).map(Key::cluster)
}

fn random<const BYTES: usize>(path: &Path) -> Result<[u8; BYTES], KeyError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::NotMade {
        path: path.display().to_string(),
        why: io::Error::other(error.to_string()),
    })?;
    Ok(bytes)
}

/// Writes a key into a file of mode 0600, whole or not at all. The key is written next to its place first, so that of two
/// processes that begin at once one wins.
///
/// # Errors
/// If there is a file and `replace` is not set, or if it cannot be written.
pub fn write(path: &Path, key: &Key, replace: bool) -> Result<(), KeyError> {
    let failed = |why: io::Error| KeyError::NotMade { path: path.display().to_string(), why };
    let shown = path.display().to_string();
    if path.is_dir() {
        return Err(KeyError::Folder { path: shown });
    }
    // A device or a pipe is never replaced: /dev/null is one of them.
    if path.metadata().is_ok_and(|facts| !facts.is_file()) {
        return Err(KeyError::NotReplaced { path: shown });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    // In containers a process that was killed here had the same number.
    let draft = path.with_extension(format!("new-{:08x}", random::<4>(path).map(u32::from_be_bytes)?));
    fill(&draft, key).map_err(failed)?;
    let put = if replace { fs::rename(&draft, path) } else { fs::hard_link(&draft, path) };
    let _ = fs::remove_file(&draft);
    match put {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(KeyError::Exists { path: shown }),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a new file of mode 0600, whatever the umask; leaves none behind if that fails. The pin of a cluster key is on its
/// second line, for clients that cannot derive it.
fn fill(path: &Path, key: &Key) -> io::Result<()> {
    let pin = Identity::of(key).map(|identity| format!("pin {}\n", identity.pin())).unwrap_or_default();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let filled = file
        .set_permissions(Permissions::from_mode(0o600))
        .and_then(|()| write!(file, "{key}\n{pin}"))
        .and_then(|()| file.sync_all());
    if filled.is_err() {
        let _ = fs::remove_file(path);
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::super::find;
    use super::*;

    #[test]
    fn a_key_is_replaced_only_if_that_is_said() {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("key");
        let made = make_new(Some(&path), false).expect("made");
        assert!(matches!(make_new(Some(&path), false), Err(KeyError::Exists { .. })));
        assert_eq!(find(Some(&path)).expect("kept").key, made.key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("opened up");
        let other = make_new(Some(&path), true).expect("replaced");
        assert_ne!(other.key, made.key);
        assert_eq!(find(Some(&path)).expect("of mode 0600 again").key, other.key);
    }

    // kind: keys | `argon key --out DEVICE --force` | loud | a device, a pipe or a socket is not replaced
    #[test]
    fn what_is_not_a_file_is_never_replaced_by_a_key() {
        let folder = tempfile::tempdir().expect("made");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        let link = folder.path().join("link");
        symlink(&socket, &link).expect("linked");
        let key = Key::cluster([7; 32]);
        for path in [&socket, &link] {
            for replace in [true, false] {
                let refused = write(path, &key, replace).expect_err("refused");
                assert!(matches!(refused, KeyError::NotReplaced { .. }), "{refused}");
            }
        }
        assert!(fs::symlink_metadata(&socket).expect("there").file_type().is_socket());
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 2, "a draft was left");
    }
}
