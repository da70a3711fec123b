//! The cluster key for the commands: the client crate's search, with its errors as exit statuses.

use std::path::Path;

pub use argon::key::{Found, default_path};

use crate::exit::{Failure, Kind};

/// Finds the key that this user was given; `named` is the value of `--key`.
///
/// # Errors
/// If there is none, or it cannot be used; the message says what to do.
pub fn find(named: Option<&Path>) -> Result<Found, Failure> {
    argon::key::find(named).map_err(|error| Failure::new(Kind::Key, error.to_string()))
}

/// Finds the key, or makes one where it would be.
///
/// # Errors
/// If it can be neither read nor made.
pub fn find_or_make(named: Option<&Path>) -> Result<Found, Failure> {
    argon::key::find_or_make(named).map_err(|error| Failure::new(Kind::Key, error.to_string()))
}
