//! The key of a role on a machine that may have several: `key`, and `<role>.key` next to it.

use std::path::{Path, PathBuf};

use argon_proto::key::{Key, Role};

use super::{Found, KeyError, default_path, find, read};

/// Finds a key that opens one of these roles, as [`find`] does. Where neither `named` nor `ARGON_KEY` names a key, and `key`
/// opens none of the roles or is not there, `<role>.key` next to it is looked for. What is found may open none of them.
///
/// # Errors
/// If there is none, or it cannot be used.
pub fn find_for(named: Option<&Path>, roles: &[Role]) -> Result<Found, KeyError> {
    let found = find(named);
    let fits = |key: &Key| roles.iter().any(|role| key.for_role(*role).is_some());
    let is_final = match &found {
        Ok(found) => fits(&found.key),
        Err(KeyError::Missing { .. }) => false,
        Err(_) => true,
    };
    if is_final || named.is_some() || is_given() {
        return found;
    }
    let own = default_path()
        .and_then(|key| roles.iter().map(|role| path_of(&key, *role)).find(|path| path.exists()));
    own.map_or(found, |path| read(&path))
}

/// Place of a new key for a role: `named`, else where `key` would be, else `<role>.key` next to it.
///
/// # Errors
/// If there is a file already.
pub fn place_for(named: Option<&Path>, default: Option<PathBuf>, role: Role) -> Result<PathBuf, KeyError> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => default.ok_or(KeyError::NoPlace)?,
    };
    let path = if named.is_none() && path.exists() { path_of(&path, role) } else { path };
    if path.exists() { Err(KeyError::Exists { path: path.display().to_string() }) } else { Ok(path) }
}

/// True if the environment names a key.
#[must_use]
pub fn is_given() -> bool {
    std::env::var_os("ARGON_KEY").is_some_and(|value| !value.is_empty())
}

fn path_of(key: &Path, role: Role) -> PathBuf {
    key.with_file_name(format!("{}.key", role.name()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_new_key_is_put_where_it_is_found_and_replaces_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let key = folder.join("key");
        let place = |named: Option<&Path>, role| place_for(named, Some(key.clone()), role);
        assert_eq!(place(None, Role::Worker).expect("free"), key);
        fs::write(&key, "").expect("written");
        let worker = place(None, Role::Worker).expect("free");
        assert_eq!(worker, folder.join("worker.key"));
        fs::write(&worker, "").expect("written");
        let refused = place(None, Role::Worker).expect_err("taken");
        assert!(refused.to_string().contains("worker.key exists"), "{refused}");
        assert_eq!(place(None, Role::Client).expect("free"), folder.join("client.key"));
        let refused = place(Some(&key), Role::Client).expect_err("taken");
        assert!(refused.to_string().contains("exists and is not overwritten"), "{refused}");
    }
}
