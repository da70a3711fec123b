//! A payload while its pieces arrive. The decoder keeps one for each unfinished stream.

use bytes::{Bytes, BytesMut};

use crate::limit;
use crate::payload::Payload;

/// Shorter pieces of a payload are copied: each would keep the memory of a whole read alive.
const PIECE_BYTES: usize = 32 << 10;

/// A message whose payload arrives in chunks.
#[derive(Debug)]
pub(super) struct Arriving<M> {
    pub(super) message: M,
    /// Bytes of the payload so far; none if they are not kept.
    pub(super) collected: Option<Collected>,
    pub(super) payload_bytes: u64,
    pub(super) missing: u64,
}

impl<M> Arriving<M> {
    pub(super) fn kept_bytes(&self) -> u64 {
        self.collected.as_ref().map_or(0, |collected| collected.bytes)
    }

    pub(super) fn expected_bytes(&self) -> u64 {
        self.collected.as_ref().map_or(0, |_| self.payload_bytes)
    }
}

/// The part of a payload that has arrived. Small pieces are joined, so that a payload of a million pieces takes no more
/// memory than one of a few.
#[derive(Debug, Default)]
pub(super) struct Collected {
    parts: Vec<Bytes>,
    /// Small pieces behind `parts`.
    tail: BytesMut,
    pub(super) bytes: u64,
}

impl Collected {
    pub(super) fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len() as u64;
        if piece.len() < PIECE_BYTES {
            self.tail.extend_from_slice(&piece);
        }
        if piece.len() >= PIECE_BYTES || self.tail.len() >= limit::INLINE_BYTES {
            self.freeze_tail();
        }
        if piece.len() >= PIECE_BYTES {
            self.parts.push(piece);
        }
    }

    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push(std::mem::take(&mut self.tail).freeze());
        }
    }

    pub(super) fn into_payload(mut self) -> Payload {
        self.freeze_tail();
        Payload::from_parts(self.parts)
    }
}
