//! One process: its ready line, its output, its end.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait_for;

/// Beginning of the lines on standard error by which a client reports that it waits.
const NOTICE: &str = "argon: waiting: ";

/// A running process whose output goes to files. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    name: String,
}

/// Status and output of a process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// Standard error without the notices of a client that waits, which anything may have to on a busy machine.
    #[must_use]
    pub fn errors(&self) -> String {
        self.stderr.split_inclusive('\n').filter(|line| !line.starts_with(NOTICE)).collect()
    }
}

/// The program under test, beside the test's own executable.
#[must_use]
pub fn argon() -> PathBuf {
    let own = std::env::current_exe().expect("a test has an executable");
    // Tests and examples lie one folder below the programs of their profile.
    let folder = own.ancestors().nth(2).expect("it lies in target/PROFILE/deps");
    let program = folder.join("argon");
    assert!(
        program.exists(),
        "{} is missing; run 'cargo build -p argon-node' first, as 'make test' does",
        program.display()
    );
    program
}

/// A perl that finds the client of this checkout.
#[must_use]
pub fn perl() -> Command {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../perl/lib");
    let mut command = Command::new("perl");
    command.arg("-I").arg(library);
    command
}

impl Process {
    /// Starts a command whose output goes to files in `folder`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(mut command: Command, folder: &Path, name: &str) -> Self {
        let file = |kind: &str| folder.join(format!("{name}.{kind}"));
        let (stdout, stderr) = (file("out"), file("err"));
        let create = |path: &Path| File::create(path).expect("the test's folder can be written");
        let child = command
            .stdin(Stdio::null())
            .stdout(create(&stdout))
            .stderr(create(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { child, stdout, stderr, name: name.to_owned() }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids fit")
    }

    /// Standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits for the ready line and returns the value of one of its facts.
    ///
    /// # Panics
    /// If it ends, or is not ready within 10 s.
    pub fn ready(&mut self, fact: &str) -> String {
        let line = wait_for(&format!("{} to be ready", self.name), Duration::from_secs(10), || {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                panic!("{} ended with {status} instead of being ready: {}", self.name, read(&self.stderr));
            }
            let text = read(&self.stdout);
            let line = text.lines().find(|line| line.starts_with("argon-ready "))?;
            text.contains('\n').then(|| line.to_owned())
        });
        let found = line.split(' ').find_map(|pair| pair.strip_prefix(&format!("{fact}=")));
        found.unwrap_or_else(|| panic!("no {fact} in: {line}")).to_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill has no memory effects; the process is our child and not yet reaped.
        unsafe {
            libc::kill(self.pid(), signal);
        }
    }

    /// Kills it as hard as possible and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("our child can be killed");
        self.child.wait().expect("our child can be waited for");
    }

    /// True if it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If that takes longer than `within`.
    pub fn finish(mut self, within: Duration) -> Finished {
        let what = format!("{} to end; its errors so far: {}", self.name, read(&self.stderr));
        let status = wait_for(&what, within, || self.child.try_wait().expect("it is our child"));
        Finished { status, stdout: read(&self.stdout), stderr: read(&self.stderr) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} wrote to standard error:\n{}", self.name, read(&self.stderr));
        }
    }
}

fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
