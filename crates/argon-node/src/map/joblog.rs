//! The joblog: a line for each command that ended, in the columns of GNU parallel, so that its users' tools read it.
//!
//! Writes each line with one call, behind the command's output, so that what stands in it has been seen. Reads it to
//! go on where a run stopped, and refuses the log of another run.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::quote::digest;

const HEADING: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand";

/// Replaces a line end within a command, as in GNU parallel: no command contains it, and a line stays one.
const LINE_END: &str = "\0";

/// One command that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct JoblogEntry<'a> {
    /// The number of its input, from 1.
    pub sequence: u64,
    /// The worker that ran it; `:` where none is known.
    pub host: &'a str,
    /// Time of its submission, in seconds since 1970.
    pub started: f64,
    /// Run time of the command in seconds.
    pub run_time: f64,
    /// Bytes of its output.
    pub received: u64,
    /// Its exit status; -1 where there is none: a time limit, a cancel, a lost worker.
    pub exit: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// The command.
    pub command: &'a str,
}

/// Reason why a joblog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JoblogError {
    /// The system reports an error.
    #[error("the joblog {path} cannot be used: {error}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another run has it.
    #[error(
        "the joblog {path} is in use by another argon map{who}; wait for its end, or name another joblog",
        path = path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// Its process, if it is known.
        who: String,
    },
    /// The file is not a joblog.
    #[error(
        "{path} is not a joblog: line {line} does not have the columns of one; nothing was changed in it",
        path = path.display()
    )]
    NotOne {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Input and command do not fit together.
    #[error(
        "the joblog {path} is of another run: there, input {sequence} is not '{command}'; give the same command and \
         inputs as then, or another joblog",
        path = path.display()
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// The input.
        sequence: u64,
        /// The command of this run.
        command: String,
    },
}

/// A joblog that is written to.
#[derive(Debug)]
pub struct Joblog {
    path: PathBuf,
    file: File,
    line: Vec<u8>,
}

/// Results of an earlier run. Some 40 bytes for each line of its joblog.
#[derive(Debug, Default)]
pub struct Past {
    path: PathBuf,
    done: HashMap<u64, PastEntry, rustc_hash::FxBuildHasher>,
}

#[derive(Debug, Clone, Copy)]
struct PastEntry {
    command: u64,
    succeeded: bool,
}

impl Joblog {
    /// Takes the log for this run, before anything of it is read: until this value is dropped, or the process ends
    /// in whatever way, no other run can.
    ///
    /// # Errors
    /// If another run has it, or it cannot be written.
    pub fn take(path: &Path) -> Result<Self, JoblogError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| unusable(path, error))?;
        let is_file = file.metadata().is_ok_and(|facts| facts.is_file());
        // Where the file system knows no locks there are none.
        if is_file && matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            let who = holder(&file).map_or_else(String::new, |pid| format!(" (process {pid})"));
            return Err(JoblogError::InUse { path: path.to_owned(), who });
        }
        Ok(Self { path: path.to_owned(), file, line: Vec::new() })
    }

    /// Begins a new log in place of what is there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(mut self) -> Result<Self, JoblogError> {
        let is_file = self.file.metadata().is_ok_and(|facts| facts.is_file());
        let emptied = if is_file { self.file.set_len(0) } else { Ok(()) };
        emptied
            .and_then(|()| writeln!(self.file, "{HEADING}"))
            .map_err(|error| unusable(&self.path, error))?;
        Ok(self)
    }

    /// Goes on with the log that is there. A last line that was not written to its end goes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn go_on(mut self) -> Result<Self, JoblogError> {
        if self.file.metadata().is_ok_and(|facts| facts.len() == 0) {
            return self.begin();
        }
        end_of_lines(&self.file)
            .and_then(|end| self.file.set_len(end))
            .and_then(|()| self.file.seek(SeekFrom::End(0)))
            .map_err(|error| unusable(&self.path, error))?;
        Ok(self)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, entry: &JoblogEntry<'_>) -> Result<(), JoblogError> {
        self.line.clear();
        // A Vec takes everything.
        let _ = writeln!(
            self.line,
            "{}\t{}\t{:.3}\t{:10.3}\t0\t{}\t{}\t{}\t{}",
            entry.sequence,
            entry.host,
            entry.started,
            entry.run_time,
            entry.received,
            entry.exit,
            entry.signal,
            entry.command.replace('\n', LINE_END)
        );
        self.file.write_all(&self.line).map_err(|error| unusable(&self.path, error))
    }
}

/// The process that has a file locked, as the kernel lists them.
fn holder(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK ADVISORY WRITE 4711 fe:00:42 0 EOF`: process, then device and inode.
    locks.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_it = columns.get(1) == Some(&"FLOCK") && columns.get(5)?.rsplit(':').next() == Some(&inode);
        columns.get(4).filter(|_| is_it)?.parse().ok()
    })
}

/// End of the last whole line.
fn end_of_lines(file: &File) -> io::Result<u64> {
    let mut end = 0;
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(end);
        }
        end += count as u64;
    }
}

impl Past {
    /// Reads the joblog of an earlier run; empty if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read, or is not a joblog.
    pub fn read(path: &Path) -> Result<Self, JoblogError> {
        let mut past = Self { path: path.to_owned(), ..Self::default() };
        each_line(path, |line| {
            past.done.insert(
                line.sequence,
                PastEntry { command: digest(&line.command), succeeded: line.succeeded },
            );
        })?;
        Ok(past)
    }

    /// True if an input need not be run again. Failed ones count as done unless they are to be retried.
    ///
    /// # Errors
    /// If this input was another command in the log.
    pub fn is_done(&self, sequence: u64, command: &str, retry_failed: bool) -> Result<bool, JoblogError> {
        let Some(done) = self.done.get(&sequence) else { return Ok(false) };
        if done.command != digest(command) {
            let path = self.path.clone();
            return Err(JoblogError::OtherRun { path, sequence, command: command.to_owned() });
        }
        Ok(done.succeeded || !retry_failed)
    }
}

/// The commands of a joblog that failed and did not succeed later, by their number.
///
/// # Errors
/// If it cannot be read, or is not a joblog.
pub fn failed(path: &Path) -> Result<Vec<(u64, String)>, JoblogError> {
    if !path.exists() {
        return Err(unusable(path, io::Error::from(io::ErrorKind::NotFound)));
    }
    let mut failed = std::collections::BTreeMap::new();
    each_line(path, |line| {
        if line.succeeded {
            failed.remove(&line.sequence);
        } else {
            failed.insert(line.sequence, line.command);
        }
    })?;
    Ok(failed.into_iter().collect())
}

struct Line {
    sequence: u64,
    succeeded: bool,
    command: String,
}

fn each_line(path: &Path, mut take: impl FnMut(Line)) -> Result<(), JoblogError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(path, error)),
    };
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes).map_err(|error| unusable(path, error))?;
        if bytes.is_empty() {
            break;
        }
        let not_one = || JoblogError::NotOne { path: path.to_owned(), line: number };
        let Some(line) = bytes.strip_suffix(b"\n") else {
            // The end of a run that was killed while it wrote. A first line like that is not a joblog.
            if number == 1 {
                return Err(not_one());
            }
            break;
        };
        let line = std::str::from_utf8(line).map_err(|_| not_one())?;
        if number == 1 {
            if line != HEADING {
                return Err(not_one());
            }
            continue;
        }
        take(parse(line).ok_or_else(not_one)?);
    }
    Ok(())
}

fn parse(line: &str) -> Option<Line> {
    let columns: Vec<&str> = line.splitn(9, '\t').collect();
    let [sequence, _, _, _, _, _, exit, signal, command] = columns[..] else { return None };
    let exit: i32 = exit.parse().ok()?;
    let signal: i32 = signal.parse().ok()?;
    let command = command.replace(LINE_END, "\n");
    Some(Line { sequence: sequence.parse().ok()?, succeeded: exit == 0 && signal == 0, command })
}

fn unusable(path: &Path, error: io::Error) -> JoblogError {
    JoblogError::Unusable { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests;
