//! Returned files of a command: written next to their places, and put there when the command has ended.
//!
//! The client decides all names. A worker sends numbers, so that it cannot write elsewhere.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::RETURNED_HEAD_BYTES;
use super::name::CarriedName;

/// Files that a command returns.
#[derive(Debug)]
pub struct Receiver {
    files: Vec<Returned>,
    /// The attempt that is sending.
    attempt: u32,
    head: Vec<u8>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Returned {
    name: CarriedName,
    /// Its bytes, when all of them are here.
    whole: Option<Temporary>,
    /// Reason why it is missing.
    why: String,
}

#[derive(Debug)]
struct Current {
    number: usize,
    left: u64,
    /// None while a reason is sent in place of a file.
    to: Option<(Temporary, File)>,
    why: Vec<u8>,
}

/// A file that is removed unless it gets its place.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Receiver {
    /// For files of these names.
    #[must_use]
    pub fn new(names: Vec<CarriedName>) -> Self {
        let files = names.into_iter().map(|name| Returned { name, whole: None, why: String::new() });
        Self { files: files.collect(), attempt: 0, head: Vec::new(), current: None }
    }

    /// Takes a piece of what `attempt` returns. What an earlier start has returned is void.
    ///
    /// # Errors
    /// With a sentence, if a file cannot be written here, or the worker sends something else.
    pub fn take(&mut self, attempt: u32, mut bytes: &[u8]) -> Result<(), String> {
        if attempt != self.attempt {
            self.attempt = attempt;
            self.head.clear();
            self.current = None;
            self.files.iter_mut().for_each(|file| (file.whole, file.why) = (None, String::new()));
        }
        loop {
            if self.current.is_none() {
                let wanted = RETURNED_HEAD_BYTES - self.head.len();
                let (head, rest) = bytes.split_at(wanted.min(bytes.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                if self.head.len() < RETURNED_HEAD_BYTES {
                    return Ok(());
                }
                self.begin()?;
            }
            if let Some(current) = &mut self.current {
                let count = usize::try_from(current.left).unwrap_or(usize::MAX).min(bytes.len());
                let (here, rest) = bytes.split_at(count);
                match &mut current.to {
                    Some((temporary, file)) => {
                        file.write_all(here).map_err(|error| unwritable(&temporary.0, &error))?;
                    }
                    None => current.why.extend_from_slice(here),
                }
                current.left -= count as u64;
                bytes = rest;
                if current.left > 0 {
                    return Ok(());
                }
                self.end();
            }
        }
    }

    fn begin(&mut self) -> Result<(), String> {
        let head = std::mem::take(&mut self.head);
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (file, is_there, mode) = (number(0) as usize, head[4] == 1, number(5));
        let left = u64::from(number(9)) << 32 | u64::from(number(13));
        let broken = || "the worker returned something else than the files that were asked for".to_owned();
        let wanted = self.files.get(file).filter(|file| file.whole.is_none()).ok_or_else(broken)?;
        if !is_there && left > 4096 {
            return Err(broken());
        }
        let to = if is_there { Some(create(&wanted.name.local, mode)?) } else { None };
        self.current = Some(Current { number: file, left, to, why: Vec::new() });
        Ok(())
    }

    fn end(&mut self) {
        let Some(Current { number, to, why, .. }) = self.current.take() else { return };
        let Some(file) = self.files.get_mut(number) else { return };
        file.whole = to.map(|(temporary, _)| temporary);
        file.why = String::from_utf8_lossy(&why).into_owned();
    }

    /// The command has ended: whole files get their places. Returns a sentence if one is missing.
    #[must_use]
    pub fn finish(mut self) -> Option<String> {
        let mut problem = None;
        for Returned { name, whole, why } in self.files.drain(..) {
            let local = &name.local;
            let missing = || match why.as_str() {
                "" => format!("the file {} was not returned", local.display()),
                why => format!("the file {} was not returned: {why}", local.display()),
            };
            let put = match whole {
                None => Err(missing()),
                Some(temporary) => fs::rename(&temporary.0, local).map_err(|error| unwritable(local, &error)),
            };
            if let Err(why) = put {
                problem.get_or_insert(why);
            }
        }
        problem
    }
}

/// A file next to the place of `path`, which gets its name later.
fn create(path: &Path, mode: u32) -> Result<(Temporary, File), String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let failed = |error: io::Error| unwritable(path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let short: String = name.chars().take(60).collect();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{short}.argon-{}-{number}", std::process::id()));
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(failed)?;
    let temporary = Temporary(temporary);
    file.set_permissions(Permissions::from_mode(mode & 0o777)).map_err(failed)?;
    Ok((temporary, file))
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    format!("the returned file {} cannot be written here: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: u32, is_there: bool, mode: u32, bytes: &[u8]) -> Vec<u8> {
        let mut piece = number.to_be_bytes().to_vec();
        piece.push(u8::from(is_there));
        piece.extend(mode.to_be_bytes());
        piece.extend((bytes.len() as u64).to_be_bytes());
        piece.extend(bytes);
        piece
    }

    fn receiver(folder: &Path, names: &[&str]) -> Receiver {
        let name = |name: &&str| CarriedName { local: folder.join(name), remote: (*name).to_owned() };
        Receiver::new(names.iter().map(name).collect())
    }

    #[test]
    fn files_come_in_pieces_and_get_their_places_at_the_end() {
        let folder = tempfile::tempdir().expect("made");
        let mut files = receiver(folder.path(), &["a", "sub/b"]);
        files.take(1, &piece(0, true, 0o600, b"of an earlier start")).expect("taken");
        let all = [piece(0, true, 0o755, b"first"), piece(1, true, 0o644, b"")].concat();
        for byte in &all {
            files.take(2, &[*byte]).expect("taken");
            assert!(!folder.path().join("a").exists());
        }
        assert_eq!(files.finish(), None);
        assert_eq!(fs::read(folder.path().join("a")).expect("there"), b"first");
        assert_eq!(fs::metadata(folder.path().join("a")).expect("there").permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read(folder.path().join("sub/b")).expect("there"), b"");
    }

    // kind: files that travel | a worker that returns other files, or twice | loud | the client decides all names
    #[test]
    fn a_missing_file_has_a_sentence_and_a_lie_is_refused() {
        let folder = tempfile::tempdir().expect("made");
        let mut files = receiver(folder.path(), &["a"]);
        files.take(1, &piece(0, false, 0, b"No such file")).expect("taken");
        let why = files.finish().expect("missing");
        assert!(why.ends_with("a was not returned: No such file"), "{why}");
        for lie in
            [piece(1, true, 0o644, b"x"), [piece(0, true, 0o644, b"x"), piece(0, true, 0, b"")].concat()]
        {
            let mut files = receiver(folder.path(), &["a"]);
            assert!(files.take(1, &lie).is_err());
        }
        let mut half = receiver(folder.path(), &["a"]);
        half.take(1, &piece(0, true, 0o644, b"half")[..19]).expect("taken");
        assert!(half.finish().is_some());
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0, "nothing is left");
    }
}
