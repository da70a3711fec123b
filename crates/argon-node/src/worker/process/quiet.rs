//! Blocks signals while a process is made that shares the memory of this one: no handler must run there.

use std::ptr;

/// While it lives, this thread gets no signals.
pub(super) struct Quiet(libc::sigset_t);

impl Quiet {
    pub(super) fn new() -> Self {
        // SAFETY: both sets are locals; zero bytes are a value of theirs.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: restores what `new` has found.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut());
        }
    }
}
