//! Descriptions of Python environments, as the meta data of tasks has them.

use argon_proto::BlobHash;
use serde::Deserialize;

/// Number of an environment in one worker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EnvironmentId(pub u64);

/// Description of an environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Environment {
    /// The folder of a client's interpreter (`sys.prefix`).
    Folder {
        /// Its path.
        prefix: String,
        /// Fingerprint by which the same folder is recognized (`spec/runner.md`, section 9).
        mark: String,
    },
    /// Packages to install.
    Packages {
        /// The blob with the list, one requirement a line.
        list: BlobHash,
    },
}

/// Result of the look for an environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EnvironmentFound {
    /// It is ready, as an interpreter of its own.
    Own,
    /// Its tasks run in the worker's own interpreter: it is that one, or it is not here.
    AsWorker,
    /// It cannot be had; its tasks end with this message.
    Failed(String),
}

/// The parts of a task's meta that decide about its runner.
#[derive(Deserialize)]
pub(super) struct PythonMeta {
    pub(super) python: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) environment: Option<EnvironmentMeta>,
}

/// The field `environment` (`spec/runner.md`, section 9).
#[derive(Deserialize)]
pub(super) struct EnvironmentMeta {
    pub(super) python: Option<String>,
    prefix: Option<String>,
    mark: Option<String>,
    packages: Option<String>,
}

/// What a later release describes in another form counts as none.
fn lenient<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<EnvironmentMeta>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Known(EnvironmentMeta),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Any::deserialize(from)? {
        Any::Known(meta) => Some(meta),
        Any::Other(_) => None,
    })
}

impl PythonMeta {
    /// None if it is not what it should be: the runner reports that.
    pub(super) fn read(meta: &[u8]) -> Option<Self> {
        serde_json::from_slice(meta).ok()
    }
}

impl EnvironmentMeta {
    /// Its description, if it is one.
    pub(super) fn environment(self) -> Option<Environment> {
        match self {
            Self { packages: Some(list), .. } => Some(Environment::Packages { list: list.parse().ok()? }),
            Self { prefix: Some(prefix), mark: Some(mark), .. } => Some(Environment::Folder { prefix, mark }),
            Self { .. } => None,
        }
    }
}
