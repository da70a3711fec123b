//! Files that travel with a command, and come back (`spec/runner.md`, section 7).
//!
//! An archive stands before the standard input of the command. A process of the worker, `carry`, unpacks it in the scratch
//! folder, starts the command, and writes the returned files as output of descriptor [`RETURNED_FD`].

pub mod archive;
pub mod carry;
pub mod name;
pub mod receive;

/// The descriptor in OUTPUT that stands for returned files.
pub const RETURNED_FD: u8 = 4;

/// Bytes of the head of a file in an archive: length of its path, mode, length.
pub const SENT_HEAD_BYTES: usize = 16;
/// Bytes of the head of a returned file: its number, whether it is there, mode, length.
pub const RETURNED_HEAD_BYTES: usize = 17;
/// Longest path in an archive.
pub const PATH_BYTES_MAX: usize = 4096;
