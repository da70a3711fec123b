//! The cluster key for the commands: the search of `argon-net`, and the folder of a service.

use std::path::{Path, PathBuf};

use argon_net::key_file::{self, KeyError};
pub use argon_net::key_file::{Found, default_path};
use argon_proto::key::{Key, Role};

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

/// Finds a key that opens one of these roles; `manager` is the address that is dialled with it, for the advice of the error.
///
/// # Errors
/// If there is none, or it cannot be used.
pub fn find_for(named: Option<&Path>, roles: &[Role], manager: &str) -> Result<Found, Failure> {
    look_for(named, roles).map_err(|error| error.with_manager(manager).into())
}

/// Finds a key that opens this role; `None` if nobody has named one and there is none at its place.
///
/// # Errors
/// If there is a key that cannot be used.
pub fn find_if_there(named: Option<&Path>, role: Role) -> Result<Option<Found>, Failure> {
    let is_named = named.is_some() || key_file::is_given();
    match look_for(named, &[role]) {
        Ok(found) if is_named || found.key.for_role(role).is_some() => Ok(Some(found)),
        Ok(_) => Ok(None),
        Err(KeyError::Missing { .. }) if !is_named => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn look_for(named: Option<&Path>, roles: &[Role]) -> Result<Found, KeyError> {
    let service = of_service(named).filter(|path| path.exists());
    key_file::find_for(service.as_deref().or(named), roles)
}

/// Place of a new key for a role.
///
/// # Errors
/// If there is a file already, or no folder is known.
pub fn place_for(named: Option<&Path>, role: Role) -> Result<PathBuf, Failure> {
    Ok(key_file::place_for(named, of_service(named).or_else(default_path), role)?)
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
