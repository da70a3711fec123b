//! Values that many tasks share: sent once as a blob, named by their hash in the arguments.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use argon_proto::BlobHash;
use argon_session::{Blob, ErrorKind};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::own;

/// A value that was shared with [`Client::share`](crate::Client::share). As an argument it travels as its hash; its bytes
/// go to each machine once. It can be used like the value itself, here and in the task.
pub struct Shared<T> {
    blob: Blob,
    value: OnceLock<Arc<T>>,
}

/// Store of shared values in a runner.
pub(crate) trait Keeper {
    /// The value that was read from this blob before, or the blob.
    fn find(&self, hash: BlobHash) -> Option<Kept>;
    /// The value that was read from it.
    fn keep(&self, hash: BlobHash, value: Arc<dyn Any + Send + Sync>);
}

#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) blob: Blob,
    pub(crate) value: Option<Arc<dyn Any + Send + Sync>>,
}

thread_local! {
    /// Blobs that the arguments which are being written name.
    static NAMED: RefCell<Option<Vec<Blob>>> = const { RefCell::new(None) };
    /// Store for the arguments that are being read.
    static KEEPER: RefCell<Option<Arc<dyn Keeper>>> = const { RefCell::new(None) };
}

impl<T: Serialize + DeserializeOwned> Shared<T> {
    /// Turns the value into a blob.
    pub(crate) fn new(value: &T) -> Result<Self, Error> {
        let written = own::to_vec(value).and_then(|bytes| own::check(value, &bytes).map(|()| bytes));
        let bytes = written.map_err(|error| {
            let kind = std::any::type_name::<T>();
            Error::new(ErrorKind::Data, format!("the value to share, a {kind}, cannot travel: {error}"))
        })?;
        Ok(Self { blob: Blob::new(bytes), value: OnceLock::new() })
    }
}

impl<T> Shared<T> {
    /// The name of its blob.
    #[must_use]
    pub fn hash(&self) -> BlobHash {
        self.blob.hash()
    }
}

impl<T: DeserializeOwned> Deref for Shared<T> {
    type Target = T;

    /// # Panics
    /// If the bytes are not a `T`. In a task, the caller receives this as the panic of the task.
    fn deref(&self) -> &T {
        self.value.get_or_init(|| match read(&self.blob) {
            Ok(value) => Arc::new(value),
            Err(why) => panic!("{why}"),
        })
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { blob: self.blob.clone(), value: self.value.clone() }
    }
}

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({})", self.blob.hash())
    }
}

impl<T> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        NAMED.with_borrow_mut(|named| match named {
            Some(named) => {
                if !named.iter().any(|blob| blob.hash() == self.hash()) {
                    named.push(self.blob.clone());
                }
                self.hash().0.serialize(serializer)
            }
            None => Err(S::Error::custom("a shared value travels only as an argument of a task")),
        })
    }
}

impl<'de, T: DeserializeOwned + Send + Sync + 'static> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hash = BlobHash(<[u8; 32]>::deserialize(deserializer)?);
        if let Some(blob) = named(hash) {
            return Ok(Self { blob, value: OnceLock::new() });
        }
        let keeper = KEEPER.with_borrow(Clone::clone);
        let keeper = keeper.ok_or_else(|| D::Error::custom("a shared value is read only in a task"))?;
        let kept = keeper
            .find(hash)
            .ok_or_else(|| D::Error::custom(format!("the shared value {hash} is not here")))?;
        let known = kept.value.and_then(|value| value.downcast::<T>().ok());
        let value = match known {
            Some(value) => value,
            None => {
                let value = Arc::new(read(&kept.blob).map_err(D::Error::custom)?);
                keeper.keep(hash, Arc::clone(&value) as Arc<dyn Any + Send + Sync>);
                value
            }
        };
        Ok(Self { blob: kept.blob, value: OnceLock::from(value) })
    }
}

/// The blob of this hash, if the arguments that are being written name it. They are read back, and it is not.
fn named(hash: BlobHash) -> Option<Blob> {
    NAMED.with_borrow(|named| named.iter().flatten().find(|blob| blob.hash() == hash).cloned())
}

fn read<T: DeserializeOwned>(blob: &Blob) -> Result<T, String> {
    own::from_slice(&blob.payload().to_contiguous())
        .map_err(|error| format!("the shared value is no {}: {error}", std::any::type_name::<T>()))
}

/// Runs `write` and returns the blobs that were named in it.
pub(crate) fn collecting<R>(write: impl FnOnce() -> R) -> (R, Vec<Blob>) {
    NAMED.set(Some(Vec::new()));
    let written = write();
    (written, NAMED.take().unwrap_or_default())
}

/// Shared values are looked for here from now on, in this thread.
pub(crate) fn set_keeper(keeper: Arc<dyn Keeper>) {
    KEEPER.set(Some(keeper));
}
