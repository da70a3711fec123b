//! `argon map`: commands over inputs, as a user of GNU parallel expects them.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use argon_tests::{Cluster, Finished, wait_for};

use crate::support::{lines, memory_mib};

const SOON: Duration = Duration::from_secs(60);

fn command(cluster: &Cluster, words: &[&str]) -> Command {
    let mut command = cluster.argon(&["map", "--manager", cluster.address()]);
    command.args(words).current_dir(cluster.folder());
    command
}

fn map(cluster: &mut Cluster, words: &[&str]) -> Finished {
    let command = command(cluster, words);
    cluster.run(command, "map").finish(SOON)
}

/// The columns of each line of a joblog, by the number of the input.
fn joblog(cluster: &Cluster, name: &str) -> Vec<Vec<String>> {
    let lines = lines(cluster, name);
    lines[1..]
        .iter()
        .map(|line| line.splitn(9, '\t').map(|column| column.trim().to_owned()).collect())
        .collect()
}

#[test]
fn inputs_come_from_words_files_and_rows_and_output_keeps_their_order() {
    let mut cluster = Cluster::with_workers(&[2]);
    let words =
        map(&mut cluster, &["-k", "--tag", "--", "echo", "{2}-{1}", ":::", "a", "b c", ":::", "1", "2"]);
    assert_eq!(words.stdout, "a 1\t1-a\na 2\t2-a\nb c 1\t1-b c\nb c 2\t2-b c\n");
    std::fs::write(cluster.folder().join("rows"), "x,\"y,z\"\n1,2\n").unwrap();
    let rows = map(&mut cluster, &["-k", "--csv", "-a", "rows", "--", "echo", "{2}", "{#}"]);
    assert_eq!(rows.stdout, "y,z 1\n2 2\n");
    std::fs::write(cluster.folder().join("zeros"), "a\nb\0c\0").unwrap();
    let zeros = map(&mut cluster, &["-k", "-0", "-a", "zeros", "--", "printf", "[%s]"]);
    assert_eq!(zeros.stdout, "[a\nb][c]");
    let shell = map(&mut cluster, &["--shell", "--", "echo {/.} | tr a-z A-Z", ":::", "/x/it's.gz"]);
    assert_eq!(shell.stdout, "IT'S\n");
    let dry = map(&mut cluster, &["--dry-run", "--", "cp", "{}", "{.}.bak", ":::", "a b.c"]);
    assert_eq!((dry.stdout.as_str(), dry.status.code()), ("cp 'a b.c' 'a b.bak'\n", Some(0)));
}

// kind: input is not code | inputs that hold `$(…)`, quotes and backslashes, with `{}` in any place | right | an
//    input is an argument of the shell, not text of its script
#[test]
fn an_input_is_never_run_and_arrives_as_it_is() {
    let mut cluster = Cluster::with_workers(&[2]);
    let inputs =
        ["$(touch PWNED)", "a\tb", "`touch PWNED`", "'; touch PWNED; '", "\"; touch PWNED; \"", "x\ny", ""];
    let expected: String = inputs.iter().map(|input| format!("[{input}]")).collect();
    let scripts: [&[&str]; 6] = [
        &["--shell", "--", "printf '[%s]' \"{}\""],
        &["--shell", "--", "printf '[%s]'"],
        &["--shell", "--", "f() { printf '[%s]' '{}'; }; set -- x; f y"],
        &["--shell", "--", "printf '[%s]' \"$(cat <<EOF\n{}\nEOF\n)\" "],
        &["--", "sh", "-c", "printf '[%s]' \"{}\""],
        &["--", "bash", "-c", "printf '[%s]' {}"],
    ];
    for script in scripts {
        let words = [&["-k", "--joblog", "log"], script, &[":::"], &inputs[..]].concat();
        let finished = map(&mut cluster, &words);
        assert_eq!(
            (finished.stdout.as_str(), finished.errors().as_str()),
            (expected.as_str(), ""),
            "{script:?}"
        );
        assert_eq!(joblog(&cluster, "log").len(), inputs.len(), "a line for each");
        let resumed = map(&mut cluster, &[&["--resume"], &words[..]].concat());
        assert_eq!((resumed.stdout.as_str(), resumed.status.code()), ("", Some(0)), "{}", resumed.stderr);
    }
    for script in ["eval {}", "echo $(( {} ))", "echo `echo {}`", "sh -c \"echo {}\"", "sleep 0;"] {
        let words = [&["--shell", "--", script, ":::"], &inputs[..1]].concat();
        let finished = map(&mut cluster, &words);
        assert_ne!(finished.status.code(), Some(0), "{script}");
        assert!(
            finished.errors().starts_with("argon: ") && finished.stdout.is_empty(),
            "{script}: {}",
            finished.stderr
        );
    }
    assert!(!cluster.folder().join("PWNED").exists());
}

// kind: input is not code | the output of `--dry-run`, pasted into a shell | right | quoted for every POSIX shell
#[test]
fn what_a_dry_run_prints_does_the_same_in_a_shell() {
    let mut cluster = Cluster::with_workers(&[1]);
    let words = ["-k", "--shell", "--", "printf '<%s>' {} \"{/}\"", ":::", "a\tb/c", "it's\n$(touch PWNED)"];
    let ran = map(&mut cluster, &words).stdout;
    let dry = map(&mut cluster, &[&["--dry-run"], &words[..]].concat()).stdout;
    for shell in ["dash", "bash"] {
        let mut command = Command::new(shell);
        command.args(["-c", &dry]).current_dir(cluster.folder());
        assert_eq!(cluster.run(command, shell).finish(SOON).stdout, ran, "{dry}");
    }
    assert!(!cluster.folder().join("PWNED").exists());
}

#[test]
fn mistakes_are_told_before_anything_runs() {
    let mut cluster = Cluster::with_workers(&[1]);
    std::fs::write(cluster.folder().join("text"), "no joblog\n").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["--", "touch", "ran-{x}", ":::", "1"], "there is no placeholder {x}; there are {} {.}"),
        (&["-I", "", "--", "touch", "ran", ":::", "1"], "-I needs a string that is not empty"),
        (&["--shell", "--", "touch ran-`echo {}`", ":::", "1"], "stands within backquotes"),
        (&["--", "touch", "ran-{2}", ":::", "1"], "asks for column 2, and there is one source"),
        (&["-a", "nowhere", "--", "touch", "ran"], "the input file nowhere cannot be read: No such file"),
        (&["-a", "/", "--", "touch", "ran"], "the input file / cannot be read: is a directory"),
        (&["--halt", "often", "--", "touch", "ran", ":::", "1"], "now,fail=1"),
        (&["--joblog", "text", "--resume", "--", "touch", "ran", ":::", "1"], "text is not a joblog"),
        (
            &["--joblog", "/nowhere/log", "--", "touch", "ran", ":::", "1"],
            "the joblog /nowhere/log cannot be used",
        ),
        (&["--resume", "--", "touch", "ran", ":::", "1"], "--joblog"),
        (&["--joblog", "gone", "--retry-failed"], "the joblog gone cannot be used"),
        (&[], "no command is given"),
    ];
    for (words, sentence) in cases {
        let finished = map(&mut cluster, words);
        assert_eq!(finished.status.code(), Some(255), "{words:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(sentence), "expected '{sentence}' in: {}", finished.stderr);
    }
    let ran = std::fs::read_dir(cluster.folder()).unwrap();
    assert!(!ran.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("ran")));
}

/// Output of a command that `script` runs on a terminal of its own.
fn on_a_terminal(cluster: &mut Cluster, command: &Command) -> Finished {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted: Vec<String> =
        words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &quoted.join(" "), "/dev/null"]);
    script.current_dir(cluster.folder()).env("TERM", "xterm").stdin(Stdio::null());
    cluster.run(script, "script").finish(SOON)
}

#[test]
fn a_terminal_shows_how_far_the_run_is_and_keeps_the_line_apart_from_output() {
    let mut cluster = Cluster::with_workers(&[1]);
    let naps = ["--shell", "--", "sleep 0.3; echo said {}", ":::", "1", "2", "3"];
    let watched = command(&cluster, &naps);
    let shown = on_a_terminal(&mut cluster, &watched);
    assert_eq!(shown.status.code(), Some(0), "{}", shown.stdout);
    assert!(shown.stdout.contains("1/3 done, "), "{:?}", shown.stdout);
    assert!(shown.stdout.contains(" left"), "{:?}", shown.stdout);
    // The line is taken away before output is printed, and for good at the end.
    let erased = "\r\u{1b}[2K";
    for said in ["said 1\r\n", "said 2\r\n", "said 3\r\n"] {
        let before = shown.stdout.split(said).next().unwrap_or_default();
        assert!(before.ends_with(erased) || before.ends_with("\r\n"), "{said}: {:?}", shown.stdout);
    }
    let last = shown.stdout.rsplit(erased).next().unwrap_or_default().trim_end();
    assert!(last.starts_with("3 done in ") && last.ends_with(" s"), "{:?}", shown.stdout);
    let failing = command(&cluster, &["--joblog", "log", "exit {}", ":::", "0", "3"]);
    let shown = on_a_terminal(&mut cluster, &failing);
    assert!(
        shown.stdout.contains(", 1 failed: argon map --joblog log --retry-failed runs them again"),
        "{:?}",
        shown.stdout
    );

    let unwatched = command(&cluster, &[&["--no-progress"], &naps[..]].concat());
    let shown = on_a_terminal(&mut cluster, &unwatched);
    assert_eq!(shown.stdout, "said 1\r\nsaid 2\r\nsaid 3\r\n");
}

#[test]
fn failures_are_counted_told_and_written_to_the_joblog() {
    let mut cluster = Cluster::with_workers(&[2]);
    let script = "case {} in 1) exit 3;; 2) kill -9 $$;; 3) no-such-command;; esac; echo fine";
    let finished =
        map(&mut cluster, &["-k", "--joblog", "log", "--shell", "--", script, ":::", "1", "2", "3", "4"]);
    assert_eq!(finished.status.code(), Some(2), "{}", finished.stderr);
    assert_eq!(finished.stdout, "fine\nfine\n");
    assert!(
        finished.stderr.contains("input 2") && finished.stderr.contains("signal 9"),
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.contains("2 of the 4 commands that ended failed"), "{}", finished.stderr);
    let log = joblog(&cluster, "log");
    let ends: HashMap<&str, (&str, &str)> =
        log.iter().map(|line| (line[0].as_str(), (line[6].as_str(), line[7].as_str()))).collect();
    assert_eq!(ends, [("1", ("3", "0")), ("2", ("0", "9")), ("3", ("0", "0")), ("4", ("0", "0"))].into());
    assert!(log.iter().all(|line| line[1].contains(":pid")), "each names its worker: {log:?}");
    let line = map(&mut cluster, &["{}", ":::", "echo hello"]);
    assert!(line.stderr.contains("there is no command 'echo hello'") && line.stderr.contains("sh -c {}"));
    assert_eq!(map(&mut cluster, &["echo hello {} | tr h H", ":::", "h"]).stdout, "Hello H\n");
    let word = map(&mut cluster, &["-q", "echo hello {}", ":::", "1"]);
    assert!(word.stderr.contains("there is no command 'echo hello 1'"), "{}", word.stderr);
    let missing = map(&mut cluster, &["--", "no-such-command", ":::", "1"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        missing.stderr.contains("input 1 (no-such-command 1): there is no command"),
        "{}",
        missing.stderr
    );
}

// kind: joblogs | `--resume` with the joblog of another run | loud | refused before anything runs
#[test]
fn a_run_goes_on_from_its_joblog_and_refuses_that_of_another() {
    let mut cluster = Cluster::with_workers(&[1]);
    let script = "echo {} >> ran; test {} != 2 -o -e mended";
    let all = ["--shell", "--", script, ":::", "1", "2", "3"];
    let with_log =
        |options: &[&'static str], words: &[&'static str]| [&["--joblog", "log"], options, words].concat();
    assert_eq!(map(&mut cluster, &with_log(&[], &all[..6])).status.code(), Some(1));
    assert_eq!(map(&mut cluster, &with_log(&["--resume"], &all)).status.code(), Some(0));
    let mut ran = lines(&cluster, "ran");
    ran.sort();
    assert_eq!(ran, ["1", "2", "3"], "only the third is new");
    let other = map(&mut cluster, &with_log(&["--resume"], &["--", "echo", ":::", "1"]));
    assert_eq!(other.status.code(), Some(255));
    assert!(other.stderr.contains("the joblog log is of another run"), "{}", other.stderr);
    std::fs::write(cluster.folder().join("mended"), "").unwrap();
    assert_eq!(map(&mut cluster, &with_log(&["--retry-failed"], &[])).status.code(), Some(0));
    assert_eq!(lines(&cluster, "ran").last().unwrap(), "2");
    assert_eq!(map(&mut cluster, &with_log(&["--retry-failed"], &[])).status.code(), Some(0));
    assert_eq!(lines(&cluster, "ran").len(), 4, "nothing failed any more");
    let both = map(&mut cluster, &with_log(&["--retry-failed"], &["--", "echo", ":::", "1"]));
    assert!(both.stderr.contains("leave the command"), "{}", both.stderr);
}

#[test]
fn a_run_stops_at_failures_as_it_was_told() {
    let mut cluster = Cluster::with_workers(&[1]);
    let script = "echo {} >> ran; exit 7";
    let numbers: Vec<String> = (1..=200).map(|number| number.to_string()).collect();
    let inputs: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let now =
        [&["--halt", "now,fail=1", "--joblog", "log", "--shell", "--", script, ":::"], &inputs[..]].concat();
    let finished = map(&mut cluster, &now);
    assert_eq!(finished.status.code(), Some(7), "{}", finished.stderr);
    assert!(lines(&cluster, "ran").len() < 200);
    assert!(joblog(&cluster, "log").iter().all(|line| line[6] == "7"), "what was cancelled is not in it");
    let soon =
        [&["--halt", "soon,fail=2", "-j", "1", "--shell", "--", "exit 7", ":::"], &inputs[..]].concat();
    assert_eq!(map(&mut cluster, &soon).status.code(), Some(2));
}

#[test]
fn jobs_is_a_cap_and_without_it_all_slots_of_all_workers_work() {
    let mut cluster = Cluster::with_workers(&[2, 2]);
    // Each command waits until four are there: with fewer at a time none would end well.
    let script =
        "mkdir m{}; for i in $(seq 500); do set -- m*; test $# -ge 4 && exit 0; sleep 0.02; done; exit 1";
    let inputs = ["1", "2", "3", "4"];
    let all =
        map(&mut cluster, &[&["--joblog", "log", "--shell", "--", script, ":::"], &inputs[..]].concat());
    assert_eq!(all.status.code(), Some(0), "{}", all.stderr);
    let mut by_worker: HashMap<String, u32> = HashMap::new();
    joblog(&cluster, "log").into_iter().for_each(|line| *by_worker.entry(line[1].clone()).or_default() += 1);
    assert_eq!(by_worker.into_values().collect::<Vec<_>>(), [2, 2]);
    let script = "mkdir alone || exit 1; sleep 0.02; rmdir alone; : {}";
    let capped = map(&mut cluster, &[&["-j1", "--shell", "--", script, ":::"], &inputs[..]].concat());
    assert_eq!(capped.status.code(), Some(0), "{}", capped.stderr);
}

// kind: printed output | many commands that print at once | right | output of each command stays together
#[test]
fn output_is_never_mixed_and_a_gibibyte_of_it_needs_little_memory() {
    let mut cluster = Cluster::with_workers(&[2]);
    let script = "for i in $(seq 300); do echo {}{}{}{}{}{}{}{}; done";
    let finished = map(&mut cluster, &["--shell", "--", script, ":::", "a", "b", "c", "d", "e", "f"]);
    let mut blocks: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(blocks.len(), 1800);
    blocks.dedup();
    assert_eq!(blocks.len(), 6, "each input's lines stand together");

    let mut command = command(&cluster, &["--", "head", "-c", "{}", "/dev/zero", ":::", "1073741824"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut received = 0;
    let pid = i32::try_from(child.id()).unwrap();
    loop {
        match std::io::Read::read(&mut stdout, &mut buffer).unwrap() {
            0 => break,
            count => received += count as u64,
        }
        assert!(memory_mib(pid) < 64, "argon map uses {} MiB", memory_mib(pid));
    }
    assert_eq!((received, child.wait().unwrap().code()), (1 << 30, Some(0)));
}

// kind: inputs as people have them | an endless list of inputs | right | inputs are read as slots are free
#[test]
fn a_long_list_is_read_as_it_is_needed() {
    let cluster = Cluster::with_workers(&[2]);
    let mut command = command(&cluster, &["--halt", "now,done=300", "--", "true"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let mut written = 0_u64;
    // A list without end: what is taken of it is bounded by what was run.
    while std::io::Write::write_all(&mut stdin, &[b'x'; 1023]).is_ok()
        && std::io::Write::write_all(&mut stdin, b"\n").is_ok()
    {
        written += 1;
    }
    drop(stdin);
    let status = wait_for("it to end", SOON, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert!(written < 3000, "{written} inputs were read for 300 commands by {pid}");
}

#[test]
fn results_are_kept_in_folders_named_after_the_inputs() {
    let mut cluster = Cluster::with_workers(&[1]);
    let script = "echo out-{}; echo err >&2";
    assert_eq!(
        map(&mut cluster, &["--results", "kept", "--shell", "--", script, ":::", "a/b"]).status.code(),
        Some(0)
    );
    let read =
        |name: &str| std::fs::read_to_string(cluster.folder().join(r"kept/1/a\_b").join(name)).unwrap();
    assert_eq!(
        (read("stdout").as_str(), read("stderr").as_str(), read("seq").as_str()),
        ("out-a/b\n", "err\n", "1")
    );
}

#[test]
fn an_interrupt_cancels_what_is_under_way_and_the_rest_can_be_run_later() {
    let mut cluster = Cluster::with_workers(&[1]);
    let words = [
        "--joblog",
        "log",
        "--resume",
        "--shell",
        "--",
        "echo {} >> ran; test {} = 1 || test -e go || sleep 60",
        ":::",
        "1",
        "2",
    ];
    let running = command(&cluster, &words);
    let running = cluster.run(running, "map");
    wait_for("the second to begin", SOON, || (lines(&cluster, "ran").len() == 2).then_some(()));
    running.signal(libc::SIGINT);
    let finished = running.finish(SOON);
    assert_eq!(finished.status.code(), Some(130), "{}", finished.stderr);
    std::fs::write(cluster.folder().join("go"), "").unwrap();
    assert_eq!(map(&mut cluster, &words).status.code(), Some(0));
    assert_eq!(lines(&cluster, "ran"), ["1", "2", "2"]);
}

#[test]
fn a_lost_worker_costs_no_command_and_doubles_no_output() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    let script =
        "echo begun-{}; touch b{}; for i in $(seq 3000); do test -e go && exit 0; sleep 0.02; done; exit 1";
    let running = command(&cluster, &["-k", "--shell", "--", script, ":::", "1", "2"]);
    let running = cluster.run(running, "map");
    let folder = cluster.folder().to_owned();
    wait_for("both to begin", SOON, || {
        (folder.join("b1").exists() && folder.join("b2").exists()).then_some(())
    });
    cluster.workers.remove(0).kill();
    std::fs::write(folder.join("go"), "").unwrap();
    let finished = running.finish(SOON);
    assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(0), "begun-1\nbegun-2\n"));
}
