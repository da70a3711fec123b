//! The check of a blob against its hash, a part at a time: a big one takes as long as hundreds of small messages.

use crate::conversation::Message;
use crate::error::DecodeError;
use crate::id::BlobHasher;

/// Bytes of a blob that are hashed at once.
pub const CHECKED_AT_ONCE: usize = 32 << 10;

/// A blob of which a part has been hashed.
#[derive(Debug)]
pub(super) struct Check<M> {
    message: M,
    hasher: BlobHasher,
    /// Place of the next byte: its part, and the place there.
    part: usize,
    offset: usize,
}

/// Progress of a check.
pub(super) enum Checked<M> {
    /// The hash is that of the payload.
    Whole(M),
    /// More of the payload is to be hashed.
    Partly(Check<M>),
}

impl<M: Message> Check<M> {
    pub(super) fn new(message: M) -> Self {
        Self { message, hasher: BlobHasher::default(), part: 0, offset: 0 }
    }

    /// Hashes the next [`CHECKED_AT_ONCE`] bytes.
    ///
    /// # Errors
    /// If the whole payload has another hash.
    pub(super) fn go_on(mut self) -> Result<Checked<M>, DecodeError> {
        let Some(blob) = self.message.blob() else {
            return Ok(Checked::Whole(self.message));
        };
        let mut most = CHECKED_AT_ONCE;
        while let Some(part) = blob.payload.parts().get(self.part) {
            let rest = &part[self.offset..];
            let now = &rest[..rest.len().min(most)];
            self.hasher.update(now);
            most -= now.len();
            self.offset += now.len();
            if self.offset < part.len() {
                return Ok(Checked::Partly(self));
            }
            (self.part, self.offset) = (self.part + 1, 0);
        }
        let hash = blob.hash;
        if self.hasher.finish() == hash {
            Ok(Checked::Whole(self.message))
        } else {
            Err(DecodeError::BlobHash(hash))
        }
    }
}
