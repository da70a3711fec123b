//! What users of GNU parallel type: every option is taken or answered, and command lines mean the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use argon_tests::{Cluster, PATIENCE, argon, wait_for};

/// A folder with data of these tests.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("parallel").join(name)
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/coming-from-parallel.md");
    fs::read_to_string(path).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Standard output, standard error and status of a program that reads nothing.
fn output(command: &mut Command) -> (String, String, Option<i32>) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

// kind: sentences for mistakes | an option of GNU parallel that Argon lacks | loud | a sentence says what to do instead
#[test]
fn every_option_of_gnu_parallel_is_taken_or_answered_by_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let page = page();
    let values = BTreeMap::from([
        ("colsep", ","),
        ("col-sep", ","),
        ("C", ","),
        ("delay", "0.1"),
        ("env", "HOME"),
        ("halt", "now,fail=1"),
        ("halt-on-error", "2"),
        ("haltonerror", "2"),
        ("header", ":"),
        ("rpl", "{x} s/a/b/"),
        ("timeout", "10"),
        ("trim", "lr"),
        ("arg-sep", ":::"),
        ("argsep", ":::"),
        ("argfilesep", "::::"),
        ("arg-file-sep", "::::"),
        ("block", "1M"),
        ("blocksize", "1M"),
        ("block-size", "1M"),
        ("parens", ",,,,"),
        ("arg-file", "list"),
        ("argfile", "list"),
        ("a", "list"),
        ("er", ",,"),
    ]);
    fs::write(folder.path().join("list"), "a\n").unwrap();
    for line in fs::read_to_string(data("options.txt")).unwrap().lines().filter(|line| line.starts_with('-'))
    {
        let (option, kind) = line.split_once(' ').unwrap_or((line, ""));
        let name = option.trim_start_matches('-');
        assert!(page.contains(&format!("`{option}`")), "the page does not list {option}");
        let value = *values.get(name).unwrap_or(&"2");
        let forms = match (kind, option.starts_with("--")) {
            ("VALUE", true) => {
                vec![vec![format!("{option}={value}")], vec![option.to_owned(), value.to_owned()]]
            }
            ("VALUE", false) => {
                vec![vec![format!("{option}{value}")], vec![option.to_owned(), value.to_owned()]]
            }
            _ => vec![vec![option.to_owned()]],
        };
        for form in forms {
            let needs_log = matches!(name, "resume" | "resume-failed" | "resumefailed");
            let log: &[&str] = if needs_log { &["--joblog", "log"] } else { &[] };
            // It is enough to know that the options were read: a number that fits nowhere else is a mistake of its own.
            let mut command = Command::new(argon());
            command.arg("map").args(&form).args(log).args(["--dry-run", "--", "echo", ":::", "a"]);
            command.current_dir(folder.path()).env("HOME", folder.path());
            let (_, said, status) = output(&mut command);
            for bare in ["unexpected argument", "unexpected value", "value is required", "panicked"] {
                assert!(!said.contains(bare), "{form:?}: {said}");
            }
            let first = said.lines().next().unwrap_or_default();
            let is_sentence = first.contains(' ') && first.len() > 30;
            assert!(status == Some(0) || is_sentence, "{form:?} {status:?}: {said}");
        }
    }
}

/// A command line of the list, and the reason why it means something else, if it does.
struct Line {
    text: String,
    differs: Option<String>,
}

fn lines() -> Vec<Line> {
    let mut found = Vec::new();
    let mut differs = None;
    for line in fs::read_to_string(data("lines.txt")).unwrap().lines() {
        if let Some(why) = line.strip_prefix("# differs: ") {
            differs = Some(why.to_owned());
        } else if !line.is_empty() && !line.starts_with('#') {
            found.push(Line { text: line.to_owned(), differs: differs.take() });
        }
    }
    found
}

/// Runs a script in the folder of the command lines, where `show` prints the words that it gets.
fn shell(folder: &Path, script: &str) {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command
        .current_dir(folder)
        .env("PATH", path)
        .env("HOME", folder)
        .stdin(Stdio::piped())
        .stderr(Stdio::null());
    let mut shell = command.stdout(Stdio::null()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    wait_for("the shell", PATIENCE * 4, || shell.try_wait().unwrap());
}

/// What arrives when the printed commands of each line are run; `kind` is the ending of the files that hold them.
fn arrivals(folder: &Path, kind: &str, count: usize) -> Vec<String> {
    let mut script = String::new();
    for number in 1..=count {
        script.push_str(&format!("sh <{number}.{kind} >{number}.{kind}.shown 2>&1\n"));
    }
    shell(folder, &script);
    let read = |number: usize| fs::read_to_string(folder.join(format!("{number}.{kind}.shown"))).unwrap();
    (1..=count).map(read).collect()
}

#[test]
fn command_lines_mean_what_they_mean_to_gnu_parallel() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("bin")).unwrap();
    let show = folder.join("bin/show");
    fs::write(&show, "#!/bin/sh\nfor word; do printf '[%s]' \"$word\"; done\necho\n").unwrap();
    fs::set_permissions(&show, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (name, text) in [("list", "1\n2\n3\n"), ("other", "x\ny\nz\n"), ("columns", "a,b,c\nd,e,f\n")] {
        fs::write(folder.join(name), text).unwrap();
    }
    let lines = lines();
    assert!(lines.len() >= 200, "there are {}", lines.len());
    // The shell reads each line once: words and standard input go into files.
    let mut script = "P() { printf '%s\\0' --dry-run -k \"$@\" >$N.args; cat >$N.in; }\n".to_owned();
    for (line, number) in lines.iter().zip(1..) {
        script.push_str(&format!("N={number}; {{ {}\n}} </dev/null\n", line.text));
    }
    shell(folder, &script);
    let parallel = Command::new("sh").args(["-c", "command -v parallel"]).output().unwrap().stdout;
    let parallel = String::from_utf8(parallel).unwrap();
    assert!(!parallel.is_empty(), "GNU parallel is missing; scripts/setup installs it");
    let mut batch = Command::new("perl")
        .arg(data("batch.pl"))
        .arg(parallel.trim())
        .arg(folder)
        .current_dir(folder)
        .env("HOME", folder)
        .spawn()
        .unwrap();
    for number in 1..=lines.len() {
        let words = fs::read_to_string(folder.join(format!("{number}.args"))).unwrap();
        let words = words.strip_suffix('\0').unwrap_or_default().split('\0');
        let file = |kind: &str| fs::File::create(folder.join(format!("{number}.{kind}"))).unwrap();
        let mut command = Command::new(argon());
        command.arg("map").args(words).current_dir(folder).stdout(file("argon")).stderr(file("said"));
        command.stdin(fs::File::open(folder.join(format!("{number}.in"))).unwrap());
        command.status().unwrap();
    }
    let ended = wait_for("GNU parallel", PATIENCE * 4, || batch.try_wait().unwrap());
    assert!(ended.success());
    let (theirs, ours) = (arrivals(folder, "out", lines.len()), arrivals(folder, "argon", lines.len()));
    let page = page();
    let mut wrong = String::new();
    for ((line, number), (theirs, ours)) in lines.iter().zip(1..).zip(theirs.iter().zip(&ours)) {
        let said = fs::read_to_string(folder.join(format!("{number}.said"))).unwrap();
        match &line.differs {
            None if theirs != ours => {
                wrong.push_str(&format!("{}\n  parallel: {theirs:?}\n  argon: {ours:?} {said}\n", line.text));
            }
            Some(_) if theirs == ours => wrong.push_str(&format!("{}\n  does not differ\n", line.text)),
            Some(why) if !page.contains(why.as_str()) => {
                wrong.push_str(&format!("{}\n  the page lacks: {why}\n", line.text));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Runs `argon map` with these words on the pool.
fn map(cluster: &mut Cluster, words: &[&str]) -> argon_tests::Finished {
    let mut command = cluster.argon(&["map", "--manager", cluster.address()]);
    command.args(words).current_dir(cluster.folder());
    cluster.run(command, "map").finish(PATIENCE)
}

#[test]
fn lines_are_printed_as_they_come_with_their_tags() {
    let mut cluster = Cluster::with_workers(&[2]);
    // The second command goes on when the first line of the other has been printed here.
    let script = "echo begun; echo err >&2; printf x; until test -e go; do sleep 0.02; done; echo end";
    let words = ["--line-buffer", "--tagstring", "{1}-{#}", "--joblog", "log", script, ":::", "a"];
    let mut command = cluster.argon(&["map", "--manager", cluster.address()]);
    let out = cluster.folder().join("out");
    command.args(words).current_dir(cluster.folder()).stdin(Stdio::null());
    command.stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for("the first line", PATIENCE, || (fs::read_to_string(&out).ok()? == "a-1\tbegun\n").then_some(()));
    fs::write(cluster.folder().join("go"), "").unwrap();
    let status = wait_for("the end", PATIENCE, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert_eq!(fs::read_to_string(&out).unwrap(), "a-1\tbegun\na-1\txend a\n");
    let log = fs::read_to_string(cluster.folder().join("log")).unwrap();
    assert_eq!(log.lines().nth(1).unwrap().split('\t').nth(5), Some("17"), "{log}");
    let raw = map(&mut cluster, &["-u", "printf '%s' {}", ":::", "a"]);
    assert_eq!(raw.stdout, "a");
}

#[test]
fn commands_have_numbers_of_their_own_while_they_are_unfinished() {
    let mut cluster = Cluster::with_workers(&[2]);
    let script = "mkdir slot{%} || exit 1; sleep 0.02; rmdir slot{%}; echo {%}";
    let inputs: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    let words: Vec<&str> = [script, ":::"].into_iter().chain(inputs.iter().map(String::as_str)).collect();
    let finished = map(&mut cluster, &words);
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(finished.stdout.lines().all(|line| matches!(line, "1" | "2")), "{}", finished.stdout);
}

#[test]
fn commands_are_shown_left_out_spaced_and_shuffled() {
    let mut cluster = Cluster::with_workers(&[1]);
    let shown = map(&mut cluster, &["-k", "-v", "-t", "echo", ":::", "a b", "c"]);
    assert_eq!(shown.stdout, "echo 'a b'\na b\necho c\nc\n");
    assert_eq!(shown.errors(), "echo 'a b'\necho c\n");
    let left_out = map(&mut cluster, &["-k", "echo", "{= $_ eq 'b' and skip() =}", ":::", "a", "b", "c"]);
    assert_eq!((left_out.stdout.as_str(), left_out.status.code()), ("a\nc\n", Some(0)));
    let begun = std::time::Instant::now();
    assert_eq!(map(&mut cluster, &["--delay", "0.2", "true", ":::", "1", "2", "3"]).status.code(), Some(0));
    assert!(begun.elapsed().as_secs_f64() >= 0.4);
    let shuffled = map(&mut cluster, &["--shuf", "-k", "echo", ":::", "a", "b", "c"]);
    let mut lines: Vec<&str> = shuffled.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a", "b", "c"]);
}
