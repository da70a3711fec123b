//! Things that a command receives from its caller: long words, any bytes, umask, functions, variables. One joblog for one
//! run.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, Finished, Process, argon, wait_for};

use crate::support::lines;

const SOON: Duration = Duration::from_secs(60);

/// A line of bash in which `argon` is the program under test.
fn bash(cluster: &Cluster, line: &str) -> Command {
    let mut command = Command::new("bash");
    let script = format!("argon() {{ \"$ARGON\" \"$@\"; }}; {line}");
    command.args(["-c", &script]).current_dir(cluster.folder()).env("ARGON", argon());
    command.env("ARGON_KEY", cluster.key()).env("ARGON_MANAGER", cluster.address());
    command
}

fn run(cluster: &mut Cluster, line: &str) -> Finished {
    let command = bash(cluster, line);
    cluster.run(command, "bash").finish(SOON)
}

fn start(cluster: &mut Cluster, line: &str) -> Process {
    let command = bash(cluster, line);
    cluster.run(command, "bash")
}

// kind: long command lines | words of 100 KB, fifteen at once, an input of 100 KB, with and without input | right | as here
#[test]
fn a_command_line_is_as_long_as_the_kernel_allows() {
    let mut cluster = Cluster::with_workers(&[1]);
    let long = "long=$(head -c 100000 /dev/zero | tr '\\0' x); ";
    for (line, expected) in [
        ("argon run -- printf %s \"$long\" | wc -c", "100000\n"),
        ("echo in | argon run -- sh -c 'cat; echo $#' sh $(yes $long | head -15)", "in\n15\n"),
        ("echo in >file; argon run -- sh -c 'cat; echo ${#1}' sh \"$long\" <file", "in\n100000\n"),
        ("argon run --env V=\"$long\" -- sh -c 'echo ${#V}'", "100000\n"),
        ("export V=$long; argon run --env V -- sh -c 'echo ${#V}'", "100000\n"),
        ("argon collect $(argon submit -- sh -c 'echo ${#1}' sh $long)", "100000\n"),
        (
            "echo sent | argon collect $(echo sent | argon submit --stdin -- sh -c 'cat; echo ${#1}' sh $long)",
            "sent\n100000\n",
        ),
        ("echo $long >list; argon map -a list -- printf %s | wc -c", "100000\n"),
        ("echo $long >list; argon map -a list --shell -- 'x={}; echo \"${#x}\"'", "100000\n"),
        ("argon status --json >/dev/null; argon run -- printf %s $long $long $long | wc -c", "300000\n"),
    ] {
        let finished = run(&mut cluster, &format!("{long}{line}"));
        assert_eq!((finished.stdout.as_str(), finished.errors().as_str()), (expected, ""), "{line}");
    }
    // What the kernel there does not take is told with its limits, and is that command's failure alone.
    let line = "{ echo a; head -c 200000 /dev/zero | tr '\\0' x; echo; echo b; } >list; argon map -k -a list -- echo got | cut -c1-9";
    let finished = run(&mut cluster, line);
    assert_eq!(finished.stdout, "got a\ngot b\n", "{}", finished.stderr);
    assert!(
        finished.stderr.contains("MAX_ARG_STRLEN") && finished.stderr.contains("131072"),
        "{}",
        finished.stderr
    );
    let line = "yes $(head -c 9000 /dev/zero | tr '\\0' x) | head -900 | tr '\\n' , >list; argon map --csv -a list -- echo";
    let finished = run(&mut cluster, line);
    assert!(finished.stderr.contains("1 MiB"), "{}", finished.stderr);
}

// kind: bytes that are not text | words, variables and input that are not UTF-8 | right | as they are
#[test]
fn words_and_variables_are_bytes() {
    let mut cluster = Cluster::with_workers(&[1]);
    let line = "export V=$'v\\xff\\nw'; argon run --env V --env W=$'\\xfe' -- sh -c 'printf %s \"$V$W$1\" | od -An -tx1' sh $'a\\xff'";
    let finished = run(&mut cluster, line);
    assert_eq!((finished.stdout.trim(), finished.errors().as_str()), ("76 ff 0a 77 fe 61 ff", ""));
    let missing = run(&mut cluster, "argon run -- $'no-such-\\xff'");
    assert_eq!(missing.status.code(), Some(127), "{}", missing.stderr);
}

// kind: the caller's environment | umask | right | files of commands have the caller's mode
#[test]
fn files_that_a_command_makes_have_the_mode_that_the_caller_wants() {
    let mut cluster = Cluster::with_workers(&[1]);
    for (mask, mode) in [("077", 0o600), ("027", 0o640), ("000", 0o666)] {
        let line = format!(
            "umask {mask}; argon run -- touch run-{mask}; argon map -- touch ::: map-{mask}; \
             argon collect $(argon submit -- touch submit-{mask})"
        );
        let finished = run(&mut cluster, &line);
        assert_eq!(finished.errors(), "");
        for command in ["run", "map", "submit"] {
            let facts = std::fs::metadata(cluster.folder().join(format!("{command}-{mask}"))).unwrap();
            assert_eq!(facts.permissions().mode() & 0o777, mode, "{command} {mask}");
        }
    }
}

// kind: the caller's environment | --env of an exported function of bash | right | it is called
#[test]
fn exported_functions_of_bash_travel() {
    let mut cluster = Cluster::with_workers(&[1]);
    let functions = "f() { printf '[%s]' \"$1\" \"$G\"; g; }; g() { echo g; }; export -f f g; export G=1; ";
    for (line, expected) in [
        ("argon run --env f --env g --env G -- f 'a b'", "[a b][1]g\n"),
        ("argon run --env f --env g -- bash -c 'f x'", "[x][]g\n"),
        ("argon map -k --env f --env g -- f ::: a '$(b)'", "[a][]g\n[$(b)][]g\n"),
        ("argon map -k --env f --env g --shell -- 'f \"{}\" | tr g G' ::: a \"'\"", "[a][]G\n['][]G\n"),
        ("argon collect $(argon submit --env f --env g -- f y)", "[y][]g\n"),
        ("f=7; export f; argon run --env f --env g -- bash -c 'f $f'", "[7][]g\n"),
    ] {
        let finished = run(&mut cluster, &format!("{functions}{line}"));
        assert_eq!((finished.stdout.as_str(), finished.errors().as_str()), (expected, ""), "{line}");
    }
    for (line, why) in [
        ("argon run --env NOWHERE -- true", "--env NOWHERE: there is no such variable here"),
        ("h() { :; }; argon run --env h -- h", "export -f h"),
        ("argon run --env _ -- true", "name each variable"),
        ("argon run --env =x -- true", "no name before the '='"),
    ] {
        let finished = run(&mut cluster, line);
        assert_eq!(finished.status.code(), Some(255), "{line}");
        assert!(finished.stderr.contains(why), "{line}: {}", finished.stderr);
    }
    let blank = run(&mut cluster, "argon run --env A= --env _=1 -- sh -c 'echo \"[$A]\"'");
    assert_eq!(blank.stdout, "[]\n", "{}", blank.stderr);
}

// kind: inputs as people have them | a byte order mark, CRLF, no newline at the end, UTF-16 | right | no part of an input, or refused
#[test]
fn lists_of_other_programs_give_the_inputs_that_people_see() {
    let mut cluster = Cluster::with_workers(&[1]);
    for (line, expected) in [
        (
            "printf '\\357\\273\\277a,b\\r\\nc,d' >l; argon map -k --csv -a l -- printf '[%s-%s]' {1} {2}",
            "[a-b][c-d]",
        ),
        ("printf '\\357\\273\\277a\\r\\nb' | argon map -k -- printf '[%s]'", "[a][b]"),
        ("printf 'a\\0b\\n\\0' | argon map -k -0 -- printf '[%s]'", "[a][b\n]"),
    ] {
        let finished = run(&mut cluster, line);
        assert_eq!((finished.stdout.as_str(), finished.errors().as_str()), (expected, ""), "{line}");
    }
    let utf16 = run(&mut cluster, "printf '\\377\\376a\\0\\n\\0' >l; argon map -a l -- echo");
    assert_eq!((utf16.status.code(), utf16.stdout.as_str()), (Some(255), ""), "{}", utf16.stderr);
    assert!(utf16.stderr.contains("l is UTF-16 text") && utf16.stderr.contains("iconv"), "{}", utf16.stderr);
}

// kind: joblogs | --resume, --retry-failed and a new run beside one that goes on | loud | refused, with the process
#[test]
fn a_joblog_is_one_runs_at_a_time() {
    let mut cluster = Cluster::with_workers(&[2]);
    let line = "echo $$ >pid; exec \"$ARGON\" map --joblog log --resume --shell -- 'echo {} >>ran; until test -e go; do sleep 0.05; done' ::: 1 2";
    let first = start(&mut cluster, line);
    wait_for("both to begin", SOON, || (lines(&cluster, "ran").len() == 2).then_some(()));
    let pid = lines(&cluster, "pid")[0].clone();
    for options in ["--resume -- echo ::: 1", "-- echo ::: 1", "--retry-failed"] {
        let second = run(&mut cluster, &format!("argon map --joblog log {options}"));
        assert_eq!((second.status.code(), second.stdout.as_str()), (Some(255), ""), "{options}");
        let expected = format!("the joblog log is in use by another argon map (process {pid})");
        assert!(second.stderr.contains(&expected), "{options}: {}", second.stderr);
    }
    assert!(run(&mut cluster, "argon map --dry-run --joblog log -- echo ::: 1").stdout.contains("echo 1"));
    // A run that is killed leaves nothing that would stop the next.
    first.kill();
    std::fs::write(cluster.folder().join("go"), "").unwrap();
    let third = run(&mut cluster, line);
    assert_eq!(third.status.code(), Some(0), "{}", third.stderr);
}

// kind: the reason of a wait | run, map, submit and collect: no worker, a manager that is away | loud | a line for each state, once
#[test]
fn commands_print_why_they_wait_once_for_each_state() {
    let mut cluster = Cluster::start();
    let running = start(&mut cluster, "exec \"$ARGON\" run -n -- echo done");
    let mapping = start(&mut cluster, "exec \"$ARGON\" map -- echo ::: a b c");
    let collecting = start(&mut cluster, "exec \"$ARGON\" collect $(argon submit -- echo done)");
    for process in [&running, &mapping, &collecting] {
        wait_for("the reason", SOON, || process.stderr().contains("no worker is connected").then_some(()));
    }
    cluster.kill_manager();
    for process in [&running, &mapping, &collecting] {
        wait_for("the next reason", SOON, || process.stderr().contains("cannot be reached").then_some(()));
    }
    for process in [running, mapping, collecting] {
        let said = process.stderr();
        assert!(said.lines().all(|line| line.starts_with("argon: waiting: ")), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
        process.kill();
    }
}
