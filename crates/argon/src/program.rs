//! This program's own executable as a blob: read once, hashed once, and only when a native task is called.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use argon_session::{Blob, Blobs, ErrorKind};

use crate::error::Error;

static MARKED: AtomicBool = AtomicBool::new(false);

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

fn read() -> Result<Blob, Error> {
    if !MARKED.load(Ordering::Relaxed) {
        let message = "workers start this program to run its tasks, but its main does not serve them; \
                       mark main with #[argon::main], or let it call argon::serve_if_runner() first";
        return Err(Error::new(ErrorKind::Option, message));
    }
    // Linux keeps the file of a running program under this name, also when it was replaced meanwhile.
    let linux = std::path::Path::new("/proc/self/exe");
    let path = if linux.exists() { Ok(linux.to_owned()) } else { std::env::current_exe() };
    let bytes = path.and_then(std::fs::read).map_err(|error| {
        let message = format!("this program's own executable cannot be read, to send it to workers: {error}");
        Error::new(ErrorKind::Option, message)
    })?;
    Ok(Blob::new(bytes))
}
