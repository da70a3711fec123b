//! Settings of the C allocator for processes that pass big payloads on: when freed memory goes back to the system.

use std::sync::atomic::{AtomicU64, Ordering};

use argon_proto::limit;

/// Keeps freed memory at hand: pieces of up to `piece` bytes stay with the heap, and `spare` bytes at its end. The
/// library's own rule returns the end of the heap after nearly every part of a big payload, and the kernel then clears
/// the same pages again for the next: a fifth of what passing it on costs.
pub fn keep_freed(piece: u32, spare: u32) {
    #[cfg(target_env = "gnu")]
    for (parameter, bytes) in
        [(libc::M_MMAP_THRESHOLD, piece), (libc::M_TRIM_THRESHOLD, spare), (libc::M_TOP_PAD, STEP_BYTES)]
    {
        // SAFETY: takes two integers, and touches nothing that is in use.
        unsafe { libc::mallopt(parameter, bytes.try_into().unwrap_or(libc::c_int::MAX)) };
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = (piece, spare);
}

/// Prepares the heap of a user's process for payloads of `bytes`, without settings that would change the whole process.
/// When the library frees a piece that came from the system, it keeps pieces of that size from then on, and twice as much
/// free memory. So such a piece is allocated, never touched, and freed.
pub fn expect(bytes: u64) {
    static EXPECTED: AtomicU64 = AtomicU64::new(limit::INLINE_BYTES as u64);
    if bytes <= EXPECTED.load(Ordering::Relaxed) {
        return;
    }
    EXPECTED.fetch_max(bytes, Ordering::Relaxed);
    let piece = (PIECES * bytes).min(PIECE_BYTES_MAX);
    // Where there is a limit of memory this may fail, and then the program goes on as before.
    let mut nothing = Vec::<u8>::new();
    let _ = nothing.try_reserve_exact(usize::try_from(piece).unwrap_or(0));
    std::hint::black_box(&mut nothing);
}

/// The library learns nothing from bigger pieces.
const PIECE_BYTES_MAX: u64 = (32 << 20) - (64 << 10);
/// Payloads that are under way at a time, and their copies.
const PIECES: u64 = 8;
/// Memory by which the heap grows at least.
#[cfg(target_env = "gnu")]
const STEP_BYTES: u32 = 1 << 20;
