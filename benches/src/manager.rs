//! The real manager as a process of its own: started, read from, and ended with this value.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use argon_proto::key::Key;
use tempfile::TempDir;

use crate::process::processor_time;

/// A running `argon manager`.
#[derive(Debug)]
pub(crate) struct Manager {
    process: Child,
    /// Holds the key; removed with this value.
    _folder: TempDir,
    /// Address at which it listens.
    pub(crate) address: String,
    /// The key that opens it.
    pub(crate) key: Key,
}

impl Manager {
    /// Starts the program beside this one, with these options.
    pub(crate) fn start(options: &[&str]) -> io::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("argon");
        let folder = tempfile::tempdir()?;
        let key_file = folder.path().join("key");
        let mut process = Command::new(&program)
            .args(["manager", "--port", "0", "--key"])
            .arg(&key_file)
            .args(options)
            .env("ARGON_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::other(format!("{} does not start: {error}", program.display())))?;
        let mut ready = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut ready)?;
        }
        let address = ready.split_whitespace().find_map(|word| word.strip_prefix("addr="));
        let address = address.ok_or_else(|| io::Error::other("the manager did not become ready"))?.to_owned();
        let key = argon_net::key_file::find(Some(&key_file)).map_err(io::Error::other)?.key;
        Ok(Self { process, _folder: folder, address, key })
    }

    /// Processor time that it has taken.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time(self.process.id())
    }

    /// Its resident memory, bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) * 1024
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
