//! Memory of this process: what is kept of freed memory for the next payload, and who may read it.

/// No part of a payload is longer.
const PIECE_BYTES: u32 = 4 << 20;
/// Freed memory beyond this returns to the system.
const SPARE_BYTES: u32 = 16 << 20;

/// Keeps some of what was freed for the next payload.
pub fn keep_some() {
    argon_net::memory::keep_freed(PIECE_BYTES, SPARE_BYTES);
}

/// Lets all threads share one heap: what one thread allocates and another frees would stay with the heap of the first.
/// Called before there are threads.
pub fn share_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two integers, and touches nothing that is in use.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Closes the memory, environment and descriptors of this process to other processes of its user, and to core files: its
/// key and its secrets are there. Called before they are. Root can still read them.
pub fn close_to_others() {
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// Lets the system have what was freed in the middle of the heap, where the C library has a call for that.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes an integer, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
