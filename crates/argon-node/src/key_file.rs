//! The cluster key for the commands: the client crate's search, with its errors as exit statuses.

use std::path::{Path, PathBuf};

pub use argon::key::{Found, default_path};
use argon_proto::key::Key;

use crate::exit::{Failure, FailureKind};
use crate::state;

/// Finds the key that this user was given; `named` is the value of `--key`.
///
/// # Errors
/// If there is none, or it cannot be used; the message says what to do.
pub fn find(named: Option<&Path>) -> Result<Found, Failure> {
    let service = of_service(named).filter(|path| path.exists());
    argon::key::find(service.as_deref().or(named))
        .map_err(|error| Failure::new(FailureKind::Key, error.to_string()))
}

/// Finds the key, or makes one where it would be.
///
/// # Errors
/// If it can be neither read nor made.
pub fn find_or_make(named: Option<&Path>) -> Result<Found, Failure> {
    let service = of_service(named);
    argon::key::find_or_make(service.as_deref().or(named))
        .map_err(|error| Failure::new(FailureKind::Key, error.to_string()))
}

/// The key of a service, which has a folder for its state and may have no home: where nobody names a key, and the user
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
    argon::key::make_new(named, replace).map_err(|error| Failure::new(FailureKind::Key, error.to_string()))
}

/// Writes a key into a file of mode 0600.
///
/// # Errors
/// If there is a file that is not to be replaced, or it cannot be written.
pub fn write(path: &Path, key: &Key, replace: bool) -> Result<(), Failure> {
    argon::key::write(path, key, replace).map_err(|error| Failure::new(FailureKind::Key, error.to_string()))
}
