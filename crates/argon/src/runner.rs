//! The native runner: the same program, started by a worker to run tasks. See `spec/runner.md`, sections 1, 2 and 6.
//!
//! One thread, blocking: frames from the private socket in, one task after another, outcomes out.

pub(crate) mod arguments;
mod folder;
mod leases;
mod panic;
mod registry;
mod serve;
mod values;

use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixStream;

pub use registry::Registered;

use crate::program;

/// Variable with the descriptor of the socket.
const VARIABLE: &str = "ARGON_RUNNER_FD";
/// Of what tasks free, pieces up to this size stay for the next; the C library allows no more.
const PIECE_BYTES: u32 = 32 << 20;

/// Serves tasks and ends the process if a worker started it for that; returns otherwise. `#[argon::main]` calls this before
/// anything else; a program with another entry calls it itself, first thing in `main`.
pub fn serve_if_runner() {
    program::mark();
    let Some(socket) = socket() else {
        return;
    };
    argon_net::memory::keep_freed(PIECE_BYTES, 2 * PIECE_BYTES);
    std::process::exit(match serve::serve(socket, leases::LeasePipe::of_this_process()) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("the runner's socket broke: {error}");
            1
        }
    });
}

fn socket() -> Option<UnixStream> {
    let number: RawFd = std::env::var(VARIABLE).ok()?.parse().ok()?;
    // A program that a task starts inherits the variable, but not the socket: it is not a runner.
    let link = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    if number <= 2 || !link.to_string_lossy().starts_with("socket:") {
        return None;
    }
    // SAFETY: the descriptor is open, the worker made it for this process, and nothing else here knows its number.
    let socket = unsafe { UnixStream::from_raw_fd(number) };
    // What tasks start must not hold it open.
    socket2::SockRef::from(&socket).set_cloexec(true).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests;
