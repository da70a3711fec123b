//! `argon-fuzz`: runs the targets under one seed. Exit codes: 0 all promises held, 1 one broke, 2 used wrongly.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argon_fuzz::{TARGETS, Target, drive, target};

const USAGE: &str = "\
usage: argon-fuzz [--seconds N] [--seed N] [--target NAME]
       argon-fuzz --target NAME FILE...      runs these inputs, such as those that libFuzzer has found
  --seconds   time of all targets together (default 10)
  --seed      default: the present time; it is printed";

fn main() -> ExitCode {
    let (mut seconds, mut seed, mut chosen, mut files) = (10_u64, fresh_seed(), None, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let is_well = match argument.as_str() {
            "--seconds" => take(&mut arguments, &mut seconds),
            "--seed" => take(&mut arguments, &mut seed),
            "--target" => {
                chosen = arguments.next().and_then(|name| target(&name));
                chosen.is_some()
            }
            file if !file.starts_with('-') => {
                files.push(file.to_owned());
                true
            }
            _ => false,
        };
        if !is_well {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("argon-fuzz: {argument} cannot be read\n\n{USAGE}\ntargets: {}", names.join(", "));
            return ExitCode::from(2);
        }
    }
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

fn run_files(targets: &[&'static Target], files: &[String]) -> ExitCode {
    for file in files {
        match std::fs::read(file) {
            Ok(bytes) => targets.iter().for_each(|target| (target.run)(&bytes)),
            Err(error) => {
                eprintln!("argon-fuzz: {file}: {error}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}

fn take(arguments: &mut impl Iterator<Item = String>, number: &mut u64) -> bool {
    arguments.next().and_then(|text| text.parse().ok()).map(|read| *number = read).is_some()
}

fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_millis() as u64)
}
