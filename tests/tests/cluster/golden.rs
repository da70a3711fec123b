//! Texts of the commands, word for word: help, and the fields of JSON.
//!
//! The texts are in `tests/golden/`. A change that is meant is written there by running these tests with
//! `ARGON_GOLDEN=write`, and is then read in the diff.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use argon_tests::Cluster;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

fn assert_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("ARGON_GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{name} is not what tests/golden/{name} says; if that is meant, run this test with ARGON_GOLDEN=write. Found:\n{found}"
    );
}

#[test]
fn help_is_as_it_was_read_last() {
    let mut cluster = Cluster::start();
    let mut command = std::process::Command::new(argon_tests::argon());
    command.arg("--help").env("COLUMNS", "100");
    let overview = cluster.run(command, "help").finish(SOON).stdout;
    let names: Vec<String> = overview
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    assert!(names.len() >= 13, "{names:?}");
    assert_golden("help/argon.txt", &overview);
    for name in names {
        let mut command = std::process::Command::new(argon_tests::argon());
        command.args([&name, "--help"]).env("COLUMNS", "100");
        let help = cluster.run(command, &name).finish(SOON).stdout;
        assert!(help.contains("Examples:"), "{name} has no examples");
        assert_golden(&format!("help/{name}.txt"), &help);
    }
}

#[test]
fn the_json_of_status_has_the_fields_that_programs_read() {
    let mut cluster = Cluster::with_workers(&[1]);
    let address = cluster.address().to_owned();
    let mut sleeping = cluster.argon(&["run", "--manager", &address]);
    sleeping.args(["sleep", "60"]);
    let _sleeping = cluster.run(sleeping, "run");
    let status = cluster.wait_for_status("it to run", |status| status["tasks_running"] == 1);
    let mut fields = BTreeSet::new();
    collect_fields("", &status, &mut fields);
    assert_golden("status-fields.txt", &(fields.into_iter().collect::<Vec<_>>().join("\n") + "\n"));
}

/// The path of each field with the type of its value; the elements of a list are one.
fn collect_fields(path: &str, value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| collect_fields(&format!("{path}.{name}"), value, fields));
        }
        Value::Array(list) => {
            list.iter().for_each(|value| collect_fields(&format!("{path}[]"), value, fields));
        }
        Value::Null => drop(fields.insert(format!("{path} null"))),
        Value::Bool(_) => drop(fields.insert(format!("{path} true or false"))),
        Value::Number(_) => drop(fields.insert(format!("{path} number"))),
        Value::String(_) => drop(fields.insert(format!("{path} text"))),
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let mut cluster = Cluster::start();
    let folder = cluster.folder().join("man");
    let mut command = std::process::Command::new(argon_tests::argon());
    command.args(["man", "--folder"]).arg(&folder);
    assert!(cluster.run(command, "man").finish(SOON).status.success());
    for page in ["argon.1", "argon-run.1", "argon-map.1", "argon-submit.1", "argon-manager.1"] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains("Examples:"), "{page}");
    }
    let mut complete = std::process::Command::new("bash");
    complete.arg("-c").arg(NAMES).arg(argon_tests::argon()).env_remove("ARGON_MANAGER");
    let completed = cluster.run(complete, "complete").finish(SOON);
    assert_eq!(completed.stdout, "status\n", "{}", completed.stderr);
    for shell in ["bash", "zsh", "fish"] {
        let mut command = std::process::Command::new(argon_tests::argon());
        command.args(["completions", shell]);
        let script = cluster.run(command, shell).finish(SOON).stdout;
        assert!(script.contains("retry-failed") && script.contains("collect"), "{shell}");
        assert!(script.contains("argon complete"), "{shell} completes names of workers");
    }
}

/// Completes `argon stat` with the script for bash, from a program that is not in PATH.
const NAMES: &str = r#"
    argon() { "$0" "$@"; }
    eval "$(argon completions bash)"
    COMP_LINE='argon stat' COMP_POINT=10 COMP_WORDS=(argon stat) COMP_CWORD=1
    _argon_with_names argon stat argon
    printf '%s\n' "${COMPREPLY[@]}"
"#;
