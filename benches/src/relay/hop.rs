//! One process of the relay: passes bytes on in one of three ways, and decides nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use clap::ValueEnum;

use super::MESSAGE_BYTES;

/// The subcommand of a hop; for [`super::chain`] only.
pub(crate) const HOP: &str = "relay-hop";

/// Way in which bytes are passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Way {
    /// One message a read and a write.
    Message,
    /// Whatever is there, looked at and copied frame by frame.
    Framed,
    /// Whatever is there.
    Bulk,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Framed => "framed",
            Self::Bulk => "bulk",
        }
    }
}

/// Runs a hop until its near side ends.
pub(crate) fn hop(way: Way) -> Result<(), String> {
    pass_both_ways(way).map_err(|error| format!("a hop broke: {error}"))
}

fn pass_both_ways(way: Way) -> io::Result<()> {
    let near = io::stdin().as_fd().try_clone_to_owned()?;
    let far = io::stdout().as_fd().try_clone_to_owned()?;
    if !is_socket(&far) {
        return pass(way, near.try_clone()?, near);
    }
    let (back_from, back_to) = (far.try_clone()?, near.try_clone()?);
    let back = std::thread::spawn(move || pass(way, back_from, back_to));
    pass(way, near, far.try_clone()?)?;
    // SAFETY: the descriptor is open.
    unsafe { libc::shutdown(std::os::fd::AsRawFd::as_raw_fd(&far), libc::SHUT_RDWR) };
    let _ = back.join();
    Ok(())
}

fn is_socket(fd: &OwnedFd) -> bool {
    // SAFETY: a stat is plain numbers, and the descriptor is open.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        let fd = std::os::fd::AsRawFd::as_raw_fd(fd);
        libc::fstat(fd, &raw mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFSOCK
    }
}

fn pass(way: Way, from: OwnedFd, to: OwnedFd) -> io::Result<()> {
    let (mut from, mut to) = (File::from(from), File::from(to));
    let mut buffer = vec![0; 256 << 10];
    let mut copy: Vec<u8> = Vec::new();
    let mut kept = 0;
    let room = if way == Way::Message { MESSAGE_BYTES } else { buffer.len() };
    loop {
        let count = match from.read(&mut buffer[kept..room]) {
            Ok(0) => return Ok(()),
            Ok(count) => kept + count,
            // The other side is gone.
            Err(_) => return Ok(()),
        };
        kept = 0;
        if way != Way::Framed {
            if to.write_all(&buffer[..count]).is_err() {
                return Ok(());
            }
            continue;
        }
        copy.clear();
        let mut rest = &buffer[..count];
        while let Some((length, body)) = rest.split_first_chunk::<4>()
            && let Some(frame) = body.get(..u32::from_be_bytes(*length) as usize)
        {
            copy.extend_from_slice(length);
            copy.extend_from_slice(frame);
            rest = &body[frame.len()..];
        }
        kept = rest.len();
        let start = count - kept;
        buffer.copy_within(start..count, 0);
        if to.write_all(&copy).is_err() {
            return Ok(());
        }
    }
}
