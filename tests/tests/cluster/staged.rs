//! A manager, workers and clients that are started in places of the test's choice: in a network of their own, with
//! another clock. A place is what stands before a command, such as `ip netns exec NAME` or `env NAME=VALUE`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use argon_tests::{Process, argon, wait_for};
use serde_json::Value;

use crate::support::Folder;

/// Words before a command that run it at a place.
pub(crate) type Place = Vec<String>;

/// The folder and the address that all of them share. It owns no process.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) folder: Folder,
    pub(crate) address: String,
    started: u32,
}

impl Stage {
    pub(crate) fn new(name: &str) -> Self {
        Self { folder: Folder::new(name), address: String::new(), started: 0 }
    }

    /// Starts a manager; the others go to it from now on.
    pub(crate) fn manager(&mut self, place: &Place, options: &[&str]) -> Process {
        let mut manager = self.argon(place, &["manager", "--port", "0"], options);
        self.address = manager.ready("addr");
        manager
    }

    /// Starts a worker and waits until it is registered.
    pub(crate) fn worker(&mut self, place: &Place, options: &[&str]) -> Process {
        let address = self.address.clone();
        let mut worker = self.argon(place, &["worker", "--port", "0", "--manager", &address], options);
        worker.ready("pid");
        worker
    }

    /// Starts a Perl program that finds a `$client`.
    pub(crate) fn perl(&mut self, place: &Place, program: &str) -> Process {
        let preamble = format!(
            "use strict; use warnings; use Argon::Client; \
             my $client = Argon::Client->new(hosts => ['{}'], key => '{}');\n#line 1 \"program\"\n",
            self.address,
            self.folder.file("key")
        );
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../perl/lib");
        let words = ["perl", "-I", &library.display().to_string(), "-e", &(preamble + program)];
        let mut command = in_place(place, &words);
        command.current_dir(self.folder.path());
        self.start(command, "perl")
    }

    /// Starts a Python program that finds a `client`.
    pub(crate) fn python(&mut self, place: &Place, program: &str) -> Process {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = root.join("target/python-venv/bin/python").display().to_string();
        let preamble = format!(
            "import argon\nclient = argon.Client('{}', key='{}')\n",
            self.address,
            self.folder.file("key")
        );
        let mut command = in_place(place, &[&python, "-c", &(preamble + program)]);
        command.env("PYTHONPATH", root.join("python/src")).current_dir(self.folder.path());
        self.start(command, "python")
    }

    /// Starts `argon submit` or `argon collect`, whose client is that of Rust.
    pub(crate) fn rust_client(&mut self, place: &Place, what: &str, words: &[&str]) -> Process {
        let address = self.address.clone();
        let (program, key) = (argon().display().to_string(), self.folder.file("key"));
        let mut command = in_place(place, &[&program]);
        command.args([what, "--manager", &address, "--key", &key, "--"]).args(words);
        self.start(command, what)
    }

    /// Status of the manager, asked from a place.
    pub(crate) fn status(&mut self, place: &Place) -> Value {
        let address = self.address.clone();
        let asked = self.argon(place, &["status", "--json", "--manager", &address], &[]);
        let finished = asked.finish(Duration::from_secs(10));
        assert!(finished.status.success(), "{}", finished.stderr);
        serde_json::from_str(&finished.stdout).unwrap()
    }

    /// Waits until `count` workers are there.
    pub(crate) fn wait_for_workers(&mut self, place: &Place, count: u64) {
        wait_for(&format!("{count} workers"), Duration::from_secs(20), || {
            (self.status(place)["workers"] == count).then_some(())
        });
    }

    /// Number of occurrences of each line in a file that tasks wrote.
    pub(crate) fn counts(&self, file: &str) -> std::collections::HashMap<String, usize> {
        let mut counts = std::collections::HashMap::new();
        let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        for line in text.lines() {
            *counts.entry(line.to_owned()).or_insert(0) += 1;
        }
        counts
    }

    fn argon(&mut self, place: &Place, words: &[&str], options: &[&str]) -> Process {
        let (program, key) = (argon().display().to_string(), self.folder.file("key"));
        let mut command = in_place(place, &[&program]);
        command.args(words).args(options).args(["--key", &key]);
        self.start(command, words[0])
    }

    fn start(&mut self, command: Command, name: &str) -> Process {
        self.started += 1;
        Process::start(command, self.folder.path(), &format!("{name}-{}", self.started))
    }
}

fn in_place(place: &Place, words: &[&str]) -> Command {
    let mut all = place.iter().map(String::as_str).chain(words.iter().copied());
    let mut command = Command::new(all.next().expect("there is a word"));
    command.args(all);
    command
}
