//! Files that travel with commands and come back, for machines without a shared file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, Finished, wait_for};

const SOON: Duration = Duration::from_secs(120);

fn argon(cluster: &mut Cluster, name: &str, words: &[&str]) -> Finished {
    let mut command: Command = cluster.argon(&[name, "--manager", cluster.address()]);
    // A file of the harness would be in the way.
    command.args(words).current_dir(cluster.folder().join("mine"));
    cluster.run(command, name).finish(SOON)
}

fn cluster(slots: u32) -> Cluster {
    let cluster = Cluster::with_workers(&[slots]);
    fs::create_dir_all(cluster.folder().join("mine/sub")).unwrap();
    cluster
}

fn write(cluster: &Cluster, name: &str, bytes: &[u8]) {
    fs::write(cluster.folder().join("mine").join(name), bytes).unwrap();
}

fn read(cluster: &Cluster, name: &str) -> Vec<u8> {
    fs::read(cluster.folder().join("mine").join(name)).unwrap_or_default()
}

#[test]
fn inputs_go_along_results_come_back_and_the_scratch_folder_goes() {
    let mut cluster = cluster(2);
    write(&cluster, "a.txt", b"one\n");
    write(&cluster, "sub/b.txt", b"two\n");
    write(&cluster, "up", b"#!/bin/sh\npwd\ntr a-z A-Z <\"$1\" >\"$2\"\nchmod 750 \"$2\"\n");
    let up = cluster.folder().join("mine/up");
    fs::set_permissions(&up, fs::Permissions::from_mode(0o755)).unwrap();
    let words = [
        "-k",
        "--trc",
        "{.}.out",
        "--basefile",
        "./up",
        "--",
        "./up",
        "{}",
        "{.}.out",
        ":::",
        "a.txt",
        "./sub/b.txt",
    ];
    let finished = argon(&mut cluster, "map", &words);
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        (read(&cluster, "a.out"), read(&cluster, "sub/b.out")),
        (b"ONE\n".to_vec(), b"TWO\n".to_vec())
    );
    let mode = fs::metadata(cluster.folder().join("mine/a.out")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    let folders: Vec<String> = finished.stdout.lines().map(str::to_owned).collect();
    assert!(folders.len() == 2 && folders[0] != folders[1], "{folders:?}");
    wait_for("scratch folders to go", SOON, || {
        folders.iter().all(|folder| !fs::exists(folder).unwrap()).then_some(())
    });
    let names = fs::read_dir(cluster.folder().join("mine")).unwrap().flatten();
    assert!(!names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with('.')));
}

#[test]
fn long_files_and_standard_input_travel_together() {
    let mut cluster = cluster(1);
    let long: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
    write(&cluster, "long", &long);
    fs::hard_link(cluster.folder().join("mine/long"), cluster.folder().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", cluster.folder().join("mine/link")).unwrap();
    let script = "cat link >made/back; wc -c; nice";
    let mut shell = Command::new("sh");
    let run = cluster.argon(&["run", "--manager", cluster.address(), "--nice", "3"]);
    shell.args(["-c", "exec \"$@\" <long", "sh"]).arg(run.get_program()).args(run.get_args());
    shell.args(["--transferfile", "link", "--transferfile", "sub/../././long"]);
    shell.args(["--return", "new/./made/back", "--", "sh", "-c", &format!("mkdir made; {script}")]);
    shell.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(cluster.folder().join("mine"));
    let finished = cluster.run(shell, "run").finish(SOON);
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(0), ""));
    assert_eq!(finished.stdout.split_whitespace().collect::<Vec<_>>(), ["12000000", "3"]);
    assert!(read(&cluster, "new/made/back") == long, "it comes back as it was");
}

#[test]
fn a_scratch_folder_can_be_had_without_files() {
    let mut cluster = cluster(1);
    let finished = argon(&mut cluster, "run", &["-n", "--wd", "...", "--", "sh", "-c", "pwd; ls; echo x >y"]);
    let folder = finished.stdout.trim().to_owned();
    assert!(folder.starts_with('/') && !folder.contains('\n'), "{folder}");
    wait_for("the folder to go", SOON, || (!fs::exists(&folder).unwrap()).then_some(()));
    // The signal that ends the command is that of its process.
    let killed = argon(&mut cluster, "run", &["-n", "--wd", "...", "--", "sh", "-c", "kill -USR1 $$"]);
    assert_eq!(killed.status.code(), Some(128 + 10), "{}", killed.stderr);
    let missing = argon(&mut cluster, "run", &["-n", "--wd", "...", "--", "./gone"]);
    assert_eq!(missing.status.code(), Some(127));
    assert!(missing.stderr.contains("'./gone' cannot be executed"), "{}", missing.stderr);
    let slow = argon(&mut cluster, "run", &["-n", "--wd", "...", "--timeout", "0.2", "--", "sleep", "60"]);
    assert_eq!(slow.status.code(), Some(124), "{}", slow.stderr);
}

// kind: files that travel | a returned file that is missing, names that lead out of the scratch folder | loud | the
//    client decides all names
#[test]
fn what_cannot_travel_has_a_sentence() {
    let mut cluster = cluster(1);
    write(&cluster, "a", b"x");
    let cases: [(&str, &[&str], &str); 8] = [
        ("run", &["-n", "--return", "b", "--", "true"], "the file b was not returned: No such file"),
        ("run", &["-n", "--transferfile", "/etc/passwd", "--", "true"], "put /./ before"),
        ("run", &["-n", "--transferfile", "sub", "--", "true"], "sub is a folder"),
        (
            "run",
            &["-n", "--transferfile", "gone", "--", "true"],
            "the file gone cannot be sent: No such file",
        ),
        ("run", &["-n", "--return", "../b", "--", "true"], "leads up with '..'"),
        ("run", &["-n", "--cwd", "/", "--transferfile", "a", "--", "true"], "leave --cwd away"),
        (
            "map",
            &["--trc", "{}.o", "--", "true", ":::", "a"],
            "input 1 (true a): the file a.o was not returned",
        ),
        ("submit", &["--return", "b", "--", "true"], "argon run --return"),
    ];
    for (name, words, sentence) in cases {
        let finished = argon(&mut cluster, name, words);
        assert_ne!(finished.status.code(), Some(0), "{words:?}");
        assert!(finished.stderr.contains(sentence), "expected '{sentence}' in: {}", finished.stderr);
    }
    // One that fails is not blamed for its files, too.
    let failed = argon(&mut cluster, "run", &["-n", "--return", "b", "--", "false"]);
    assert_eq!((failed.status.code(), failed.stderr.as_str()), (Some(1), ""));
}
