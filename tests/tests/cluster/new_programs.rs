//! `argon new`: what it makes runs. tests/walks/rust builds the Rust program.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, Finished};

const SOON: Duration = Duration::from_mins(2);

fn new(cluster: &mut Cluster, arguments: &[&str]) -> Finished {
    let mut command = Command::new(argon_tests::argon());
    command.arg("new").args(arguments).current_dir(cluster.folder());
    cluster.run(command, "new").finish(SOON)
}

#[test]
fn a_new_program_in_perl_or_python_runs_as_its_readme_says() {
    let mut cluster = Cluster::with_workers(&[2]);
    let program = argon_tests::argon();
    // The interpreter of `scripts/setup` has the one package that the README names.
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python-venv/bin");
    let folders = [program.parent().unwrap(), &venv].map(|folder| folder.display().to_string());
    let path = format!("{}:{}", folders.join(":"), std::env::var("PATH").unwrap());
    for language in ["perl", "python"] {
        let made = new(&mut cluster, &[language, "--lang", language]);
        assert_eq!(
            made.stdout,
            format!("made {language}; go on with: cd {language} && sh README\n"),
            "{}",
            made.stderr
        );
        let mut command = Command::new("sh");
        command.arg("README").current_dir(cluster.folder().join(language)).env("PATH", &path);
        command.env("ARGON_MANAGER", cluster.address()).env("ARGON_KEY", cluster.key());
        command.env("XDG_CACHE_HOME", cluster.folder().join("cache"));
        let finished = cluster.run(command, language).finish(SOON);
        if finished.stderr.contains("cloudpickle") && !venv.join("python3").exists() {
            continue; // The interpreter of this machine lacks it, or has an old one: the README names it.
        }
        assert!(finished.stdout.ends_with("10 squared is 100\n"), "{}{}", finished.stdout, finished.stderr);
    }
}

#[test]
fn a_new_rust_program_names_the_crate_and_mistakes_get_a_sentence() {
    let mut cluster = Cluster::start();
    assert_eq!(new(&mut cluster, &["hello"]).stdout, "made hello; go on with: cd hello && cargo run\n");
    let manifest = std::fs::read_to_string(cluster.folder().join("hello/Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"hello\"") && manifest.contains("\nargon = { path = "), "{manifest}");
    for (arguments, words) in [
        (&["hello"][..], "choose another name"),
        (&["9 lives"], "cannot be the name of a program"),
        (&["other", "--argon", "/nowhere"], "/nowhere is not the folder of the crate argon"),
    ] {
        let refused = new(&mut cluster, arguments);
        assert!(!refused.status.success() && refused.stderr.contains(words), "{}", refused.stderr);
    }
}
