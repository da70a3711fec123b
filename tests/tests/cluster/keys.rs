//! `argon key` shows, makes when told to, and writes files that every program takes; what is no key file is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use argon_tests::{Cluster, Finished};

const SOON: Duration = Duration::from_secs(10);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Runs `argon` without any key but what the arguments name.
fn bare(cluster: &mut Cluster, arguments: &[&str]) -> Finished {
    let mut command = Command::new(argon_tests::argon());
    command.args(arguments).env_remove("ARGON_KEY").env("ARGON_MANAGER", cluster.address());
    command.env("HOME", cluster.folder()).env_remove("XDG_CONFIG_HOME");
    cluster.run(command, "bare").finish(SOON)
}

fn file(cluster: &Cluster, name: &str) -> (PathBuf, String) {
    let path = cluster.folder().join(name);
    let text = path.to_str().unwrap().to_owned();
    (path, text)
}

// kind: keys | `argon key` where no key is | loud | it shows keys; `--new` makes one
#[test]
fn asking_for_a_key_where_there_is_none_makes_none_and_new_makes_one_that_is_not_replaced_by_chance() {
    let mut cluster = Cluster::start();
    let (path, name) = file(&cluster, "fresh/key");
    let asked = bare(&mut cluster, &["key", "--key", &name]);
    assert_eq!((asked.status.code(), asked.stdout.as_str()), (Some(4), ""));
    assert!(asked.stderr.contains("there is no key at"), "{}", asked.stderr);
    assert!(!path.exists(), "a key was made");
    let made = bare(&mut cluster, &["key", "--new", "--key", &name]);
    assert_eq!((made.status.code(), made.stdout.trim(), mode(&path)), (Some(0), name.as_str(), 0o600));
    let text = fs::read_to_string(&path).unwrap();
    let again = bare(&mut cluster, &["key", "--new", "--key", &name]);
    assert_eq!(again.status.code(), Some(4));
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(bare(&mut cluster, &["key", "--new", "--force", "--key", &name]).status.code(), Some(0));
    assert_ne!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(bare(&mut cluster, &["key"]).status.code(), Some(4), "no place named, no key there");
}

#[test]
fn the_key_of_a_role_goes_to_a_file_that_is_taken_and_not_overwritten() {
    let mut cluster = Cluster::start();
    let key = cluster.key().to_str().unwrap().to_owned();
    let (path, name) = file(&cluster, "client.key");
    let arguments = ["key", "--role", "client", "--out", &name, "--key", &key];
    let written = bare(&mut cluster, &arguments);
    assert_eq!((written.status.code(), written.stdout.as_str(), mode(&path)), (Some(0), "", 0o600));
    // A client's key may look.
    let look = bare(&mut cluster, &["status", "--key", &name]);
    assert_eq!(look.status.code(), Some(0), "{}", look.stderr);
    let again = bare(&mut cluster, &arguments);
    assert_eq!((again.status.code(), again.stderr.contains("not overwritten")), (Some(4), true));
    let forced = [arguments.as_slice(), &["--force"]].concat();
    assert_eq!(bare(&mut cluster, &forced).status.code(), Some(0));
    let onto_itself =
        bare(&mut cluster, &["key", "--role", "worker", "--out", &key, "--force", "--key", &key]);
    assert_eq!(onto_itself.status.code(), Some(2), "the cluster key was overwritten: {}", onto_itself.stderr);
    let bogus = bare(&mut cluster, &["key", "--role", "bogus", "--key", &key]);
    assert_eq!((bogus.status.code(), bogus.stderr.contains("the roles are client, worker")), (Some(2), true));
    let of_a_role = bare(&mut cluster, &["key", "--role", "admin", "--key", &name]);
    assert_eq!(of_a_role.status.code(), Some(4));
}

// kind: keys | `argon key --pin`, role keys | right | a role's key and the cluster key's file carry the pin of the manager's certificate
#[test]
fn every_key_of_a_cluster_leads_to_the_same_pin() {
    let mut cluster = Cluster::start();
    let (path, fresh) = file(&cluster, "fresh/key");
    assert_eq!(bare(&mut cluster, &["key", "--new", "--key", &fresh]).status.code(), Some(0));
    let pin = bare(&mut cluster, &["key", "--pin", "--key", &fresh]).stdout;
    assert_eq!((pin.len(), pin.ends_with('\n')), (65, true), "{pin}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with(&format!("\npin {pin}")), "{text}");
    for role in ["client", "worker", "observer", "admin"] {
        let (path, name) = file(&cluster, role);
        let made = bare(&mut cluster, &["key", "--role", role, "--out", &name, "--key", &fresh]);
        assert_eq!(made.status.code(), Some(0), "{}", made.stderr);
        assert!(fs::read_to_string(&path).unwrap().ends_with(&format!("-{pin}")));
        assert_eq!(bare(&mut cluster, &["key", "--pin", "--key", &name]).stdout, pin);
    }
    let (path, older) = file(&cluster, "older");
    fs::write(&path, format!("argon1-worker-{}\n", "3c".repeat(32))).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let asked = bare(&mut cluster, &["key", "--pin", "--key", &older]);
    assert_eq!((asked.status.code(), asked.stdout.as_str()), (Some(4), ""));
    assert!(asked.stderr.contains("make it anew"), "{}", asked.stderr);
}

// kind: keys | `argon key > file` | right | the file is closed to others
#[test]
fn a_key_that_the_shell_writes_to_a_file_is_closed_to_others() {
    let mut cluster = Cluster::start();
    let (path, name) = file(&cluster, "redirected.key");
    let target = fs::File::create(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let mut command = cluster.argon(&["key", "--role", "client"]);
    let output = command.stdin(Stdio::null()).stdout(target).output().unwrap();
    assert!(output.status.success());
    assert_eq!(mode(&path), 0o600);
    assert!(String::from_utf8_lossy(&output.stderr).contains("0600"));
    assert_eq!(bare(&mut cluster, &["status", "--key", &name]).status.code(), Some(0));
}

#[test]
fn what_is_no_key_file_is_refused_for_what_it_is_with_status_4() {
    let mut cluster = Cluster::start();
    let (open, open_name) = file(&cluster, "open");
    fs::copy(cluster.key(), &open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o640)).unwrap();
    let (empty, empty_name) = file(&cluster, "empty");
    fs::write(&empty, "").unwrap();
    fs::set_permissions(&empty, Permissions::from_mode(0o600)).unwrap();
    let (pipe, pipe_name) = file(&cluster, "pipe");
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    let folder = cluster.folder().to_str().unwrap().to_owned();
    for (name, told) in [
        (open_name.as_str(), "chmod 600"),
        (&empty_name, "is empty"),
        (&pipe_name, "not a regular file"),
        (&folder, "is a folder"),
        ("/nowhere/key", "there is no key at"),
    ] {
        let refused = bare(&mut cluster, &["status", "--key", name]);
        assert_eq!(refused.status.code(), Some(4), "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains(told), "{name}: {}", refused.stderr);
    }
    let (link, link_name) = file(&cluster, "link");
    std::os::unix::fs::symlink(cluster.key(), &link).unwrap();
    assert_eq!(bare(&mut cluster, &["status", "--key", &link_name]).status.code(), Some(0));
}

// kind: keys | relative or no HOME, a key in ARGON_KEY with white space | right | no file of the folder that one is in is taken for the key, and no message holds a key
#[test]
fn the_key_is_never_looked_for_in_the_folder_that_one_is_in_nor_printed_as_a_name() {
    let mut cluster = Cluster::start();
    let asks = |cluster: &mut Cluster, arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(argon_tests::argon());
        command.args(arguments).env_remove("ARGON_KEY").env_remove("XDG_CONFIG_HOME");
        command.env("ARGON_MANAGER", cluster.address()).current_dir(cluster.folder());
        command.envs(variables.iter().copied());
        cluster.run(command, "asks").finish(SOON)
    };
    for home in ["", "relative"] {
        let made = asks(&mut cluster, &["key", "--new"], &[("HOME", home), ("XDG_CONFIG_HOME", home)]);
        assert_eq!(made.status.code(), Some(4), "{}", made.stdout);
        assert!(made.stderr.contains("names a folder from the root"), "{}", made.stderr);
    }
    let text = fs::read_to_string(cluster.key()).unwrap();
    for key in [format!(" {text}"), format!("\u{feff}{text}"), format!("\r\n{text}\r\n")] {
        let look = asks(&mut cluster, &["status"], &[("ARGON_KEY", &key)]);
        assert_eq!(look.status.code(), Some(0), "{}", look.stderr);
    }
    let broken = asks(&mut cluster, &["status"], &[("ARGON_KEY", &text[..text.len() - 5])]);
    assert_eq!(broken.status.code(), Some(4));
    assert!(!broken.stderr.contains(&text[20..40]), "the key was printed: {}", broken.stderr);
    let printed = asks(&mut cluster, &["key", "--out", "-"], &[("ARGON_KEY", &text)]);
    assert_eq!(printed.status.code(), Some(2), "{}", printed.stderr);
}

// kind: keys | `argon key --out` under any umask | right | mode 0600
#[test]
fn a_key_file_has_mode_0600_under_any_umask() {
    let mut cluster = Cluster::start();
    for umask in ["000", "077", "777"] {
        let (path, name) = file(&cluster, &format!("umask-{umask}"));
        let mut command = Command::new("sh");
        command.args(["-c", "umask $1; exec \"$2\" key --out \"$3\" --key \"$4\"", "sh", umask]);
        command.arg(argon_tests::argon()).arg(&name).arg(cluster.key());
        let written = cluster.run(command, "umask").finish(SOON);
        assert_eq!((written.status.code(), mode(&path)), (Some(0), 0o600), "{umask}: {}", written.stderr);
    }
}
