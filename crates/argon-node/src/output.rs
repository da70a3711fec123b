//! Standard output and error of the program itself: every byte arrives, or the exit status shows that it did not.
//!
//! The macros of the standard library panic if a disk is full or a reader has ended; clippy forbids them in this crate.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use argon_proto::line;

use crate::exit::{Failure, FailureKind};

/// Standard descriptors that were closed when this process began, by their number.
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

/// Fails if standard output (1) or error (2) was closed when this process started.
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

/// An error of standard output as a failure.
#[must_use]
pub fn unwritable(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::new(FailureKind::Unread, "the reader of standard output has ended");
    }
    Failure::new(FailureKind::Output, format!("standard output cannot be written: {error}"))
}

/// True if the log is read by programs, and messages for people are events of it.
static IN_LOG: AtomicBool = AtomicBool::new(false);

/// Makes events of the log of what [`complain`] prints from now on.
pub fn complain_in_log() {
    IN_LOG.store(true, Ordering::Relaxed);
}

/// True if [`complain`] makes events of the log.
#[must_use]
pub fn complains_in_log() -> bool {
    IN_LOG.load(Ordering::Relaxed)
}

/// Prints a message on standard error. Failures are ignored, because there is no other place for them.
pub fn complain(text: impl std::fmt::Display) {
    if complains_in_log() {
        return tracing::warn!("{text}");
    }
    // One write, so that lines of several processes do not mix.
    let _ = io::stderr().lock().write_all(format!("argon: {}\n", printable(&text.to_string())).as_bytes());
}

/// `1 worker`, `2 workers`.
#[must_use]
pub fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A text that may come from others, for a terminal. Characters that move the cursor, rename the window, hide what stands
/// before them or turn the direction of text are shown as `\u{1b}` is. Line ends and tabs stay.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_harmless = |letter: char| !line::is_unsafe(letter) || matches!(letter, '\n' | '\t');
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let shown = |letter: char| {
        if is_harmless(letter) { letter.to_string() } else { letter.escape_unicode().to_string() }
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Text for one line of a table: each control character is a space.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    text.replace(line::is_unsafe, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    // kind: input is not code | escape sequences of terminals in names and messages | right | shown, not sent
    #[test]
    fn control_characters_of_others_are_shown_and_not_sent_to_the_terminal() {
        assert_eq!(printable("plain é 漢\n\tx"), "plain é 漢\n\tx");
        assert_eq!(
            printable("a\u{1b}]0;owned\u{7}\r\u{9b}2J\u{7f}"),
            "a\\u{1b}]0;owned\\u{7}\\u{d}\\u{9b}2J\\u{7f}"
        );
        assert_eq!(on_one_line("a\u{1b}[2J\nb\u{9b}"), "a [2J b ");
        assert_eq!(printable("gnp.\u{202e}exe"), "gnp.\\u{202e}exe");
        assert_eq!(on_one_line("gnp.\u{202e}exe"), "gnp. exe");
    }
}
