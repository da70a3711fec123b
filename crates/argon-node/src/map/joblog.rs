//! The joblog: a line for each command that ended, in the columns of GNU parallel, so that its users' tools read it.
//!
//! Writes each line with one call, behind the command's output, so that what stands in it has been seen. Reads it to
//! go on where a run stopped, and refuses the log of another run.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::quote::digest;

const HEADING: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand";

/// What stands for a line's end within a command, as in GNU parallel: no command has it, and a line stays one.
const LINE_END: &str = "\0";

/// One command that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'a> {
    /// The number of its input, from 1.
    pub sequence: u64,
    /// The worker that ran it; `:` where none is known.
    pub host: &'a str,
    /// When it was handed out, in seconds since 1970.
    pub started: f64,
    /// How long the command ran, in seconds.
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

/// Why a joblog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JoblogError {
    /// The system says so.
    #[error("the joblog {path} cannot be used: {error}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is something else.
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
        /// What it is now.
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

/// What an earlier run did. Some 40 bytes for each line of its joblog.
#[derive(Debug, Default)]
pub struct Past {
    path: PathBuf,
    done: HashMap<u64, Done, rustc_hash::FxBuildHasher>,
}

#[derive(Debug, Clone, Copy)]
struct Done {
    command: u64,
    succeeded: bool,
}

impl Joblog {
    /// Begins a new log in place of what is there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path) -> Result<Self, JoblogError> {
        let opened = File::create(path).and_then(|mut file| {
            writeln!(file, "{HEADING}")?;
            Ok(file)
        });
        Self::with(path, opened)
    }

    /// Goes on with the log that is there. A last line that was not written to its end goes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(path: &Path) -> Result<Self, JoblogError> {
        if !path.exists() || std::fs::metadata(path).is_ok_and(|facts| facts.len() == 0) {
            return Self::create(path);
        }
        let opened = OpenOptions::new().read(true).write(true).open(path).and_then(|mut file| {
            let end = end_of_lines(&file)?;
            file.set_len(end)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        });
        Self::with(path, opened)
    }

    fn with(path: &Path, opened: io::Result<File>) -> Result<Self, JoblogError> {
        let file = opened.map_err(|error| unusable(path, error))?;
        Ok(Self { path: path.to_owned(), file, line: Vec::new() })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), JoblogError> {
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

/// Where the last whole line ends.
fn end_of_lines(file: &File) -> io::Result<u64> {
    let mut end = 0;
    let mut reader = BufReader::new(file);
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
    /// Reads what a run left; nothing if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read, or is no joblog.
    pub fn read(path: &Path) -> Result<Self, JoblogError> {
        let mut past = Self { path: path.to_owned(), ..Self::default() };
        each_line(path, |line| {
            past.done
                .insert(line.sequence, Done { command: digest(&line.command), succeeded: line.succeeded });
        })?;
        Ok(past)
    }

    /// Whether an input need not be run again; failed ones count as done unless they are to be retried.
    ///
    /// # Errors
    /// If the log says that this input was another command.
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
/// If it cannot be read, or is no joblog.
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
            // The end of a run that was killed while it wrote; but a first line like that is no log at all.
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
mod tests {
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("argon-joblog-{name}-{}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn entry(sequence: u64, exit: i32, command: &str) -> Entry<'_> {
        Entry {
            sequence,
            host: "box:8001",
            started: 1_700_000_000.5,
            run_time: 0.25,
            received: 3,
            exit,
            signal: 0,
            command,
        }
    }

    #[test]
    fn lines_have_the_columns_of_gnu_parallel() {
        let place = Place::new("columns");
        Joblog::create(&place.0).expect("made").add(&entry(1, 7, "echo 'a b'")).expect("written");
        let text = std::fs::read_to_string(&place.0).expect("read");
        assert_eq!(
            text,
            format!("{HEADING}\n1\tbox:8001\t1700000000.500\t     0.250\t0\t3\t7\t0\techo 'a b'\n")
        );
    }

    #[test]
    fn a_run_goes_on_where_it_stopped_and_the_last_line_of_a_number_counts() {
        let place = Place::new("resume");
        let mut log = Joblog::create(&place.0).expect("made");
        log.add(&entry(1, 0, "a")).expect("written");
        log.add(&entry(2, 1, "b")).expect("written");
        log.add(&entry(4, 1, "d")).expect("written");
        log.add(&entry(4, 0, "d")).expect("written");
        log.add(&entry(5, 1, "echo 'a\nb\tc'")).expect("written");
        assert_eq!(std::fs::read_to_string(&place.0).expect("read").lines().count(), 6);
        let past = Past::read(&place.0).expect("read");
        let done = |sequence, command, retry| past.is_done(sequence, command, retry).expect("the same run");
        assert!(done(1, "a", true) && done(2, "b", false) && done(4, "d", true));
        assert!(!done(2, "b", true) && !done(3, "c", false));
        assert!(done(5, "echo 'a\nb\tc'", false));
        let failures = [(2, "b".to_owned()), (5, "echo 'a\nb\tc'".to_owned())];
        assert_eq!(failed(&place.0).expect("read"), failures);
    }

    #[test]
    fn the_log_of_another_run_is_refused() {
        let place = Place::new("other");
        Joblog::create(&place.0).expect("made").add(&entry(1, 0, "gzip a")).expect("written");
        let past = Past::read(&place.0).expect("read");
        let error = past.is_done(1, "gzip b", false).expect_err("another command");
        let text = error.to_string();
        assert!(text.contains("is of another run: there, input 1 is not 'gzip b'"), "{text}");
    }

    #[test]
    fn what_is_no_joblog_is_refused_and_left_alone() {
        let place = Place::new("foreign");
        for text in ["hello\n", "hello", &format!("{HEADING}\n1\t2\n"), &format!("{HEADING}\nx\n")] {
            std::fs::write(&place.0, text).expect("written");
            let error = Past::read(&place.0).expect_err("no joblog").to_string();
            assert!(error.contains("is not a joblog"), "{error}");
            assert_eq!(std::fs::read_to_string(&place.0).expect("read"), text);
        }
    }

    #[test]
    fn half_a_line_at_the_end_is_forgotten() {
        let place = Place::new("torn");
        Joblog::create(&place.0).expect("made").add(&entry(1, 0, "a")).expect("written");
        let whole = std::fs::read_to_string(&place.0).expect("read");
        std::fs::write(&place.0, format!("{whole}2\tbox")).expect("written");
        assert!(!Past::read(&place.0).expect("read").is_done(2, "b", false).expect("the same run"));
        Joblog::append(&place.0).expect("opened").add(&entry(2, 0, "b")).expect("written");
        let text = std::fs::read_to_string(&place.0).expect("read");
        assert!(text.starts_with(&whole) && text.lines().count() == 3, "{text}");
    }

    #[test]
    fn a_log_that_does_not_exist_yet_is_an_empty_past_but_has_no_failures_to_retry() {
        let place = Place::new("none");
        assert!(!Past::read(&place.0).expect("nothing").is_done(1, "a", false).expect("nothing"));
        assert!(failed(&place.0).expect_err("nothing to retry").to_string().contains("cannot be used"));
        Joblog::append(&place.0).expect("made");
        assert!(std::fs::read_to_string(&place.0).expect("read").starts_with("Seq\t"));
    }
}
