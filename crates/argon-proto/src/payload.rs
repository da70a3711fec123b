//! Payload bytes as they were received: a few shared slices that are passed on without a copy.

use bytes::Bytes;

/// The bytes of an argument list, a returned value or a blob, in one or more shared parts.
///
/// Cloning costs a reference count. A payload that travelled in chunks keeps them as parts, so that
/// they are never joined in memory.
///
/// A *stored* payload is a placeholder: only its length is here, and the bytes are in the store of a manager. It passes
/// through the scheduler like any other. Only the manager's shell sees it in a message, and replaces it by the bytes
/// before it encodes the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parts {
    One(Bytes),
    /// Several parts and their whole length; `None` for a stored payload.
    Many(Option<std::sync::Arc<[Bytes]>>, u64),
}

/// Description of a payload in the first frame of its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WholePayload {
    /// The stream that carries the rest of it; 0 if there is none.
    pub stream: u32,
    /// Its length, bytes.
    pub length: u64,
}

impl Default for Parts {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl Payload {
    /// A payload of several parts; empty parts are left out.
    #[must_use]
    pub fn from_parts(mut parts: Vec<Bytes>) -> Self {
        parts.retain(|part| !part.is_empty());
        let parts = match parts.len() {
            0 => Parts::default(),
            1 => Parts::One(parts.remove(0)),
            _ => {
                let length = parts.iter().map(|part| part.len() as u64).sum();
                Parts::Many(Some(parts.into()), length)
            }
        };
        Self { parts }
    }

    /// A placeholder for `length` bytes that are in the store.
    #[must_use]
    pub fn stored(length: u64) -> Self {
        Self { parts: Parts::Many(None, length) }
    }

    /// True for a placeholder: the bytes are in the store.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        matches!(self.parts, Parts::Many(None, _))
    }

    /// Number of bytes that the payload keeps in memory: 0 for a placeholder.
    #[must_use]
    pub fn resident(&self) -> u64 {
        if self.is_stored() { 0 } else { self.len() }
    }

    /// Length in bytes, of a placeholder too.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.parts {
            Parts::One(part) => part.len() as u64,
            Parts::Many(_, length) => *length,
        }
    }

    /// True if there is not a single byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts, in order.
    ///
    /// # Panics
    /// On a placeholder, whose bytes are not here.
    #[must_use]
    pub fn parts(&self) -> &[Bytes] {
        match &self.parts {
            Parts::One(part) => std::slice::from_ref(part),
            Parts::Many(Some(parts), _) => parts,
            Parts::Many(None, length) => panic!("a payload of {length} bytes was not read from the store"),
        }
    }

    /// Copies the bytes if they are few. A few bytes that are kept would otherwise keep the memory of a whole read.
    pub fn compact(&mut self) {
        if let Parts::One(part) = &mut self.parts {
            compact(part);
        }
    }

    /// All bytes in one piece; copies only if there is more than one part.
    ///
    /// # Panics
    /// On a placeholder, whose bytes are not here.
    #[must_use]
    pub fn to_contiguous(&self) -> Bytes {
        match &self.parts {
            Parts::One(part) => part.clone(),
            Parts::Many(..) => self.parts().concat().into(),
        }
    }
}

/// Pieces of at most this length are copied when they are kept.
const COMPACT_BYTES: usize = 32 << 10;

/// Copies bytes that are few to memory of their own.
pub(crate) fn compact(bytes: &mut Bytes) {
    if bytes.len() <= COMPACT_BYTES {
        *bytes = Bytes::copy_from_slice(bytes);
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self { parts: Parts::One(bytes) }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_and_counted() {
        let payload =
            Payload::from_parts(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")]);
        assert_eq!(payload.len(), 3);
        assert_eq!(payload.parts().len(), 2);
        assert_eq!(&payload.to_contiguous()[..], b"abc");
        assert!(Payload::default().is_empty());
    }

    #[test]
    fn a_placeholder_has_a_length_and_no_bytes() {
        let stored = Payload::stored(5000);
        assert!(stored.is_stored() && !stored.is_empty());
        assert_eq!((stored.len(), stored.resident()), (5000, 0));
        assert_ne!(stored, Payload::from(vec![0; 5000]));
        assert!(
            std::panic::catch_unwind(|| stored.parts().len()).is_err(),
            "bytes that are not here are not sent"
        );
        let here = Payload::from(vec![0; 5000]);
        assert_eq!((here.is_stored(), here.resident()), (false, 5000));
    }

    #[test]
    fn a_payload_stays_small() {
        assert_eq!(size_of::<Payload>(), size_of::<Bytes>());
    }
}
