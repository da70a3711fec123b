//! What the C library does with memory that was freed: big payloads want it again at once, the system wants it back.

/// Bigger pieces come from the system and go back to it one by one. No part of a payload is as big.
#[cfg(target_env = "gnu")]
const OWN_PIECE_BYTES: libc::c_int = 4 << 20;
/// So much that was freed is kept at the end of the heap; what is beyond it goes back to the system.
#[cfg(target_env = "gnu")]
const SPARE_BYTES: libc::c_int = 16 << 20;
/// What the heap grows by at least.
#[cfg(target_env = "gnu")]
const STEP_BYTES: libc::c_int = 1 << 20;

/// Keeps some freed memory at hand. The library's own rule gives the end of the heap back after nearly every part of a big
/// payload, and the kernel then clears the same pages again for the next: a tenth to a fifth of what passing it on costs.
pub fn keep_some() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two integers, and touches nothing that is in use.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_PIECE_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, SPARE_BYTES);
        libc::mallopt(libc::M_TOP_PAD, STEP_BYTES);
    }
}

/// Lets the system have what was freed in the middle of the heap, where the C library has a call for that.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes an integer, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
