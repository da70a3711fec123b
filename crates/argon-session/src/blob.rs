//! Blobs: bytes that tasks share, named by their hash and sent once per connection.

use std::sync::Arc;

use argon_proto::{BlobHash, Payload};
use bytes::Bytes;

/// Bytes and their hash. Cloning costs a reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    hash: BlobHash,
    payload: Payload,
}

/// The blobs of one task, the code first. Cloning costs a reference count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blobs {
    list: Option<Arc<[Blob]>>,
}

/// A blob of bytes whose hash is known to be this.
///
/// Not a method of [`Blob`], which is part of the public face of `argon`: there, a blob is always named by its bytes.
#[must_use]
pub fn known_blob(hash: BlobHash, payload: Payload) -> Blob {
    Blob { hash, payload }
}

impl Blob {
    /// Names the bytes by their SHA-256.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let payload = Payload::from(bytes.into());
        Self { hash: BlobHash::of(payload.parts()), payload }
    }

    /// Returns the hash that names the blob.
    #[must_use]
    pub fn hash(&self) -> BlobHash {
        self.hash
    }

    /// Returns the bytes.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }
}

impl Blobs {
    /// The blobs, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Blob> {
        self.list.iter().flat_map(|list| list.iter())
    }

    /// Number of blobs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.as_ref().map_or(0, |list| list.len())
    }

    /// True if there is no blob.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_none()
    }
}

impl FromIterator<Blob> for Blobs {
    fn from_iter<I: IntoIterator<Item = Blob>>(blobs: I) -> Self {
        let list: Arc<[Blob]> = blobs.into_iter().collect();
        Self { list: if list.is_empty() { None } else { Some(list) } }
    }
}
