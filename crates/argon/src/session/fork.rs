//! Forks of this process. A child has the memory of a session, but not the thread or runtime that carries it, and shares its
//! socket: whatever it wrote would be taken for the parent's.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// Message for a child that uses a client of its parent.
pub(super) const ADVICE: &str = "this client was made before a fork and belongs to the parent process; \
                                 connect a client of its own in the child";

/// Number of forks between the start of the program and this process.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Number of this process: it differs in a forked child.
pub(super) fn generation() -> u64 {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        // SAFETY: the handler only adds to an atomic number, which is safe in the child of any process. If there is no memory
        // for the handler, forks go unnoticed, as if it was not asked for.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    FORKS.load(Ordering::Relaxed)
}

unsafe extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
