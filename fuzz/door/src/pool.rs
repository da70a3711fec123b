//! The pool that is lied to: a real manager and a real worker with two slots, and what an honest client gets of them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use argon_proto::key::Key;
use tempfile::TempDir;

/// A bound on hanging, not on speed: an honest command ends within it even if others keep the machine busy.
const SERVED_WITHIN: Duration = Duration::from_secs(15);
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Most memory that manager and worker may have each, bytes.
const RESIDENT_MAX: u64 = 768 << 20;
const STEP: Duration = Duration::from_millis(5);

pub(crate) struct Pool {
    pub(crate) address: String,
    pub(crate) key: Key,
    argon: PathBuf,
    folder: TempDir,
    manager: Child,
    worker: Child,
    checks: u32,
}

/// An honest command that runs.
pub(crate) struct Honest {
    child: Child,
    mark: PathBuf,
}

impl Pool {
    pub(crate) fn start(argon: &Path) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
        let (manager, ready) =
            start(argon, folder.path(), "manager", &["manager", "--host", "127.0.0.1", "--port", "0"])?;
        let address = ready
            .split_whitespace()
            .find_map(|word| word.strip_prefix("addr="))
            .ok_or_else(|| format!("the manager said {ready:?}"))?
            .to_owned();
        let of_worker = ["worker", "--port", "0", "--manager", &address, "--workers", "2"];
        let (worker, _) = start(argon, folder.path(), "worker", &of_worker)?;
        let text = std::fs::read_to_string(folder.path().join("key"))
            .map_err(|error| format!("the key: {error}"))?;
        let key = text.trim().parse().map_err(|error| format!("the key: {error}"))?;
        Ok(Self { address, key, argon: argon.to_owned(), folder, manager, worker, checks: 0 })
    }

    /// Checks that manager and worker live within their memory, answer, and run an honest command.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        self.checks += 1;
        for (name, process) in [("manager", &mut self.manager), ("worker", &mut self.worker)] {
            if let Ok(Some(status)) = process.try_wait() {
                return Err(format!("the {name} ended ({status}); {}", tail(self.folder.path(), name)));
            }
            let resident = resident_bytes(process.id());
            if resident > RESIDENT_MAX {
                return Err(format!("the {name} takes {} MiB", resident >> 20));
            }
        }
        let word = format!("honest-{}", self.checks);
        let said = self.argon(&["run", "--no-stdin", "--", "echo", &word])?;
        if said.trim() != word {
            return Err(format!("an honest command was to print {word:?}, and printed {said:?}"));
        }
        let status = self.argon(&["status", "--json"])?;
        serde_json::from_str::<serde_json::Value>(&status).map_err(|error| format!("the status: {error}"))?;
        Ok(())
    }

    /// Starts an honest command that is at work while lies are told.
    pub(crate) fn begin_honest(&mut self) -> Result<Honest, String> {
        let mark = self.folder.path().join(format!("ran-{}", fresh_number()));
        let script = format!("echo begun >>{0}; sleep 0.4; echo ended", mark.display());
        let mut child = self.command(&["run", "--no-stdin", "--", "sh", "-c", &script])?;
        let until = Instant::now() + SERVED_WITHIN;
        while !mark.exists() {
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                return Err("an honest command does not start".into());
            }
            std::thread::sleep(STEP);
        }
        Ok(Honest { child, mark })
    }

    /// Checks that the honest command ran once, and printed what it should.
    pub(crate) fn end_honest(&self, honest: Honest) -> Result<(), String> {
        let said = self.said(honest.child, "run (one that was running while lies were told)")?;
        let starts = std::fs::read_to_string(&honest.mark).unwrap_or_default();
        if said != "ended\n" || starts != "begun\n" {
            return Err(format!(
                "an honest command that ran printed {said:?}, and its starts are {starts:?}"
            ));
        }
        Ok(())
    }

    /// The ids of tasks that anyone with a key can see.
    pub(crate) fn seen_ids(&self) -> Vec<String> {
        let status = self.argon(&["status", "--json"]).unwrap_or_default();
        let is_id = |word: &&str| word.len() == 48 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        status.split('"').filter(is_id).map(str::to_owned).collect()
    }

    /// Ends the pool as its user would.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        for (name, process) in [("worker", &mut self.worker), ("manager", &mut self.manager)] {
            let _ = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
            wait(process, SERVED_WITHIN).ok_or_else(|| format!("the {name} does not end after a TERM"))?;
        }
        Ok(())
    }

    fn argon(&self, words: &[&str]) -> Result<String, String> {
        self.said(self.command(words)?, &words.join(" "))
    }

    fn command(&self, words: &[&str]) -> Result<Child, String> {
        Command::new(&self.argon)
            .arg(words[0])
            .args(["--manager", &self.address, "--key"])
            .arg(self.folder.path().join("key"))
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.argon.display()))
    }

    /// Output of a command, if it succeeded in time.
    fn said(&self, mut child: Child, words: &str) -> Result<String, String> {
        let is_ended = wait(&mut child, SERVED_WITHIN).is_some();
        if !is_ended {
            let _ = child.kill();
        }
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !is_ended {
            let seconds = SERVED_WITHIN.as_secs();
            return Err(format!(
                "an honest `argon {words}` is not served within {seconds} s; it said: {why}"
            ));
        }
        if !output.status.success() {
            return Err(format!("an honest `argon {words}` failed: {why}"));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for process in [&mut self.worker, &mut self.manager] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Starts a part of the pool and returns its ready line.
fn start(argon: &Path, folder: &Path, name: &str, words: &[&str]) -> Result<(Child, String), String> {
    let log = File::create(folder.join(format!("{name}.log"))).map_err(|error| error.to_string())?;
    let mut child = Command::new(argon)
        .args(words)
        .arg("--key")
        .arg(folder.join("key"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| format!("{}: {error}", argon.display()))?;
    let (tell, told) = std::sync::mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
    }
    match told.recv_timeout(READY_WITHIN) {
        Ok(line) => Ok((child, line)),
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(format!("the {name} is not ready; {}", tail(folder, name)))
        }
    }
}

fn wait(child: &mut Child, within: Duration) -> Option<()> {
    let until = Instant::now() + within;
    while Instant::now() < until {
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Some(());
        }
        std::thread::sleep(STEP);
    }
    None
}

fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() << 10
}

/// The last lines of a part's log.
fn tail(folder: &Path, name: &str) -> String {
    let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    format!("its log ends with:\n{}", lines[lines.len().saturating_sub(8)..].join("\n"))
}

fn fresh_number() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}
