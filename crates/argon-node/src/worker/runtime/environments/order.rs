//! An order to install packages.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Users;

/// Where packages come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PackagesConfig {
    /// The index of `--python-index`: an address, or a folder with wheels; the installer's own if not given.
    pub index: Option<String>,
}

/// An environment to build.
#[derive(Clone, Debug)]
pub(super) struct PackageOrder {
    pub(super) list: String,
    /// With the number behind the minor one.
    pub(super) full_version: String,
    /// The worker's own interpreter of the version.
    pub(super) program: PathBuf,
    pub(super) config: PackagesConfig,
    pub(super) users: Users,
    /// Name of the worker, for messages.
    pub(super) worker: String,
    /// True if `uv` is used where it is in the PATH.
    pub(super) uses_uv: bool,
}

/// The user has no claim to it any more.
pub(super) type Cancelled = Arc<AtomicBool>;
