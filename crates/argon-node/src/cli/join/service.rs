//! A worker as a systemd service: the unit file, and the commands that start it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Uid;

use super::machine;
use crate::exit::Failure;
use crate::key_file::{Found, default_path};
use crate::output::{complain, print_line};

const UNIT: &str = "argon-worker.service";
/// Variable that names the folder of the unit; nothing is started then.
const FOLDER: &str = "ARGON_UNIT_FOLDER";

/// Writes the unit of a worker for this manager, and starts it. Prints the path of the unit.
pub(super) fn install(manager: &str, found: &Found) -> Result<(), Failure> {
    let is_root = Uid::effective().is_root();
    let given = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = match &given {
        Some(folder) => folder.clone(),
        None if is_root => PathBuf::from("/etc/systemd/system"),
        None => default_path()
            .and_then(|key| Some(key.parent()?.parent()?.join("systemd/user")))
            .ok_or_else(|| machine("no folder for the unit is known: HOME names none".to_owned()))?,
    };
    let program = std::env::current_exe()
        .map_err(|error| machine(format!("the path of this program is not known: {error}")))?;
    let key = std::path::absolute(&found.source).unwrap_or_else(|_| PathBuf::from(&found.source));
    let text = unit(&program, manager, &key, &passed_on(std::env::args_os()), is_root);
    let path = folder.join(UNIT);
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, text));
    written.map_err(|error| machine(format!("the unit {} cannot be written: {error}", path.display())))?;
    if given.is_some() {
        complain(format_args!("{FOLDER} is set: the unit is written, and nothing was started"));
    } else {
        start(is_root)?;
    }
    print_line(path.display())
}

/// The options of the pool that stand behind `argon join TOKEN`.
fn passed_on(words: impl Iterator<Item = OsString>) -> Vec<String> {
    let words: Vec<String> = words.skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let mut kept = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "join" | "--service" => {}
            // The unit names the key itself, with its whole path.
            "--key" => _ = words.next(),
            word if word.starts_with("--key=") || word.starts_with("argon1-join-") => {}
            _ => kept.push(word),
        }
    }
    kept
}

fn unit(program: &Path, manager: &str, key: &Path, options: &[String], is_root: bool) -> String {
    let (program, key) = (program.display().to_string(), key.display().to_string());
    let words = [program.as_str(), "worker", "--manager", manager, "--key", &key];
    let words: Vec<String> =
        words.into_iter().chain(options.iter().map(String::as_str)).map(quoted).collect();
    let (after, target) = match is_root {
        true => ("After=network-online.target\nWants=network-online.target\n", "multi-user.target"),
        false => ("", "default.target"),
    };
    format!(
        "[Unit]\nDescription=Argon worker for {}\n{after}\n[Service]\nExecStart={}\nRestart=on-failure\nRestartSec=5\n\
         # A worker that is stopped finishes what it runs (--drain-limit).\nKillMode=mixed\nTimeoutStopSec=60\n\n\
         [Install]\nWantedBy={target}\n",
        manager.replace('%', "%%"),
        words.join(" ")
    )
}

/// A word of ExecStart, in which systemd replaces nothing.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '%' | '$' => text.extend([letter, letter]),
            '\n' => text.push_str("\\n"),
            _ => text.push(letter),
        }
    }
    text + "\""
}

/// Enables and starts the unit, or says how.
fn start(is_root: bool) -> Result<(), Failure> {
    let scope: &[&str] = if is_root { &[] } else { &["--user"] };
    let shown = if is_root { "systemctl" } else { "systemctl --user" };
    for words in [&["daemon-reload"][..], &["enable", "--now", UNIT]] {
        match Command::new("systemctl").args(scope).args(words).status() {
            Ok(status) if status.success() => {}
            Ok(_) => {
                let why =
                    format!("'{shown} {}' failed; the unit is written, and does not run", words.join(" "));
                return Err(machine(why));
            }
            Err(error) => {
                complain(format_args!(
                    "the unit is written, and systemctl cannot be started here ({error}). Where systemd runs:\n\n  {shown} \
                     daemon-reload\n  {shown} enable --now {UNIT}\n"
                ));
                return Ok(());
            }
        }
    }
    if !is_root {
        complain("the service ends with your last session; to keep it, run: loginctl enable-linger");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_starts_the_worker_with_its_options_and_key() {
        let words = [
            "argon",
            "join",
            "argon1-join-m:1-ab-cd",
            "--slots",
            "4",
            "--service",
            "--key",
            "k",
            "--pass-env=A",
        ];
        let options = passed_on(words.into_iter().map(OsString::from));
        assert_eq!(options, ["--slots", "4", "--pass-env=A"]);
        let text =
            unit(Path::new("/usr/bin/argon"), "mgr:8000", Path::new("/home/a b/100%$k"), &options, false);
        let line = "ExecStart=/usr/bin/argon worker --manager mgr:8000 --key \"/home/a b/100%%$$k\" --slots 4 --pass-env=A\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("WantedBy=default.target") && !text.contains("network-online"), "{text}");
        let system = unit(Path::new("/usr/bin/argon"), "mgr:8000", Path::new("/etc/k"), &[], true);
        assert!(
            system.contains("WantedBy=multi-user.target") && system.contains("network-online"),
            "{system}"
        );
    }

    #[test]
    fn a_word_of_a_unit_reaches_the_worker_as_it_is() {
        for (word, text) in [("a", "a"), ("", "\"\""), ("a\"b\\", "\"a\\\"b\\\\\""), ("x\ny", "\"x\\ny\"")] {
            assert_eq!(quoted(word), text);
        }
    }
}
