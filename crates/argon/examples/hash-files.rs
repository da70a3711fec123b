//! Hashes the files under a folder, on all machines at once, and prints what `sha256sum` would.
//!
//! `cargo run --release --example hash-files -- FOLDER [MANAGER]`
//!
//! The files are read here and hashed there: workers need not see them. `map` reads ahead only as far as the cluster
//! works, so that memory stays flat however many files there are.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A line as `sha256sum` prints it.
#[argon::task]
fn line(path: String, bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}  {path}")
}

#[argon::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let manager = arguments.next().map_or_else(argon::Addresses::default, argon::Addresses::from);
    let client = argon::Client::connect(manager).await?;

    let paths = files(&folder)?;
    let calls = paths.iter().filter_map(|path| match std::fs::read(path) {
        Ok(bytes) => Some(line(path.display().to_string(), &bytes)),
        Err(error) => {
            eprintln!("{} cannot be read: {error}", path.display());
            None
        }
    });
    let mut lines = client.map(calls).ahead(32);
    let mut count = 0;
    while let Some(line) = lines.next().await {
        println!("{}", line?);
        count += 1;
    }
    eprintln!("{count} files hashed");
    Ok(())
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
