//! `argon map --pipe`: standard input in blocks, as `parallel --pipe` cuts it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use argon_tests::{Cluster, Finished, wait_for};

use crate::support::memory_while_it_runs;

const SOON: Duration = Duration::from_secs(300);

fn map(cluster: &Cluster, words: &[&str]) -> Command {
    let mut command = cluster.argon(&["map", "--manager", cluster.address()]);
    command.args(words).current_dir(cluster.folder());
    command
}

/// Runs a command that reads this.
fn fed(cluster: &mut Cluster, command: &Command, input: &[u8]) -> Finished {
    std::fs::write(cluster.folder().join("input"), input).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" <input", "sh"]).arg(command.get_program()).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(cluster.folder());
    cluster.run(shell, "blocks").finish(SOON)
}

/// Options, input, bytes of the first two blocks, and number of blocks.
type Case = (&'static [&'static str], Vec<u8>, [&'static str; 2], usize);

fn lines(count: u32, begin: &str) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{begin}{number}\n").into_bytes()).collect()
}

#[test]
fn blocks_are_those_of_gnu_parallel() {
    let mut cluster = Cluster::with_workers(&[4]);
    let has_parallel = Command::new("parallel")
        .arg("--version")
        .output()
        .is_ok_and(|said| String::from_utf8_lossy(&said.stdout).starts_with("GNU parallel"));
    let cases: [Case; 7] = [
        (&["--block", "10k"], lines(5000, ""), ["10000", "10000"], 3),
        (&["-N", "300"], lines(1000, ""), ["1090", "1200"], 4),
        (&["--recstart", ">", "--block", "1000"], lines(1000, ">"), ["995", "995"], 5),
        (&["--recstart", ">", "-N", "300"], lines(1000, ">"), ["1390", "1500"], 4),
        (&["--recend", "9\\n", "--block", "2K"], lines(1000, ""), ["2010", "1880"], 2),
        (&["--block", "7M"], lines(3_000_000, ""), ["7340026", "7340032"], 4),
        (&[], b"a\nb\nc".to_vec(), ["5", ""], 1),
    ];
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (options, input, [first, second], count) in cases {
        let words = [&["--pipe", "-k"], options].concat();
        let command = map(&cluster, &[&words[..], &["--", "wc", "-c"]].concat());
        let ours = fed(&mut cluster, &command, &input);
        assert_eq!((ours.status.code(), ours.stderr.as_str()), (Some(0), ""), "{options:?}");
        let sizes: Vec<&str> = ours.stdout.lines().collect();
        let sum: usize = sizes.iter().map(|size| size.parse::<usize>().unwrap()).sum();
        assert_eq!(sum, input.len(), "{options:?}: {sizes:?}");
        if has_parallel {
            let mut command = Command::new("parallel");
            command.arg("--will-cite").args(&words).args(["wc", "-c"]).env("HOME", cluster.folder());
            let theirs = fed(&mut cluster, &command, &input);
            assert_eq!(ours.stdout, theirs.stdout, "{options:?}");
        }
        let begin = [sizes[0], sizes.get(1).copied().unwrap_or_default()];
        found.push((begin.map(str::to_owned), sizes.len()));
        expected.push(([first, second].map(str::to_owned), count));
    }
    assert_eq!(found, expected);
}

#[test]
fn blocks_arrive_whole_and_in_order_whatever_their_length() {
    let mut cluster = Cluster::with_workers(&[2]);
    let input = lines(500_000, "a line of some length, number ");
    let expected = String::from_utf8(input.clone()).unwrap();
    for size in ["300k", "3M"] {
        let command = map(&cluster, &["--pipe", "--block", size, "-k", "--", "cat"]);
        let finished = fed(&mut cluster, &command, &input);
        assert!(finished.stdout == expected, "{size}: {}", finished.stderr);
    }
    // A command that does not read its input has not failed.
    let command = map(&cluster, &["--pipe", "--", "true"]);
    let finished = fed(&mut cluster, &command, &input);
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(0), ""));
    let command =
        map(&cluster, &["--pipe-part", "-a", "input", "-N", "499999", "-k", "--tag", "--", "wc", "-l"]);
    assert_eq!(cluster.run(command, "part").finish(SOON).stdout, "1\t499999\n2\t1\n");
    let command = map(&cluster, &["--pipe", "-N1", "-k", "--shell", "--", "cat; echo {#} | tr 1-9 a-i"]);
    assert_eq!(fed(&mut cluster, &command, b"x\ny\n").stdout, "x\na\ny\nb\n");
}

#[test]
fn an_input_without_end_needs_little_memory() {
    let mut cluster = Cluster::with_workers(&[2]);
    let script = "head -c 1 >/dev/null; echo one";
    let words = ["--pipe", "--block", "4M", "--halt", "now,done=40", "--", "sh", "-c", script];
    let mut command = map(&cluster, &words);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let pids = [i32::try_from(child.id()).unwrap(), cluster.manager.as_ref().unwrap().pid()];
    let piece = b"x\n".repeat(128 << 10);
    let (mut written, mut memory) = (0_u64, 0);
    while stdin.write_all(&piece).is_ok() {
        written += piece.len() as u64;
        // It may have ended between the write and the look.
        memory = pids.iter().filter_map(|pid| memory_while_it_runs(*pid)).max().unwrap().max(memory);
    }
    let status = wait_for("it to end", SOON, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    // What is read ahead is bounded, too.
    assert!((40 * (4 << 20)..100 * (4 << 20)).contains(&written), "{written} bytes were read");
    assert!(memory < 250, "{memory} MiB");
    drop(cluster.status());
}

#[test]
fn what_needs_other_options_is_refused_before_anything_runs() {
    let mut cluster = Cluster::with_workers(&[1]);
    let cases: [(&[&str], &str); 8] = [
        (&["--pipe", "--", "echo", "{}"], "/dev/stdin"),
        (&["--pipe", "--", "cat", ":::", "a"], "leave ':::', -0 and --csv away"),
        (&["--pipe", "-a", "input", "--", "cat"], "use --pipe-part -a FILE"),
        (&["--block", "1M", "--", "echo", ":::", "a"], "say --pipe too"),
        (&["--pipe", "--round-robin", "--", "cat"], "a command for each block"),
        (&["--pipe", "--cat", "--", "wc", "{}"], "/dev/stdin"),
        (&["--pipe", "-N1", "--recend", "", "--", "wc"], "counts records"),
        (&["--pipe", "--block", "0", "--", "wc"], "1 byte to 1 GiB"),
    ];
    for (words, sentence) in cases {
        let command = map(&cluster, words);
        let finished = fed(&mut cluster, &command, b"a\n");
        assert_eq!(finished.status.code(), Some(255), "{words:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(sentence), "expected '{sentence}' in: {}", finished.stderr);
    }
}
