//! Makes a venv and installs packages in it: with `uv` where it is there, else with `venv` and `pip`.
//!
//! Everything runs as the user of the tasks, on the thread that waits for it, in a process group that ends with the worker
//! and when nobody waits any more.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::super::pythons::find;
use super::cache;
use super::order::{Cancelled, PackageOrder};
use crate::worker::process::kernel;

/// A build that takes longer ends.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Pause between two looks whether the build is cancelled.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Bytes of output that are looked at for the message.
const OUTPUT_BYTES: u64 = 16 << 10;
/// Lines and bytes of it in the message.
const LINES_MAX: usize = 6;
const MESSAGE_BYTES_MAX: usize = 1500;
/// Variables of the worker that would lead its Python astray, or are secrets.
const WITHHELD: [&str; 4] = ["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET"];

/// Why there is no environment.
#[derive(Debug)]
pub(super) enum Stopped {
    Cancelled,
    Failed(String),
}

/// Makes the environment in `folder`, which does not exist.
pub(super) fn install(wanted: &PackageOrder, folder: &Path, cancelled: &Cancelled) -> Result<(), Stopped> {
    let until = Instant::now() + BUILD_LIMIT;
    let list = folder.with_extension("txt");
    let written = fs::write(&list, &wanted.list);
    written.map_err(|error| Stopped::Failed(format!("{} cannot be written: {error}", list.display())))?;
    // An installer that is ended leaves its temporary files.
    let scratch = scratch(folder);
    let made = cache::make_folder(&scratch, &wanted.users);
    made.map_err(|error| Stopped::Failed(format!("{} cannot be made: {error}", scratch.display())))?;
    let result = commands(wanted, folder, &list)
        .into_iter()
        .try_for_each(|(tool, words)| run(wanted, tool, &words, folder, cancelled, until));
    let _ = fs::remove_dir_all(&scratch);
    let _ = fs::remove_file(&list);
    let _ = fs::remove_file(folder.with_extension("log"));
    result
}

/// The folder of the installer's temporary files.
fn scratch(folder: &Path) -> PathBuf {
    folder.with_extension("tmp")
}

/// The commands to run, each with the name of its tool for people.
fn commands(wanted: &PackageOrder, folder: &Path, list: &Path) -> Vec<(&'static str, Vec<OsString>)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let python = folder.join("bin/python3");
    let words = |words: &[&dyn AsRef<std::ffi::OsStr>]| -> Vec<OsString> {
        words.iter().map(|word| word.as_ref().to_owned()).collect()
    };
    let mut install;
    let uv = find(&path, "uv", wanted.users.user.as_deref()).filter(|_| wanted.uses_uv);
    let (make, tool) = match uv {
        Some(uv) => {
            install = words(&[&uv, &"pip", &"install", &"--quiet", &"--python", &python]);
            (words(&[&uv, &"venv", &"--quiet", &"--python", &wanted.program, &folder]), "uv")
        }
        None => {
            install = words(&[&python, &"-m", &"pip", &"install", &"--quiet", &"--no-input"]);
            install.extend(words(&[&"--disable-pip-version-check", &"--no-color"]));
            (words(&[&wanted.program, &"-m", &"venv", &folder]), "pip")
        }
    };
    install.extend(index(wanted));
    install.extend(words(&[&"-r", &list]));
    vec![(if tool == "uv" { "uv venv" } else { "venv" }, make), (tool, install)]
}

/// The options that name the index.
fn index(wanted: &PackageOrder) -> Vec<OsString> {
    let Some(index) = &wanted.config.index else {
        return Vec::new();
    };
    let folder = index.strip_prefix("file://").unwrap_or(index);
    if Path::new(folder).is_dir() {
        return vec!["--no-index".into(), "--find-links".into(), folder.into()];
    }
    vec!["--index-url".into(), index.into()]
}

fn run(
    wanted: &PackageOrder,
    tool: &str,
    words: &[OsString],
    folder: &Path,
    cancelled: &Cancelled,
    until: Instant,
) -> Result<(), Stopped> {
    let log = folder.with_extension("log");
    let failed = |why: String| Stopped::Failed(format!("{tool}: {why}"));
    let started = File::create(&log).and_then(|output| start(wanted, words, folder, &output));
    let mut child = started.map_err(|error| failed(error.to_string()))?;
    loop {
        if kernel::wait_until_ended(&child, LOOK_AGAIN).unwrap_or(true) {
            break;
        }
        let is_cancelled = cancelled.load(Ordering::Relaxed);
        if is_cancelled || Instant::now() >= until {
            end(&mut child);
            let minutes = BUILD_LIMIT.as_secs() / 60;
            let why = || failed(format!("it took longer than {minutes} minutes"));
            return Err(if is_cancelled { Stopped::Cancelled } else { why() });
        }
    }
    let status = child.wait();
    end(&mut child);
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let output = last_lines(&log);
            Err(failed(if output.is_empty() { format!("it ended with {status}") } else { output }))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn start(wanted: &PackageOrder, words: &[OsString], folder: &Path, output: &File) -> std::io::Result<Child> {
    let program = words.first().map(PathBuf::from).unwrap_or_default();
    let mut command = Command::new(program);
    command.args(words.get(1..).unwrap_or_default());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("ARGON_") || WITHHELD.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    command.current_dir(folder.parent().unwrap_or(Path::new("/")));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?).process_group(0);
    let user = wanted.users.user.clone();
    if let Some(user) = &user {
        command.envs(user.variables());
    }
    command.env("TMPDIR", scratch(folder));
    let prepare = move || {
        if let Some(user) = &user {
            user.become_it()?;
        }
        Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)
    };
    // SAFETY: it is async-signal-safe.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

/// Ends what the command has started, and itself.
fn end(child: &mut Child) {
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    let _ = child.wait();
}

/// The end of the output, as one line: the errors in it, if it has any.
fn last_lines(log: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let size = file.metadata().map_or(0, |facts| facts.len());
        let _ = file.seek(SeekFrom::Start(size.saturating_sub(OUTPUT_BYTES)));
        let _ = file.take(OUTPUT_BYTES).read_to_end(&mut text);
    }
    summary(&String::from_utf8_lossy(&text))
}

fn summary(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> =
        lines.iter().copied().filter(|line| line.to_lowercase().starts_with("error")).collect();
    let told = if errors.is_empty() { &lines } else { &errors };
    let last = told.get(told.len().saturating_sub(LINES_MAX)..).unwrap_or_default().join("; ");
    let shown: String = last.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let from = shown.len().saturating_sub(MESSAGE_BYTES_MAX);
    let from = (from..=shown.len()).find(|at| shown.is_char_boundary(*at)).unwrap_or(from);
    shown[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_of_the_output_are_the_message() {
        let output = "Looking\nERROR: Could not find x (from versions: none)\n\nERROR: No matching distribution found for x\n[notice] a new pip\n";
        let message =
            "ERROR: Could not find x (from versions: none); ERROR: No matching distribution found for x";
        assert_eq!(summary(output), message);
        assert_eq!(summary("one\n two\u{1b}[0m\n"), "one; two [0m");
        assert_eq!(summary(&"é".repeat(2000)).len(), MESSAGE_BYTES_MAX);
        assert_eq!(summary(""), "");
    }
}
