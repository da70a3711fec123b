//! Limits and times of the protocol, each defined here once. `spec/protocol.md` describes what happens beyond each.

use std::time::Duration;

/// Largest frame before the key is proven, in bytes (kind and body).
pub const FRAME_BYTES_BEFORE_PROOF: usize = 512;
/// Largest frame after the proof, in bytes (kind and body).
pub const FRAME_BYTES: usize = 1 << 20;
/// Most payload bytes inside one message frame or one chunk.
pub const INLINE_BYTES: usize = 256 << 10;
/// Largest payload of one task, outcome or blob, in bytes.
pub const PAYLOAD_BYTES: u64 = 1 << 30;
/// Most blobs that one task may name.
pub const BLOBS_PER_TASK: usize = 16;
/// Largest JSON `meta` of a task or report of an outcome, in bytes.
pub const META_BYTES: usize = 64 << 10;
/// Most ids in one frame of a list of ids.
pub const IDS_PER_FRAME: usize = 16_384;
/// Most payloads that may have begun and not ended on one connection.
pub const STREAMS_AT_ONCE: usize = 16_384;
/// Largest JSON of OPEN, CHILD_OPEN and REGISTER, in bytes.
pub const INTRODUCTION_BYTES: usize = 64 << 10;
/// Most attempts that a worker may list before it registers.
pub const HELD_ATTEMPTS: usize = 1 << 20;
/// Output bytes of one attempt that may be under way beyond the client's grant.
pub const OUTPUT_WINDOW_BYTES: u64 = 1 << 20;

/// Silence after which a peer counts as dead, for clients, managers and workers. Any byte breaks the silence.
pub const SILENCE: Duration = Duration::from_secs(15);
/// A side that has sent nothing for this time sends a PING.
pub const PING_AFTER: Duration = Duration::from_secs(5);
/// Bound on connecting and the handshake.
pub const DIAL_WITHIN: Duration = Duration::from_secs(5);
/// Time for which a machine without a key waits for a person to let it in.
pub const PAIR_WITHIN: Duration = Duration::from_secs(600);
/// Bytes that a machine may send while it waits: a PING every few seconds, and some to spare.
pub const PAIR_WAIT_BYTES: usize = 4096;
/// Bound on the search for the first manager of a client, unless its user sets another.
pub const FIRST_MANAGER_WITHIN: Duration = Duration::from_secs(1);
/// Refusals in a row, without an outcome or reply between them, after which a client gives up.
pub const REFUSALS_MAX: u32 = 5;

/// Outcomes that a client acknowledges together, at the most.
pub const ACKS_MAX: usize = 256;
/// Bytes of outcomes that a client acknowledges together: the manager keeps them until then.
pub const ACKS_BYTES: u64 = 1 << 20;
/// Time that an acknowledgement waits for others. It goes earlier with anything else that is sent.
pub const ACK_WITHIN: Duration = Duration::from_millis(20);
/// Output of a task that a client takes before it grants as much again, in bytes.
pub const OUTPUT_GRANT_BYTES: u64 = 256 << 10;

/// Wait without an outcome after which a client asks why; doubled after each question.
pub const ASK_WHY_AFTER: Duration = Duration::from_secs(2);
/// Longest time between two such questions.
pub const ASK_WHY_AFTER_MAX: Duration = Duration::from_secs(30);
