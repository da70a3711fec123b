//! Scripts through the shells of this machine: what a placeholder stands for arrives as it is, wherever it stands, and
//! nothing of it is run.

mod random;

use std::process::{Command, Output};

use tempfile::TempDir;

use super::super::filling::Filling;
use super::super::reading::Reading;
use super::super::template::CommandTemplate;
use super::super::template_error::TemplateError;

const READING: Reading<'static> = Reading { whole: "{}", shell: Some("sh"), literal: false, more: None };

/// The POSIX shells of this machine; dash and bash are always among them.
const SHELLS: [&[&str]; 7] =
    [&["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"], &["ksh"], &["mksh"], &["zsh", "-y"]];

struct Shells {
    folder: TempDir,
    found: Vec<&'static [&'static str]>,
}

impl Shells {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let exists = |shell: &&&[&str]| Command::new(shell[0]).args(["-c", "true"]).output().is_ok();
        let found: Vec<_> = SHELLS.iter().filter(exists).copied().collect();
        assert!(found.len() >= 3, "dash and bash are needed: {found:?}");
        Self { folder, found }
    }

    /// Output of a command in a shell, which must leave nothing in its folder.
    fn run(&self, shell: &[&str], words: &[String], context: &str) -> Output {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(&words[1..]).current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C.UTF-8");
        let output = command.output().expect("the shell runs");
        let left = std::fs::read_dir(self.folder.path()).expect("its folder").count();
        assert_eq!(left, 0, "something ran in {shell:?}: {context}");
        output
    }

    /// Asserts what a script prints, in every shell.
    fn assert_prints(&self, line: &str, input: &str, expected: &str, context: &str) {
        let words = filled(line, input).unwrap_or_else(|error| panic!("{line}: {error}; {context}"));
        // Those that most systems have as sh; the others are sampled.
        let is_sampled = (line.len() + input.len()).is_multiple_of(4);
        for shell in self.found.iter().filter(|shell| is_sampled || matches!(shell, ["dash"] | ["bash"])) {
            let output = self.run(shell, &words, &format!("{line} with {input:?}; {context}"));
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                expected,
                "{shell:?}, {line} with {input:?}: {} {words:?}; {context}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

fn filled(line: &str, input: &str) -> Result<Vec<String>, TemplateError> {
    CommandTemplate::parse(&[line.to_owned()], READING)?.fill(&Filling::new(&[input.to_owned()], 7))
}

const NASTY: [&str; 26] = [
    "$(touch PWNED)",
    "`touch PWNED`",
    "'; touch PWNED; '",
    "\"; touch PWNED; \"",
    "\n touch PWNED\n",
    "; touch PWNED",
    "| touch PWNED",
    "&& touch PWNED",
    "a[$(touch PWNED)]",
    "${x:=$(touch PWNED)}",
    "}; touch PWNED; {",
    ")\ntouch PWNED",
    "EOF\ntouch PWNED\n",
    "\\",
    "'",
    "\"",
    "",
    " ",
    "*",
    "~root",
    "-n",
    "--",
    "#a",
    "a\tb",
    "$'\\x41'",
    "ünï €",
];

/// Scripts, and what they print around the input.
const PLACES: &[(&str, &str, &str)] = &[
    ("printf '[%s]' {}", "[", "]"),
    ("printf '[%s]' a{}b", "[a", "b]"),
    ("printf '[%s]' \"{}\"", "[", "]"),
    ("printf '[%s]' \"a'{}'b\"", "[a'", "'b]"),
    ("printf '[%s]' 'x\"{}\"y'", "[x\"", "\"y]"),
    ("printf '[%s]' 'x\\{}'", "[x\\", "]"),
    ("printf '[%s]' \"a\\\"{}\\\"b\"", "[a\"", "\"b]"),
    ("printf '[%s]' \"$(printf '%s.' \"{}\")\"", "[", ".]"),
    ("printf '[%s]' \"$(printf '%s.' {})\"", "[", ".]"),
    ("printf '[%s]' \"$(printf '%s.' \"$(printf '%s.' '{}')\")\"", "[", "..]"),
    ("printf '[%s]' \"$( (printf '%s.' {}) )\"", "[", ".]"),
    ("printf '[%s]' \"$(case a in (b) echo no;; a) printf '%s.' {};; esac)\"", "[", ".]"),
    ("unset x; printf '[%s]' \"${x:-{}}\"", "[", "]"),
    ("unset x; printf '[%s]' ${x:-{}}", "[", "]"),
    ("unset x; printf '[%s]' \"${x-a{}b}\"", "[a", "b]"),
    ("unset x; : ${x:={}}; printf '[%s]' \"$x\"", "[", "]"),
    ("unset x; printf '[%s]' ${x:-\"{}\"}", "[", "]"),
    ("x=1; printf '[%s]' {} ${x:+} \"$x\"", "[", "][1]"),
    ("x={}; printf '[%s]' \"$x\"", "[", "]"),
    ("x=a{}b; y=\"$x\"; printf '[%s]' \"${y#a}\"", "[", "b]"),
    ("x=a{}; printf '[%s]' \"${x#a{}}\"", "[", "]"),
    ("x=a{}b; printf '%s' {}; printf '[%s]' \"${x%{}b}\"", "", "[a]"),
    ("cat <<EOF\n[{}]\nEOF", "[", "]\n"),
    ("cat <<-EOF\n\t[{}] \\$x\n\tEOF\necho done", "[", "] $x\ndone\n"),
    (
        "cat <<EOF; echo {} >/dev/null; echo after\n'{}'\"$(printf '%s.' {} >/dev/null)\nEOF",
        "'",
        "'\"\nafter\n",
    ),
    ("cat <<A <<B\n{}\nA\n[{}]\nB", "[", "]\n"),
    ("# it's a {} \"comment\nprintf '[%s]' {} # and 'another", "[", "]"),
    ("printf '[%s]' {}#no", "[", "#no]"),
    ("case {} in \"{}\") printf '[%s]' {};; *) echo other;; esac", "[", "]"),
    ("case x{} in x{}) printf '[%s]' {} ;; esac", "[", "]"),
    ("for i in {}; do printf '[%s]' \"$i\"; done", "[", "]"),
    ("if [ {} = {} ]; then printf '[%s]' {}; fi", "[", "]"),
    ("f() { printf '[%s]' {} \"$1\"; }; f x", "[", "][x]"),
    ("set -- a b c; shift; printf '[%s]' {} \"$#\" \"$1\"", "[", "][2][b]"),
    ("printf '[%s]' {} $#", "[", "][0]"),
    ("{ printf '[%s]' {}; } | cat", "[", "]"),
    ("(printf '[%s]' {}) 2>&1", "[", "]"),
    ("! printf '[%s]' {} && : || :", "[", "]"),
    ("printf '[%s]' a\\ b {}", "[a b][", "]"),
    ("printf '[%s]' \\\n{}", "[", "]"),
    ("printf '[%s]' $$ >/dev/null; printf '[%s]' \"$?{}\"", "[0", "]"),
    ("export V={}; printf '[%s]' \"$V\"", "[", "]"),
    ("V={} sh -c 'printf \"[%s]\" \"$V\"'", "[", "]"),
    ("sh -c 'printf \"[%s]\" \"$1\"' sh {}", "[", "]"),
    ("printf '[%s]' \"{1}\"{1}", "", ""),
];

#[test]
fn an_input_arrives_as_one_word_wherever_its_placeholder_stands() {
    let shells = Shells::new();
    for (line, before, after) in PLACES {
        for input in NASTY {
            let expected = match *line {
                "printf '[%s]' \"{1}\"{1}" => format!("[{input}{input}]"),
                "cat <<A <<B\n{}\nA\n[{}]\nB" => format!("[{input}]\n"),
                _ => format!("{before}{input}{after}"),
            };
            if line.starts_with("x=a{}") && line.contains("${x#a{}}") {
                shells.assert_prints(line, input, "[]", "a pattern");
                continue;
            }
            // `[ ( = ( ]` and its like are another matter: here the input is between two that are the same.
            shells.assert_prints(line, input, &expected, "");
        }
    }
}

// kind: input is not code | a placeholder where no quoting helps | loud | refused before anything runs
#[test]
fn a_placeholder_is_refused_where_its_value_cannot_be_quoted() {
    for (line, place) in [
        ("echo `echo {}`", "backquotes"),
        ("echo \"`echo '{}'`\"", "backquotes"),
        ("echo \\{}", "backslash"),
        ("echo \"\\{}\"", "backslash"),
        ("echo ${}", "behind a '$'"),
        ("echo \"${}\"", "behind a '$'"),
        ("f() { echo ${1}; }; f {}", "behind a '$'"),
        ("echo $'a{}'", "$'…'"),
        ("cat <<'EOF'\n{}\nEOF", "here-document whose word is quoted"),
        ("cat <<\\EOF\n{}\nEOF", "here-document whose word is quoted"),
        ("cat <<{}\nx\n{}", "in the word behind '<<'"),
        ("(( x = {} ))", "(( ))"),
        ("for ((i=0; i<{}; i++)); do :; done", "(( ))"),
        ("echo $[ {} ]", "$[ ]"),
        ("echo ${x/{}/y}", "only some shells"),
        ("echo ${x:{}:1}", "only some shells"),
        ("echo ${x[{}]}", "only some shells"),
        ("echo \"${x:-\"{}\"}\"", "quotes within quotes"),
    ] {
        let error = filled(line, "a").expect_err(line);
        assert!(matches!(&error, TemplateError::Misplaced { .. }), "{line}: {error}");
        assert!(error.to_string().contains(place) && error.to_string().contains("write "), "{line}: {error}");
    }
    for line in [
        "echo '{}",
        "echo \"{}",
        "echo $({}",
        "echo ${x:-{}",
        "cat <<A\n{}",
        "echo {} `a",
        "echo {} \\",
        "({}",
    ] {
        assert!(matches!(filled(line, "a"), Err(TemplateError::Open(_))), "{line}");
    }
    for line in ["echo $((echo {}) | cat)", "echo {} )", "cat <<A 'b\nc' {}\nA", "echo $'it\\'s' {}"] {
        assert!(matches!(filled(line, "a"), Err(TemplateError::Tangled(_))), "{line}");
    }
}

#[test]
fn what_shells_evaluate_takes_whole_numbers_only() {
    let shells = Shells::new();
    shells.assert_prints("echo $(( {} + 1 )) $((3-{}))", "-4", "-3 7\n", "");
    shells.assert_prints("[ {} -gt 3 ] && echo \"{}\"", "12", "12\n", "");
    shells.assert_prints("[ $(echo {} | wc -c) -gt 3 ] && echo many", "a b c", "many\n", "");
    for line in [
        "echo $(( {} ))",
        "echo $(( $(echo {}) ))",
        "[ {} -eq 1 ]",
        "[[ 1 -lt {} ]]",
        "[[ a == a && {} -eq 1 ]]",
        "test 1 -ne \"{}\"",
        "let x={}",
        "exit {}",
        "a[{}]=1",
        "f() { return {}; }; f",
        "command exit {}",
        "if [ x ]; then exit \"{}\"; fi",
        "for i do exit {}; done",
        "echo $(exit {})",
    ] {
        for input in ["a[$(touch PWNED)]", "x", "", "1;", "1 2", "0x1", "１"] {
            let error = filled(line, input).expect_err(line);
            assert!(matches!(error, TemplateError::NotNumber { .. }), "{line}: {error}");
        }
        assert!(filled(line, "12").is_ok(), "{line}");
    }
}

#[test]
fn what_another_shell_reads_again_takes_plain_words_only() {
    for line in [
        "eval echo {}",
        "eval \"echo {}\"",
        "eval \"$(echo {})\"",
        "eval 'echo \"{}\"'",
        "trap 'echo {}' EXIT",
        "command eval {}",
        "builtin eval {}",
        "A=1 eval {}",
        "true && eval {}",
        "if true; then eval {}; fi",
        "{ eval {}; }",
        "f() { eval {}; }; f",
        "sh -c \"echo {}\"",
        "bash -ec 'echo {}'",
        "exec sh -c \"echo {}\"",
        "env A=1 sh -c 'echo {}'",
        "\"$SHELL\" -c 'echo {}'",
        "$SHELL -c {}",
        "/bin/sh -o errexit -c \"{}\"",
        "nice timeout 5 dash -c -- 'echo {}'",
        "xargs sh -c 'echo {}'",
        "ssh host echo {}",
        "ssh -p 22 host \"rm {}\"",
        "su root -c 'echo {}'",
        "flock f -c 'echo {}'",
        "flock f --command='echo {}'",
        "su -lc 'echo {}'",
        "script --comm 'echo {}'",
        "watch echo {}",
        "alias a={}",
        "printf -v {} x",
        "read {}",
        "unset {}",
        "declare {}=1",
        "declare -i x={}",
        "export {}",
        "test -v {}",
        "[[ -v {} ]]",
        "fish -c 'echo {}'",
        "time eval {}",
        "! eval {}",
        "case a in a) eval {};; esac",
    ] {
        for input in ["$(touch PWNED)", "a[$(touch PWNED)]", "a b", "a;b", "'", "", "ü", "a\nb"] {
            let error = filled(line, input).expect_err(line);
            assert!(matches!(error, TemplateError::NotPlain { .. }), "{line} with {input:?}: {error}");
        }
        assert!(filled(line, "a-1.txt").is_ok(), "{line}");
    }
    for line in [
        "ssh {} uptime",
        "sh {}",
        "sh -c 'echo \"$1\"' sh {}",
        "grep -c {} list",
        "local x={}",
        "echo eval {}",
        "$CC -c {}",
    ] {
        assert!(filled(line, "a b").is_ok(), "{line}");
    }
}

#[test]
fn a_line_without_placeholder_gets_the_input_where_it_is_an_argument_or_is_refused() {
    let shells = Shells::new();
    shells.assert_prints("printf '[%s]' x", "a b", "[x][a b]", "");
    for line in [
        "sleep 1;",
        "true &&",
        "true |",
        "echo a # note",
        "echo a\n",
        "echo >",
        "(echo a)",
        "",
        " ",
        "if true; then",
    ] {
        let error = filled(line, "reboot").expect_err(line);
        assert!(error.to_string().contains("{}"), "{line}: {error}");
    }
}

#[test]
fn the_script_of_a_shell_among_the_words_is_read_as_one() {
    let shells = Shells::new();
    let reading = Reading { shell: None, ..READING };
    let fill = |words: &[&str], input: &str| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        CommandTemplate::parse(&words, reading)?.fill(&Filling::new(&[input.to_owned()], 7))
    };
    for input in NASTY {
        for words in [
            &["sh", "-c", "printf '[%s]' {}"][..],
            &["sh", "-c", "printf '[%s]' \"{}\""],
            &["sh", "-c", "printf '[%s]' {}; : ${HOME}", "name", "first"],
            &["sh", "-c", "printf '[%s]' \"$1\"; : ${HOME}", "name", "{}"],
            &["sh", "-e", "-c", "printf '[%s]' \"$1\" >/dev/null; printf '[%s]' {}", "{}", "first"],
        ] {
            let words = fill(words, input).expect("it can be filled in");
            for shell in &shells.found {
                let output = shells.run(shell, &words, input);
                assert_eq!(
                    String::from_utf8_lossy(&output.stdout),
                    format!("[{input}]"),
                    "{shell:?} {words:?}"
                );
            }
        }
        for words in [
            &["ssh", "host", "echo {}"][..],
            &["su", "-c", "{}"],
            &["su", "-cecho {}"],
            &["script", "-qc", "echo {}", "/dev/null"],
            &["env", "-vSecho {}"],
            &["ssh", "host", "cat"],
            &["csh", "-c", "a {}"],
        ] {
            let is_plain =
                !input.is_empty() && input.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            assert_eq!(fill(words, input).is_ok(), is_plain, "{words:?} {input:?}");
        }
    }
    // Behind another program, which may add words of its own, the values are in the script.
    for input in NASTY {
        for words in [
            &["find", "/dev/null", "-exec", "sh", "-c", "printf '[%s]' \"$1\" {}", "name", "{}", ";"][..],
            &["env", "A=1", "sh", "-c", "printf '[%s]' \"{}\" {}"],
            &[
                "xargs",
                "-a",
                "/dev/null",
                "sh",
                "-c",
                "printf '[%s]' '{}' \"$#\" >&2; printf '[%s]' {} \"{}\"",
                "name",
            ],
        ] {
            let words = fill(words, input).expect("it can be filled in");
            let output =
                Command::new(&words[0]).args(&words[1..]).current_dir(&shells.folder).output().expect("runs");
            let expected = format!("[{input}][{input}]");
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{words:?}");
            assert_eq!(std::fs::read_dir(&shells.folder).expect("its folder").count(), 0, "{words:?}");
        }
    }
    // A list of scripts is what was asked for.
    assert_eq!(fill(&["sh", "-c", "{}"], "a | b").expect("filled"), ["sh", "-c", "a | b"]);
    assert!(fill(&["env", "A=1", "bash", "-c", "echo `{}`"], "a").is_err());
}
