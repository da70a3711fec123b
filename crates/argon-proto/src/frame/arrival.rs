//! Questions and results of a decoder of limited memory.

/// Decision about a payload that begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Is kept.
    Here,
    /// Not now: nothing is read until there is.
    Later,
    /// Is read and not kept.
    Nowhere,
}

/// A message that has arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Arrival<M> {
    /// All of it.
    Whole(M),
    /// All but its payload, for which the receiver had no room.
    WithoutPayload {
        /// The message; its payload is empty.
        message: M,
        /// Length of the payload that was sent.
        payload_bytes: u64,
    },
}

impl<M> Arrival<M> {
    /// The message, with its payload or without.
    pub fn into_message(self) -> M {
        match self {
            Self::Whole(message) | Self::WithoutPayload { message, .. } => message,
        }
    }
}
