//! Every limit of the wire, named. What happens beyond each is told in `spec/protocol.md`.

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
/// Output bytes of one attempt that may be under way beyond the client's grant.
pub const OUTPUT_WINDOW_BYTES: u64 = 1 << 20;
