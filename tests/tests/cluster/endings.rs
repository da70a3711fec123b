//! TERM and Ctrl-C end every command, whatever it waits for.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use argon_tests::{Cluster, Process, wait_for};

use crate::support::{lines, wait_until_idle};

const SOON: Duration = Duration::from_secs(60);
/// A command that waits for what does not come ends within this, whatever else the machine does.
const ENDS_WITHIN: Duration = Duration::from_secs(12);

const ID: &str = "00112233445566778899aabbccddeeff0011223344556677";
const TICKET: &str = "00112233445566778899aabbccddeeff0011223344556677-00000000000000000000000000000000";

/// Every command that talks to a manager.
const COMMANDS: [&[&str]; 7] = [
    &["run", "--no-stdin", "true"],
    &["map", "true", ":::", "a"],
    &["submit", "true"],
    &["collect", TICKET],
    &["status"],
    &["cancel", ID],
    &["drain", "nobody"],
];

fn ends(process: Process, signal: i32, what: &str) {
    process.signal(signal);
    let begun = Instant::now();
    let finished = process.finish(SOON);
    let status = finished.status.code().unwrap_or_else(|| {
        128 + std::os::unix::process::ExitStatusExt::signal(&finished.status).unwrap_or(0)
    });
    assert_eq!(status, 128 + signal, "{what}: {}", finished.stderr);
    assert!(begun.elapsed() < ENDS_WITHIN, "{what} took {:?}", begun.elapsed());
}

// kind: leaving a wait | TERM or Ctrl-C: a manager that takes the connection and says nothing | right | status 128 + N
#[test]
fn a_command_that_dials_a_mute_manager_is_ended_by_a_signal() {
    let mut cluster = Cluster::start();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap().to_string();
    for signal in [libc::SIGTERM, libc::SIGINT] {
        for words in COMMANDS {
            let mut command = cluster.argon(&words[..1]);
            command.args(["--manager", &address]).args(&words[1..]);
            let process = cluster.run(command, words[0]);
            let (_connection, _) = mute.accept().unwrap();
            ends(process, signal, words[0]);
        }
    }
}

fn begun(cluster: &mut Cluster, words: &[&str]) -> Process {
    let address = cluster.address().to_owned();
    let mut command = cluster.argon(&words[..1]);
    command.args(["--manager", &address]).args(&words[1..]).current_dir(cluster.folder());
    cluster.run(command, words[0])
}

// kind: leaving a wait | TERM or Ctrl-C: the manager is killed, or stopped, while the command runs | right | status 128 + N
#[test]
fn a_command_whose_manager_is_gone_is_ended_by_one_signal() {
    for is_killed in [true, false] {
        let mut cluster = Cluster::with_workers(&[2]);
        let script = "echo x >>began; exec sleep 600";
        let submitted = begun(&mut cluster, &["submit", "sh", "-c", script]).finish(SOON).stdout;
        let processes = vec![
            ("run", begun(&mut cluster, &["run", "--no-stdin", "sh", "-c", script])),
            ("map", begun(&mut cluster, &["map", "sh", "-c", script, ":::", "a"])),
            ("collect", begun(&mut cluster, &["collect", submitted.trim()])),
        ];
        wait_for("two to begin", SOON, || (lines(&cluster, "began").len() >= 2).then_some(()));
        cluster.wait_for_status("all three to be there", |status| status["clients"] == 3);
        let frozen = cluster.manager.as_ref().unwrap().pid();
        if is_killed {
            cluster.kill_manager();
        } else {
            cluster.manager.as_ref().unwrap().signal(libc::SIGSTOP);
        }
        for (name, process) in processes {
            ends(process, libc::SIGTERM, &format!("{name}, {is_killed}"));
        }
        if !is_killed {
            // SAFETY: the manager is this test's child; the signal lets it run again.
            unsafe { libc::kill(frozen, libc::SIGCONT) };
        }
    }
}

// kind: leaving a wait | TERM or Ctrl-C: its output stands in a pipe that nobody reads | right | status 128 + N
#[test]
fn a_command_whose_output_is_not_read_is_ended_by_one_signal() {
    let mut cluster = Cluster::with_workers(&[1]);
    for words in [&["run", "--no-stdin", "yes"][..], &["map", "head", "-c", "9000000", ":::", "/dev/zero"]] {
        let mut command = cluster.argon(&words[..1]);
        command.args(["--manager", cluster.address()]).args(&words[1..]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // It writes until the pipe is full, and stands there.
        wait_for("it to stand in a write", SOON, || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
            let is_writing = |task: std::fs::DirEntry| {
                std::fs::read_to_string(task.path().join("wchan"))
                    .is_ok_and(|place| place.contains("pipe_write"))
                    || std::fs::read_to_string(task.path().join("syscall"))
                        .is_ok_and(|call| call.starts_with("1 0x1 "))
            };
            tasks.flatten().any(is_writing).then_some(())
        });
        // SAFETY: the child is ours and runs.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let begun = Instant::now();
        let status = wait_for("its end", SOON, || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(143), "{words:?}");
        assert!(begun.elapsed() < ENDS_WITHIN, "{words:?} took {:?}", begun.elapsed());
        // The command there is cancelled, too: its slot is free long before its session would be given up.
        wait_until_idle(&mut cluster);
    }
}

// kind: leaving a wait | TERM or Ctrl-C: it reads a list, or the input of its command, that does not come | right | status 128 + N
#[test]
fn a_command_that_waits_for_its_input_is_ended_by_one_signal() {
    let cluster = Cluster::with_workers(&[1]);
    for words in [&["run", "cat"][..], &["map", "echo"], &["submit", "--stdin", "cat"]] {
        let mut command: Command = cluster.argon(&words[..1]);
        command.args(["--manager", cluster.address()]).args(&words[1..]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"first\n").unwrap();
        if words[0] != "submit" {
            let mut first = [0; 6];
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
            assert_eq!(&first, b"first\n");
        }
        // SAFETY: the child is ours and runs.
        unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM) };
        let begun = Instant::now();
        let status = wait_for("its end", SOON, || child.try_wait().unwrap());
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert!(status.code() == Some(143) || by_signal == Some(libc::SIGTERM), "{words:?}: {status}");
        assert!(begun.elapsed() < ENDS_WITHIN, "{words:?} took {:?}", begun.elapsed());
        drop(stdin);
    }
}
