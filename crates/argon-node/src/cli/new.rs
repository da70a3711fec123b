//! `argon new`: the folder of a first program, in Rust, Perl or Python.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::exit::{Failure, FailureKind};
use crate::output::print_line;

/// Make the folder of a first program.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon new hello && cd hello && cargo run      a Rust program with a task of its own
  argon new hello --lang perl                   hello/hello.pl
  argon new hello --lang python                 hello/hello.py

The Perl and the Python program start a pool of this machine if no manager answers. The Rust program
needs one: run 'argon up' in another terminal.")]
pub(super) struct NewArguments {
    /// The folder, whose name is that of the program
    #[arg(value_name = "NAME")]
    name: PathBuf,
    /// Its language
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// Use the crate in this folder, such as crates/argon of a checkout [default: that of the checkout in which this
    /// program was built, else the registry's]
    #[arg(long, value_name = "FOLDER", verbatim_doc_comment)]
    argon: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Perl,
    Python,
}

const RUST: &str = r#"/// Runs on any machine of the pool: workers start this program's own executable.
#[argon::task]
async fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[argon::main]
async fn main() -> Result<(), argon::Error> {
    let client = argon::Client::connect(argon::Addresses::default()).await?;
    println!("4 + 7 = {}", client.call(add(4, 7)).await?);
    Ok(())
}
"#;

/// The first build is what a newcomer waits for, and nearly all of it is dependencies.
const RUST_PROFILE: &str = r#"
[profile.dev]
debug = "line-tables-only"

# Dependencies compile in four fifths of the time without checks and line numbers of their own. Your code keeps both.
[profile.dev.package."*"]
codegen-units = 4
debug = false
debug-assertions = false
incremental = false
overflow-checks = false

# The program hashes itself once, at its first call.
[profile.dev.package.sha2]
opt-level = 3
"#;

const PERL: &str = r#"use strict;
use warnings;
use feature 'say';

use Argon qw(pmap);

# The block runs in other processes, or on other machines if ARGON_MANAGER names their manager.
say for pmap { "$_ squared is " . $_ ** 2 } 1 .. 10;
"#;

const PYTHON: &str = r#"import argon


def square(number):
    """Runs in another process, or on another machine if ARGON_MANAGER names its manager."""
    return f"{number} squared is {number ** 2}"


for line in argon.Client().map(square, range(1, 11)):
    print(line)
"#;

const PYTHON_START: &str = "\
# It needs one package: pip install 'cloudpickle>=3'
PYTHONPATH=$(argon python-lib) python3";

pub(super) fn run(arguments: &NewArguments) -> Result<(), Failure> {
    let name = arguments.name.file_name().and_then(|name| name.to_str()).filter(|name| is_name(name));
    let name = name.ok_or_else(|| {
        let why = format!(
            "'{}' cannot be the name of a program: use letters, digits, '-' and '_', and begin with a letter",
            arguments.name.display()
        );
        Failure::new(FailureKind::Usage, why)
    })?;
    let files = match arguments.lang {
        Language::Rust => rust(name, arguments.argon.as_deref())?,
        Language::Perl => script(name, "pl", PERL, "perl -I$(argon perl-lib)"),
        Language::Python => script(name, "py", PYTHON, PYTHON_START),
    };
    write(&arguments.name, &files)?;
    let how = match arguments.lang {
        Language::Rust => "cargo run",
        Language::Perl | Language::Python => "sh README",
    };
    print_line(format_args!("made {0}; go on with: cd {0} && {how}", arguments.name.display()))
}

type NewFiles = Vec<(String, String)>;

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
}

fn rust(name: &str, argon: Option<&Path>) -> Result<NewFiles, Failure> {
    let argon = match argon {
        Some(folder) => Some(
            fs::canonicalize(folder).ok().filter(|found| found.join("Cargo.toml").is_file()).ok_or_else(
                || {
                    let why = format!(
                        "{} is not the folder of the crate argon: it has no Cargo.toml",
                        folder.display()
                    );
                    Failure::new(FailureKind::Usage, why)
                },
            )?,
        ),
        None => of_checkout(),
    };
    let source = match argon {
        Some(folder) => format!("path = {:?}", folder.display().to_string()),
        None => format!("package = \"argon-pool\", version = {:?}", env!("CARGO_PKG_VERSION")),
    };
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         argon = {{ {source} }}\n{RUST_PROFILE}"
    );
    let readme = format!(
        "# {name}\n\n    argon up     # in another terminal\n    cargo run    # or with ARGON_MANAGER=HOST:PORT of another pool\n"
    );
    let file = |path: &str, text: String| (path.to_owned(), text);
    Ok(vec![
        file("Cargo.toml", manifest),
        file("src/main.rs", RUST.to_owned()),
        file("README.md", readme),
        file(".gitignore", "/target\n".to_owned()),
    ])
}

/// The crate of the checkout in whose target folder this program lies.
fn of_checkout() -> Option<PathBuf> {
    let program = fs::canonicalize(std::env::current_exe().ok()?).ok()?;
    let folder = program.parent()?.parent()?.parent()?.join("crates/argon");
    folder.join("Cargo.toml").is_file().then_some(folder)
}

fn script(name: &str, suffix: &str, text: &str, start: &str) -> NewFiles {
    let file = format!("{name}.{suffix}");
    let readme = format!(
        "# Runs the program on the pool of ARGON_MANAGER, else on one of this machine.\n{start} {file}\n"
    );
    vec![(file, text.to_owned()), ("README".to_owned(), readme)]
}

fn write(folder: &Path, files: &NewFiles) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let advice = if is_there { "; choose another name, or remove it" } else { "" };
        Failure::new(FailureKind::Other, format!("{} cannot be made: {error}{advice}", path.display()))
    };
    fs::create_dir(folder).map_err(|error| failed(folder, error))?;
    for (path, text) in files {
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        made.map_err(|error| failed(&path, error))?;
    }
    Ok(())
}
