//! This program's own executable as a blob: read once, hashed once, and only when a native task is called.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use argon_proto::{BlobHash, Payload};
use argon_session::{Blob, Blobs, ErrorKind, known_blob};
use bytes::Bytes;

use crate::error::Error;

static MARKED: AtomicBool = AtomicBool::new(false);
static KNOWN: OnceLock<BlobHash> = OnceLock::new();

/// The program will serve when a worker starts it.
pub(crate) fn mark() {
    MARKED.store(true, Ordering::Relaxed);
}

/// The program, and behind it the values that a task shares.
pub(crate) fn blobs(shared: Vec<Blob>) -> Result<Blobs, Error> {
    static ALONE: OnceLock<Result<(Blob, Blobs), Error>> = OnceLock::new();
    let alone = ALONE.get_or_init(|| {
        let program = read()?;
        let alone = [program.clone()].into_iter().collect();
        Ok((program, alone))
    });
    match alone {
        Ok((_, alone)) if shared.is_empty() => Ok(alone.clone()),
        Ok((program, _)) => Ok([program.clone()].into_iter().chain(shared).collect()),
        Err(error) => Err(error.clone()),
    }
}

/// The program is this blob: a worker has started it from there.
pub(crate) fn know(hash: BlobHash) {
    let _ = KNOWN.set(hash);
}

/// The blob of this program, if a worker has started it: the manager has it too.
pub(crate) fn known() -> Option<BlobHash> {
    KNOWN.get().copied()
}

fn read() -> Result<Blob, Error> {
    if !MARKED.load(Ordering::Relaxed) {
        let message = "workers start this program to run its tasks, but its main does not serve them; \
                       mark main with #[argon::main], or let it call argon::serve_if_runner() first";
        return Err(Error::new(ErrorKind::Option, message));
    }
    // Linux keeps the file of a running program under this name, also when it was replaced meanwhile.
    let linux = Path::new("/proc/self/exe");
    let path = if linux.exists() { Ok(linux.to_owned()) } else { std::env::current_exe() };
    let blob = path.and_then(|path| match known() {
        // A task of a task costs neither a copy of the program nor its hash: the manager hardly ever asks for the bytes.
        Some(hash) => Ok(known_blob(hash, Payload::from(mapped(&path)?))),
        None => Ok(Blob::new(std::fs::read(path)?)),
    });
    blob.map_err(|error| {
        let message = format!("this program's own executable cannot be read, to send it to workers: {error}");
        Error::new(ErrorKind::Option, message)
    })
}

/// The bytes of a file that does not change: the kernel refuses to write to a program that runs.
fn mapped(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    // SAFETY: a new mapping of an open file, which is only read.
    let start = unsafe {
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping has this length, is never changed, and stays for the life of the process: there is one.
    Ok(Bytes::from_static(unsafe { std::slice::from_raw_parts(start.cast(), length) }))
}
