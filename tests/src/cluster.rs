//! A cluster: a folder, a key, a manager, workers, Perl programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Finished, Process, argon, perl};
use crate::wait_for;

/// Processes that share a key, on loopback.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    /// The manager's address once it was started; it keeps its port when it is started again.
    address: Option<String>,
    manager_options: Vec<String>,
    /// The manager.
    pub manager: Option<Process>,
    /// The workers.
    pub workers: Vec<Process>,
    started: u32,
}

impl Cluster {
    /// A manager without workers.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A manager with these options and without workers.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("argon-test-").tempdir();
        let folder = folder.expect("the temporary folder can be written");
        let mut cluster = Self {
            folder,
            address: None,
            manager_options: options.iter().map(|option| (*option).to_owned()).collect(),
            manager: None,
            workers: Vec::new(),
            started: 0,
        };
        cluster.start_manager();
        cluster
    }

    /// A manager and workers with the given slots each, all of them registered.
    #[must_use]
    pub fn with_workers(slots: &[u32]) -> Self {
        let mut cluster = Self::start();
        for slots in slots {
            cluster.add_worker(&["--workers", &slots.to_string()]);
        }
        cluster
    }

    /// The manager's address.
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.as_deref().expect("the manager was started")
    }

    /// Path of the key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// A folder for the test's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The options of the next manager that is started.
    pub fn set_manager_options(&mut self, options: &[&str]) {
        self.manager_options = options.iter().map(|option| (*option).to_owned()).collect();
    }

    /// Starts the manager, again on the port that it had.
    pub fn start_manager(&mut self) {
        self.start_manager_failing(None);
    }

    /// Starts the manager, again on the port that it had, with a point at which it dies or fails; see the
    /// module `failpoint` of the program.
    pub fn start_manager_failing(&mut self, point: Option<&str>) {
        let port =
            self.address.as_ref().map_or("0", |address| address.rsplit(':').next().unwrap_or("0")).to_owned();
        let mut command = self.argon(&["manager", "--port", &port]);
        command.args(&self.manager_options);
        command.envs(point.map(|point| ("ARGON_FAILPOINT", point)));
        let mut manager = self.run(command, "manager");
        self.address = Some(manager.ready("addr"));
        self.manager = Some(manager);
    }

    /// Kills the manager with SIGKILL.
    pub fn kill_manager(&mut self) {
        self.manager.take().expect("the manager runs").kill();
    }

    /// Starts a worker and waits until it is registered; returns its place in [`Cluster::workers`].
    pub fn add_worker(&mut self, options: &[&str]) -> usize {
        let address = self.address().to_owned();
        let mut command = self.argon(&["worker", "--port", "0", "--manager", &address]);
        command.args(options);
        let mut worker = self.run(command, "worker");
        worker.ready("pid");
        self.workers.push(worker);
        self.workers.len() - 1
    }

    /// The program with a subcommand and this cluster's key. A manager that is given its port keeps its store in the
    /// cluster's folder, not in the home of the user, where another test may have left the store of the same port.
    #[must_use]
    pub fn argon(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(argon());
        command.args(arguments).arg("--key").arg(self.key());
        command.env("XDG_STATE_HOME", self.folder.path().join("state")).env_remove("STATE_DIRECTORY");
        command
    }

    /// Starts a process that belongs to this cluster.
    pub fn run(&mut self, command: Command, name: &str) -> Process {
        self.started += 1;
        let name = format!("{name}-{}", self.started);
        Process::start(command, self.folder.path(), &name)
    }

    /// Starts a Perl program that finds a connected `$client`.
    pub fn start_perl(&mut self, program: &str) -> Process {
        let (host, port) = self.address().rsplit_once(':').expect("an address has a port");
        let preamble = format!(
            "use strict; use warnings; use Argon::Client; \
             my $client = Argon::Client->new(host => '{host}', port => {port}, key => '{}');\n#line 1 \"program\"\n",
            self.key().display()
        );
        let mut command = perl();
        command.arg("-e").arg(preamble + program).current_dir(self.folder.path());
        self.run(command, "perl")
    }

    /// Runs a Perl program to its end and returns what it printed; it must succeed.
    ///
    /// # Panics
    /// If it fails, or takes more than a minute.
    pub fn perl(&mut self, program: &str) -> String {
        let finished = self.finish_perl(program);
        assert!(finished.status.success(), "the program failed: {}", finished.stderr);
        finished.stdout
    }

    /// Runs a Perl program to its end.
    pub fn finish_perl(&mut self, program: &str) -> Finished {
        self.start_perl(program).finish(Duration::from_secs(200))
    }

    /// The manager's status.
    pub fn status(&mut self) -> Value {
        let address = self.address().to_owned();
        let command = self.argon(&["status", "--json", "--manager", &address]);
        let finished = self.run(command, "status").finish(Duration::from_secs(10));
        assert!(finished.status.success(), "{}", finished.stderr);
        serde_json::from_str(&finished.stdout).expect("status is JSON")
    }

    /// Waits until the status fulfils a condition.
    pub fn wait_for_status(&mut self, what: &str, mut condition: impl FnMut(&Value) -> bool) -> Value {
        wait_for(what, Duration::from_secs(20), || {
            let status = self.status();
            condition(&status).then_some(status)
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.workers.clear();
        self.manager = None;
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("the files of this test are kept in {}", self.folder.path().display());
        }
    }
}
