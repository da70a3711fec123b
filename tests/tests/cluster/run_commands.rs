//! `argon run`: a command elsewhere behaves as if it ran here.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use argon_tests::{Cluster, Finished, wait_for};

use crate::support::lines;

const SOON: Duration = Duration::from_secs(20);

/// `argon run OPTIONS -- sh -c SCRIPT` in the cluster's folder.
fn command(cluster: &Cluster, options: &[&str], words: &[&str]) -> Command {
    let mut command = cluster.argon(&["run", "--manager", cluster.address()]);
    command.args(options).arg("--").args(words).current_dir(cluster.folder());
    command
}

fn run(cluster: &mut Cluster, options: &[&str], words: &[&str]) -> Finished {
    let command = command(cluster, options, words);
    cluster.run(command, "run").finish(SOON)
}

/// Runs a command that reads from a pipe.
fn run_fed(cluster: &Cluster, words: &[&str], input: &[u8]) -> (Vec<u8>, Option<i32>) {
    let mut command = command(cluster, &[], words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A command that does not read lets this fail.
            let _ = stdin.write_all(input);
        });
        let output = child.wait_with_output().unwrap();
        (output.stdout, output.status.code())
    })
}

// kind: the caller's environment | `argon run` in any folder | right | the command starts in the folder of the
//    caller
#[test]
fn output_and_status_are_those_of_the_command_and_the_folder_is_the_callers() {
    let mut cluster = Cluster::with_workers(&[1]);
    let finished = run(&mut cluster, &[], &["sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(
        (finished.status.code(), finished.stdout.as_str(), finished.errors().as_str()),
        (Some(7), "out\n", "err\n")
    );
    let folder = cluster.folder().display().to_string();
    assert_eq!(run(&mut cluster, &[], &["pwd"]).stdout.trim(), folder);
    assert_eq!(run(&mut cluster, &["--cwd", "/"], &["pwd"]).stdout, "/\n");
    let options = ["--env", "GIVEN=a b", "--env", "HOME"];
    let home = std::env::var("HOME").unwrap();
    assert_eq!(
        run(&mut cluster, &options, &["sh", "-c", "echo $GIVEN-$HOME"]).stdout,
        format!("a b-{home}\n")
    );
}

#[test]
fn what_goes_wrong_has_a_sentence_and_a_status() {
    let mut cluster = Cluster::with_workers(&[1]);
    std::fs::write(cluster.folder().join("text"), "no program").unwrap();
    let cases: &[(&[&str], &[&str], i32, &str)] = &[
        (&[], &["no-such-command"], 127, "there is no command 'no-such-command' in the PATH of worker"),
        (&[], &["echo hello"], 127, "sh -c '…'"),
        (&[], &["./text"], 126, "'./text' cannot be executed on worker"),
        (&["--cwd", "/nowhere"], &["true"], 126, "cannot start in the folder /nowhere"),
        (&[], &["sh", "-c", "kill -9 $$"], 137, "signal 9"),
        (&["--timeout", "0.2"], &["sleep", "60"], 124, "time limit of 0.2 s"),
        (&["--timeout", "0"], &["true"], 255, "would end everything at once"),
        (&["--env", "NOT_SET_ANYWHERE"], &["true"], 255, "NOT_SET_ANYWHERE=VALUE"),
        (&["--colour"], &["true"], 255, "--colour"),
    ];
    for (options, words, status, sentence) in cases {
        let finished = run(&mut cluster, options, words);
        assert_eq!(finished.status.code(), Some(*status), "{words:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(sentence), "expected '{sentence}' in: {}", finished.stderr);
    }
    let mut nobody = cluster.argon(&["run", "--manager", "127.0.0.1:1"]);
    nobody.arg("true");
    let finished = cluster.run(nobody, "nobody").finish(SOON);
    assert_eq!(finished.status.code(), Some(255));
    assert!(finished.stderr.contains("127.0.0.1:1"), "{}", finished.stderr);
}

#[test]
fn input_comes_from_a_pipe_a_file_or_nowhere() {
    let mut cluster = Cluster::with_workers(&[1]);
    let much = vec![b'x'; 5 << 20];
    assert_eq!(run_fed(&cluster, &["wc", "-c"], &much), (b"5242880\n".to_vec(), Some(0)));
    assert_eq!(run_fed(&cluster, &["true"], &much).1, Some(0), "it never reads");
    for size in [10, 5 << 20] {
        let path = cluster.folder().join("input");
        std::fs::write(&path, &much[..size]).unwrap();
        let mut command = command(&cluster, &[], &["wc", "-c"]);
        let output = command.stdin(std::fs::File::open(path).unwrap()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), size.to_string());
    }
    assert_eq!(run(&mut cluster, &[], &["wc", "-c"]).stdout, "0\n");
}

#[test]
fn a_second_start_cannot_have_input_that_is_gone_and_says_so() {
    let cluster = Cluster::with_workers(&[1]);
    let mut command =
        command(&cluster, &["--retries", "1"], &["sh", "-c", "head -c 4000000 >/dev/null; exit 1"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(&vec![b'x'; 5 << 20]);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(137), "it is killed: {said}");
    assert!(said.contains("its client no longer has what it reads"), "{said}");
}

#[test]
fn an_interrupt_cancels_the_command_and_gives_its_status() {
    let mut cluster = Cluster::with_workers(&[1]);
    let script = "trap 'echo cleaned >> ended; exit 3' TERM; echo $$ >> began; sleep 60 & wait";
    let running = command(&cluster, &[], &["sh", "-c", script]);
    let running = cluster.run(running, "run");
    wait_for("the command to begin", SOON, || (lines(&cluster, "began").len() == 1).then_some(()));
    running.signal(libc::SIGINT);
    let finished = running.finish(SOON);
    assert_eq!((finished.status.code(), finished.errors().as_str()), (Some(130), ""));
    wait_for("the command to have heard TERM", SOON, || (lines(&cluster, "ended").len() == 1).then_some(()));
}

#[test]
fn a_reader_that_goes_away_ends_the_command() {
    let cluster = Cluster::with_workers(&[1]);
    let mut command = command(&cluster, &[], &["yes"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(child.stdout.take());
    let status = wait_for("it to end", SOON, || child.try_wait().unwrap());
    assert_eq!((first, status.code()), (*b"y\n", Some(141)));
}

#[test]
fn retries_run_it_again_and_its_output_begins_anew_in_words() {
    let mut cluster = Cluster::with_workers(&[1]);
    let script = "echo try; if test -e tried; then exit 0; fi; touch tried; exit 9";
    let finished = run(&mut cluster, &["--retries", "2"], &["sh", "-c", script]);
    assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(0), "try\ntry\n"));
    assert!(finished.stderr.contains("started again"), "{}", finished.stderr);
}

// kind: the reason of a wait | a manager that is frozen | loud | the reason is printed, and the command goes on with it
#[test]
fn a_frozen_manager_is_told_before_and_after_the_command_has_begun() {
    let mut cluster = Cluster::with_workers(&[2]);
    let begun = cluster.folder().join("begun");
    let script = format!("touch '{}'; while test ! -e go; do sleep 0.1; done; echo done", begun.display());
    let running = command(&cluster, &["--cwd", cluster.folder().to_str().unwrap()], &["sh", "-c", &script]);
    let running = cluster.run(running, "running");
    wait_for("the start", SOON, || begun.exists().then_some(()));
    cluster.manager.as_ref().unwrap().signal(libc::SIGSTOP);
    let dialling = command(&cluster, &[], &["echo", "late"]);
    let dialling = cluster.run(dialling, "dialling");
    for process in [&running, &dialling] {
        let told = || process.stderr().contains("argon: waiting: the manager at ").then_some(());
        wait_for("the notice", Duration::from_secs(15), told);
    }
    cluster.manager.as_ref().unwrap().signal(libc::SIGCONT);
    std::fs::write(cluster.folder().join("go"), "").unwrap();
    let running = running.finish(SOON);
    assert_eq!((running.status.code(), running.stdout.as_str()), (Some(0), "done\n"), "{}", running.stderr);
}

// kind: the reason of a wait | `argon run` on a pool without workers | loud | the reason is printed once
#[test]
fn a_pool_without_workers_is_told_and_waited_for() {
    let mut cluster = Cluster::start();
    let waiting = command(&cluster, &[], &["echo", "at last"]);
    let waiting = cluster.run(waiting, "run");
    wait_for("the notice", SOON, || waiting.stderr().contains("argon: waiting: ").then_some(()));
    let start_one = format!("argon worker --manager {}", cluster.address());
    assert!(waiting.stderr().contains(&start_one), "{}", waiting.stderr());
    cluster.add_worker(&["--workers", "1"]);
    let finished = waiting.finish(SOON);
    assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(0), "at last\n"));
}

#[test]
fn a_command_is_part_of_the_trace_of_its_caller() {
    let mut cluster = Cluster::with_workers(&[1]);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let words = ["sh", "-c", "echo \"$TRACEPARENT,$TRACESTATE\""];
    let mut printed = |given: &[(&str, &str)], options: &[&str]| {
        let mut command = command(&cluster, options, &words);
        command.env_remove("TRACEPARENT").env_remove("TRACESTATE").envs(given.iter().copied());
        let finished = cluster.run(command, "run").finish(SOON);
        finished.stdout.trim_end().to_owned()
    };
    assert_eq!(printed(&[("TRACEPARENT", parent), ("TRACESTATE", "a=1")], &[]), format!("{parent},a=1"));
    assert_eq!(printed(&[("TRACEPARENT", parent)], &["--env", "TRACEPARENT=mine"]), "mine,");
    assert_eq!(printed(&[("TRACEPARENT", "x"), ("TRACESTATE", "a=1")], &[]), ",");
    assert_eq!(printed(&[], &[]), ",");
}
