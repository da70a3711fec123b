//! The Python interpreters of this machine, found by asking each for its version.
//!
//! A Python takes ten milliseconds to answer, and a hundred if it is a version manager's script. Those that no option names
//! are therefore asked when the worker serves, on a thread of their own. Python tasks wait meanwhile. Of the scripts only
//! `python3` is asked; the others when the first task wants their version.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};

use argon_core::pool::Version;
use rustc_hash::FxHashSet;
use tokio::sync::mpsc;

use super::{answer_of, ask};
use crate::worker::config::WorkerError;
use crate::worker::process::user::RunAs;

/// Interpreters that tasks can run in.
const VERSION_MIN: Version = Version { major: 3, minor: 9 };
/// The newest that is looked for by its name; `python3` may be newer.
const MINOR_MAX: u8 = 14;
const QUESTION: &str = "import sys; sys.stdout.write('%d.%d.%d' % sys.version_info[:3])";

/// One interpreter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::worker) struct Python {
    pub(in crate::worker) version: Version,
    /// With the number behind the minor one.
    pub(in crate::worker) full_version: String,
    pub(in crate::worker) program: PathBuf,
}

/// The interpreters that are known, those that may be there, and the search for them.
#[derive(Debug)]
pub(in crate::worker) struct Pythons {
    /// One for each minor version, the default first.
    found: Vec<Python>,
    /// Scripts that were not asked, by the version in their name.
    unasked: Vec<(Version, PathBuf)>,
    /// True if the machine was searched, or need not be.
    is_searched: bool,
    /// Threads that have not answered.
    searches: usize,
    answers: mpsc::UnboundedSender<Vec<Python>>,
    answered: mpsc::UnboundedReceiver<Vec<Python>>,
    /// User who will run them, if it is not that of this process.
    user: Option<Arc<RunAs>>,
}

impl Default for Pythons {
    fn default() -> Self {
        let (answers, answered) = mpsc::unbounded_channel();
        Self {
            found: Vec::new(),
            unasked: Vec::new(),
            is_searched: false,
            searches: 0,
            answers,
            answered,
            user: None,
        }
    }
}

impl Pythons {
    /// Asks the interpreters that were named; if there are any, no others are looked for.
    ///
    /// # Errors
    /// If one of them does not exist, is not a Python, or is too old.
    pub(super) fn named(programs: &[PathBuf], user: Option<Arc<RunAs>>) -> Result<Self, WorkerError> {
        let mut pythons = Self { is_searched: !programs.is_empty(), user, ..Self::default() };
        let ask = |program: &PathBuf| (program.clone(), ask(question(program), pythons.user.as_ref()));
        let asked: Vec<_> = programs.iter().map(ask).collect();
        for (program, child) in asked {
            let shown = program.display().to_string();
            let version = child.and_then(answer_of).map_err(|why| WorkerError::NoInterpreter {
                language: "python",
                tried: shown.clone(),
                why,
                option: "--python",
            })?;
            let bad = |why: String| WorkerError::BadInterpreter { program: shown, why };
            match Version::parse(&version) {
                Some(parsed) if parsed >= VERSION_MIN => {
                    let program = absolute(&program);
                    pythons.add(Python { version: parsed, full_version: version, program });
                }
                Some(_) => {
                    return Err(bad(format!(
                        "it is Python {version}, and tasks need {VERSION_MIN} or later"
                    )));
                }
                None => return Err(bad("it does not report its version as Python does".to_owned())),
            }
        }
        Ok(pythons)
    }

    pub(in crate::worker) fn found(&self) -> &[Python] {
        &self.found
    }

    /// The versions, the default first.
    pub(in crate::worker) fn versions(&self) -> Vec<Version> {
        self.found.iter().map(|python| python.version).collect()
    }

    /// For people: the full versions.
    pub(super) fn described(&self) -> String {
        let versions: Vec<_> = self.found.iter().map(|python| python.full_version.as_str()).collect();
        versions.join(", ")
    }

    /// True if a task that wants this version, or any, has to wait for an answer. Asks the interpreters that it needs.
    pub(in crate::worker) fn must_wait(&mut self, wanted: Option<Version>) -> bool {
        self.search();
        if let Some(wanted) = wanted
            && self.found.iter().all(|python| python.version != wanted)
        {
            let unasked = std::mem::take(&mut self.unasked);
            let (matching, others) = unasked.into_iter().partition(|(version, _)| *version == wanted);
            self.unasked = others;
            let matching: Vec<(Version, PathBuf)> = matching;
            self.start(matching.into_iter().map(|(_, program)| program).collect());
        }
        self.searches > 0
    }

    /// Begins to look for what is in the PATH, unless that was done or need not be.
    pub(in crate::worker) fn search(&mut self) {
        if std::mem::replace(&mut self.is_searched, true) {
            return;
        }
        let (programs, unasked) =
            candidates(&std::env::var_os("PATH").unwrap_or_default(), self.user.as_deref());
        self.unasked = unasked;
        self.start(programs);
    }

    fn start(&mut self, programs: Vec<PathBuf>) {
        if programs.is_empty() {
            return;
        }
        let (answers, user) = (self.answers.clone(), self.user.clone());
        let search = move || {
            // All of them at once, so that it takes as long as the slowest.
            let ask = |program: PathBuf| (ask(question(&program), user.as_ref()), program);
            let asked: Vec<_> = programs.into_iter().map(ask).collect();
            let found = asked.into_iter().filter_map(|(child, program)| {
                let full_version = child.and_then(answer_of).ok()?;
                let version = Version::parse(&full_version).filter(|version| *version >= VERSION_MIN)?;
                Some(Python { version, full_version, program })
            });
            let _ = answers.send(found.collect());
        };
        match std::thread::Builder::new().name("argon python".to_owned()).spawn(search) {
            Ok(_) => self.searches += 1,
            Err(error) => tracing::warn!("this worker cannot look for Python: {error}"),
        }
    }

    /// The next answer that has come, for [`Self::learn`]. Nothing changes before that: a task that was read with the answer,
    /// and is handled before it, waits like any other.
    pub(in crate::worker) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Vec<Python>> {
        match self.answered.poll_recv(cx) {
            Poll::Ready(found) => found,
            Poll::Pending => None,
        }
    }

    /// Takes an answer into account.
    pub(in crate::worker) fn learn(&mut self, answer: Vec<Python>) {
        self.searches -= 1;
        answer.into_iter().for_each(|python| self.add(python));
    }

    fn add(&mut self, python: Python) {
        if self.found.iter().all(|known| known.version != python.version) {
            self.found.push(python);
        }
    }
}

fn question(program: &Path) -> Command {
    let mut command = Command::new(program);
    // Isolated: what the user has set up for other programs must not answer in its place.
    command.args(["-I", "-S", "-c", QUESTION]);
    command
}

/// A program that was named by a path stays that one wherever a runner starts.
fn absolute(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        std::path::absolute(program).unwrap_or_else(|_| program.to_owned())
    } else {
        program.to_owned()
    }
}

/// The interpreters in these folders: those to ask, the preferred first, and those to ask when they are wanted.
fn candidates(path: &OsStr, user: Option<&RunAs>) -> (Vec<PathBuf>, Vec<(Version, PathBuf)>) {
    let mut programs = Vec::new();
    let mut scripts = Vec::new();
    let mut seen = FxHashSet::default();
    programs.extend(find(path, "python3", user).filter(|program| seen.insert(real(program))));
    for minor in (VERSION_MIN.minor..=MINOR_MAX).rev() {
        let Some(program) = find(path, &format!("python3.{minor}"), user) else {
            continue;
        };
        if !seen.insert(real(&program)) {
            continue;
        }
        if is_script(&program) {
            scripts.push((Version { major: 3, minor }, program));
        } else {
            programs.push(program);
        }
    }
    (programs, scripts)
}

/// The first program of this name that `user` can reach.
pub(super) fn find(path: &OsStr, name: &str, user: Option<&RunAs>) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(
        |program| {
            fs::metadata(program)
                .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
                && user.is_none_or(|user| user.reaches(program))
        },
    )
}

/// The file behind links: one interpreter has several names.
fn real(program: &Path) -> PathBuf {
    fs::canonicalize(program).unwrap_or_else(|_| program.to_owned())
}

fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    fs::File::open(program).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;

    /// A folder of scripts that answer as Pythons do.
    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        fn script(&self, name: &str, text: &str) -> PathBuf {
            let file = self.path().join(name);
            fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("allowed");
            file
        }
    }

    /// Waits for the answers to all that was asked.
    fn finish(pythons: &mut Pythons) {
        while pythons.searches > 0 {
            let answer = pythons.answered.blocking_recv().expect("an answer");
            pythons.learn(answer);
        }
    }

    #[test]
    fn one_interpreter_under_two_names_is_one_candidate_and_scripts_are_asked_later() {
        let folder = Folder::new();
        let sleep = find(&std::env::var_os("PATH").expect("a PATH"), "sleep", None).expect("a binary");
        symlink(&sleep, folder.path().join("python3.11")).expect("a link");
        symlink("python3.11", folder.path().join("python3")).expect("a link");
        let script = folder.script("python3.9", "exit 1");
        let (programs, scripts) = candidates(folder.path().as_os_str(), None);
        assert_eq!(programs, [folder.path().join("python3")]);
        assert_eq!(scripts, [(Version { major: 3, minor: 9 }, script)]);
    }

    #[test]
    fn a_script_is_asked_when_its_version_is_wanted() {
        let folder = Folder::new();
        let program = folder.script("python3.12", "printf 3.12.7");
        let version = Version { major: 3, minor: 12 };
        let mut pythons =
            Pythons { is_searched: true, unasked: vec![(version, program)], ..Pythons::default() };
        assert!(!pythons.must_wait(None) && !pythons.must_wait(Some(Version { major: 3, minor: 10 })));
        assert!(pythons.must_wait(Some(version)));
        finish(&mut pythons);
        assert_eq!(pythons.described(), "3.12.7");
        assert!(!pythons.must_wait(Some(version)));
    }

    #[test]
    fn a_task_waits_until_the_answer_is_taken_into_account_not_only_until_it_has_come() {
        let folder = Folder::new();
        let program = folder.script("python3", "printf 3.12.7");
        let mut pythons = Pythons { is_searched: true, ..Pythons::default() };
        pythons.start(vec![program]);
        let answer = poll_fn(|cx| pythons.poll(cx).map_or(Poll::Pending, Poll::Ready));
        let answer =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(answer);
        assert!(pythons.must_wait(None));
        pythons.learn(answer);
        assert!(!pythons.must_wait(None));
    }

    #[test]
    fn an_old_or_broken_interpreter_is_an_error_where_it_was_named_and_passed_over_elsewhere() {
        let folder = Folder::new();
        let old = folder.script("python3.6", "printf 3.6.15");
        let broken = folder.script("python3", "exit 3");
        let strange = folder.script("python", "echo hello");
        let error = |program: &PathBuf| {
            Pythons::named(std::slice::from_ref(program), None).expect_err("it is of no use").to_string()
        };
        assert!(error(&old).ends_with("it is Python 3.6.15, and tasks need 3.9 or later"), "{}", error(&old));
        assert!(error(&broken).starts_with("no python was found ("), "{}", error(&broken));
        assert!(error(&broken).ends_with("name it with --python"), "{}", error(&broken));
        assert!(error(&strange).contains("does not report its version"), "{}", error(&strange));
        assert!(error(&folder.path().join("none")).contains("No such file"));
        let mut pythons = Pythons { is_searched: true, ..Pythons::default() };
        pythons.start(vec![old, broken, strange]);
        finish(&mut pythons);
        assert_eq!(pythons.found(), []);
    }

    #[test]
    fn named_interpreters_are_the_only_ones_in_their_order_one_for_each_version() {
        let folder = Folder::new();
        let programs = [("a", "3.11.2"), ("b", "3.13.0"), ("c", "3.11.9")]
            .map(|(name, version)| folder.script(name, &format!("printf {version}")));
        let mut pythons = Pythons::named(&programs, None).expect("all answer");
        assert_eq!(pythons.described(), "3.11.2, 3.13.0");
        assert!(!pythons.must_wait(Some(Version { major: 3, minor: 12 })));
    }
}
