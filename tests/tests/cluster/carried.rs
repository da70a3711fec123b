//! What the program carries for machines where nothing is installed: the clients' libraries, and a pool that belongs to the
//! program that starts it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use argon_tests::Cluster;

const SOON: Duration = Duration::from_mins(1);

#[test]
fn the_program_carries_the_clients_of_python_and_perl() {
    let mut cluster = Cluster::start();
    let cache = cluster.folder().join("cache");
    let mut folders = Vec::new();
    for (name, file) in [("perl-lib", "Argon/Client.pm"), ("python-lib", "argon/client.py")] {
        let mut folder_of = || {
            let mut command = Command::new(argon_tests::argon());
            command.arg(name).env("XDG_CACHE_HOME", &cache);
            cluster.run(command, name).finish(SOON).stdout
        };
        let (first, second) = (folder_of(), folder_of());
        assert_eq!(first, second, "a release has one folder");
        let folder = std::path::PathBuf::from(first.trim_end());
        assert!(folder.starts_with(&cache) && folder.join(file).is_file(), "{first}");
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        folders.push(folder);
    }
    let mut python = Command::new("python3");
    python.args(["-c", "import argon; from argon._local.program import find; print(argon.__file__, find())"]);
    python.env("PYTHONPATH", &folders[1]).env_remove("ARGON_PROGRAM");
    let said = cluster.run(python, "python").finish(SOON).stdout;
    let expected = ["argon/__init__.py", "argon-program"].map(|file| folders[1].join(file));
    assert_eq!(said.trim_end(), format!("{} {}", expected[0].display(), expected[1].display()));
}

#[test]
fn a_pool_of_a_program_ends_with_its_standard_input() {
    let cluster = Cluster::start();
    let mut command = cluster.argon(&["up", "--port", "0", "--slots", "1", "--until-eof"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("XDG_STATE_HOME", cluster.folder().join("of-pool"));
    let mut pool = command.spawn().unwrap();
    let input = pool.stdin.take();
    let mut ready = String::new();
    BufReader::new(pool.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("argon-ready role=up addr=127.0.0.1:"), "{ready}");
    assert!(!cluster.folder().join("of-pool/argon/managers").exists(), "other commands do not find it");
    drop(input);
    assert!(pool.wait().unwrap().success());
}
