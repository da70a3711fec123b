//! The cluster key for the commands: the search of `argon-net`, and the folder of a service.

use std::path::{Path, PathBuf};

use argon_net::key_file;
pub use argon_net::key_file::{Found, default_path};
use argon_proto::key::Key;

use crate::exit::Failure;
use crate::state;

/// Finds the key that this user was given; `named` is the value of `--key`.
///
/// # Errors
/// If there is none, or it cannot be used; the message explains what to do.
pub fn find(named: Option<&Path>) -> Result<Found, Failure> {
    let service = of_service(named).filter(|path| path.exists());
    Ok(key_file::find(service.as_deref().or(named))?)
}

/// Finds the key, or makes one where it would be.
///
/// # Errors
/// If it can be neither read nor made.
pub fn find_or_make(named: Option<&Path>) -> Result<Found, Failure> {
    let service = of_service(named);
    Ok(key_file::find_or_make(service.as_deref().or(named))?)
}

/// The key of a service, which has a folder for its state and may have no home: for a service whose key is not named, and whose user
/// has none.
fn of_service(named: Option<&Path>) -> Option<PathBuf> {
    let is_named = named.is_some() || std::env::var_os("ARGON_KEY").is_some_and(|value| !value.is_empty());
    if is_named || default_path().is_some_and(|path| path.exists()) {
        return None;
    }
    state::of_service().map(|folder| folder.join("key"))
}

/// Makes a new cluster key where the key would be looked for.
///
/// # Errors
/// If there is one that is not to be replaced, or it cannot be written.
pub fn make_new(named: Option<&Path>, replace: bool) -> Result<Found, Failure> {
    Ok(key_file::make_new(named, replace)?)
}

/// Writes a key into a file of mode 0600.
///
/// # Errors
/// If there is a file that is not to be replaced, or it cannot be written.
pub fn write(path: &Path, key: &Key, replace: bool) -> Result<(), Failure> {
    Ok(key_file::write(path, key, replace)?)
}
