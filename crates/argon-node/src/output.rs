//! What this program itself writes to standard output and error: every byte arrives, or its exit status says that it did not.
//!
//! The macros of the standard library panic where a disk is full or nobody reads, and clippy refuses them in this crate.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{Failure, Kind};

/// Which of the standard descriptors were closed when this process began, by their number.
static CLOSED: [AtomicBool; 3] = [AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false)];

/// Looks before the standard library opens /dev/null in place of what is closed, after which all writes seem to succeed.
extern "C" fn look() {
    for (number, is_closed) in (0..).zip(&CLOSED) {
        // SAFETY: asks for the flags of a descriptor, and changes nothing.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
            is_closed.store(true, Ordering::Relaxed);
        }
    }
}

// SAFETY: the loader calls the functions of this section before `main`, with nothing that this one uses.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Fails if standard output (1) or error (2) was closed by whoever started this process.
///
/// # Errors
/// With what a write to it would have given.
pub fn is_open(number: usize) -> io::Result<()> {
    if CLOSED[number].load(Ordering::Relaxed) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(())
}

/// Writes bytes of a command to standard output (1) or error (2), at once.
///
/// # Errors
/// If they cannot be written.
pub fn pass_on(number: usize, bytes: &[u8]) -> io::Result<()> {
    is_open(number)?;
    if number == 2 {
        return io::stderr().lock().write_all(bytes);
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}

/// Prints the answer of a command to standard output.
///
/// # Errors
/// If it cannot be written.
pub fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    pass_on(1, text.as_ref()).map_err(|error| unwritable(&error))
}

/// Prints the answer of a command to standard output, and a line's end.
///
/// # Errors
/// If it cannot be written.
pub fn print_line(line: impl std::fmt::Display) -> Result<(), Failure> {
    print(format!("{line}\n"))
}

/// Why standard output cannot be written, as a failure.
#[must_use]
pub fn unwritable(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::new(Kind::Unread, "nobody reads standard output any more");
    }
    Failure::new(Kind::Output, format!("standard output cannot be written: {error}"))
}

/// Tells people something on standard error. Where that cannot be written there is nobody to tell.
pub fn complain(text: impl std::fmt::Display) {
    // One write, so that lines of several processes do not mix.
    let _ = io::stderr().lock().write_all(format!("argon: {text}\n").as_bytes());
}
