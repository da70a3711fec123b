//! `--results`: what each command printed, in files of its own, in folders named after the input as GNU parallel names
//! them: `DIR/1/VALUE/2/VALUE/{stdout,stderr,seq}`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::quote;

/// Bytes of a file's name at most; longer values end in a number made of the whole.
const NAME_BYTES_MAX: usize = 255;

/// The files of one command, open for writing.
#[derive(Debug)]
pub struct Files {
    /// Its standard output.
    pub stdout: File,
    /// … and to standard error.
    pub stderr: File,
}

/// Makes the folder and the files for one input.
///
/// # Errors
/// If they cannot be made; the text names the folder.
pub fn files(folder: &Path, row: &[String], sequence: u64) -> io::Result<Files> {
    let folder = place(folder, row);
    make(&folder, sequence).map_err(|error| {
        let text = format!("results cannot be kept in {}: {error}", folder.display());
        io::Error::new(error.kind(), text)
    })
}

fn make(folder: &Path, sequence: u64) -> io::Result<Files> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("seq"), sequence.to_string())?;
    Ok(Files { stdout: File::create(folder.join("stdout"))?, stderr: File::create(folder.join("stderr"))? })
}

fn place(folder: &Path, row: &[String]) -> PathBuf {
    let mut place = folder.to_owned();
    for (value, column) in row.iter().zip(1..) {
        place.push(column.to_string());
        place.push(name(value));
    }
    place
}

/// A value as the name of a folder.
fn name(value: &str) -> String {
    let mut name = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '/' => name.push_str(r"\_"),
            '\\' => name.push_str(r"\\"),
            '\t' => name.push_str(r"\t"),
            '\0' => name.push_str(r"\0"),
            other => name.push(other),
        }
    }
    match name.as_str() {
        // These are other folders, or none.
        "" => r"\e".to_owned(),
        "." => r"\.".to_owned(),
        ".." => r"\.\.".to_owned(),
        _ if name.len() <= NAME_BYTES_MAX => name,
        _ => shortened(&name),
    }
}

fn shortened(name: &str) -> String {
    let ending = format!("…{:016x}", quote::digest(name));
    let mut kept = NAME_BYTES_MAX - ending.len();
    while !name.is_char_boundary(kept) {
        kept -= 1;
    }
    format!("{}{ending}", &name[..kept])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_the_columns() {
        let row = ["a/b".to_owned(), "c d".to_owned()];
        assert_eq!(place(Path::new("out"), &row), Path::new(r"out/1/a\_b/2/c d"));
    }

    #[test]
    fn no_value_leads_out_of_the_folder_or_to_that_of_another() {
        let long = ["x".repeat(300), "x".repeat(301), "é".repeat(150)];
        let mut names: Vec<String> = ["", ".", "..", r"\.", "/", r"\_"].map(name).to_vec();
        names.extend(long.iter().map(|value| name(value)));
        assert!(names.iter().all(|name| name.len() <= 255 && !name.contains('/') && name != ".."));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
