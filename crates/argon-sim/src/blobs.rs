//! Blobs that tasks may name.

use argon_proto::conversation::Blob;
use argon_proto::{BlobHash, Payload};

/// Number of blobs that there are.
pub(crate) const BLOBS: usize = 5;

/// Blobs that tasks may name.
pub(crate) fn all_blobs() -> Vec<Blob> {
    let blob = |number: u8| {
        let payload = Payload::from(vec![number; 60 + 40 * usize::from(number)]);
        Blob { hash: BlobHash::of(payload.parts()), payload }
    };
    (0..BLOBS as u8).map(blob).collect()
}
