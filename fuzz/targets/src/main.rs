//! `argon-fuzz`: runs the targets under one seed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use argon_fuzz::{TARGETS, Target, drive, fresh_seed, target};
use clap::Parser;
use clap::builder::PossibleValuesParser;

/// Runs the fuzz targets under one seed.
#[derive(Debug, Parser)]
#[command(
    name = "argon-fuzz",
    version,
    after_help = "Exit status: 0 all promises held, 1 one broke, 2 the command was used wrongly."
)]
struct Options {
    /// Time of all targets together, in seconds
    #[arg(long, value_name = "N", default_value = "10")]
    seconds: u64,
    /// Seed of all inputs; it is printed [default: the present time]
    #[arg(long, default_value_t = fresh_seed(), hide_default_value = true)]
    seed: u64,
    /// Runs this target only
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(TARGETS.iter().map(|target| target.name)))]
    target: Option<String>,
    /// Inputs to run instead, such as those that libFuzzer has found
    #[arg(value_name = "FILE", requires = "target")]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let Options { seconds, seed, target: chosen, files } = Options::parse();
    let chosen = chosen.and_then(|name| target(&name));
    let targets: Vec<&'static Target> = chosen.map_or_else(|| TARGETS.iter().collect(), |one| vec![one]);
    if !files.is_empty() {
        return run_files(&targets, &files);
    }
    let time = Duration::from_secs(seconds) / u32::try_from(targets.len()).unwrap_or(1);
    for target in targets {
        match drive::drive(target, seed, time, u64::MAX) {
            Ok(rounds) => println!("{}: {rounds} inputs under seed {seed}", target.name),
            Err(found) => {
                let input = found.input.escape_ascii();
                eprintln!("{}: {}\n  seed {seed}, input: {input}", found.target, found.what);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn run_files(targets: &[&'static Target], files: &[PathBuf]) -> ExitCode {
    for file in files {
        match std::fs::read(file) {
            Ok(bytes) => targets.iter().for_each(|target| (target.run)(&bytes)),
            Err(error) => {
                eprintln!("argon-fuzz: {}: {error}", file.display());
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}
