//! The mark of an environment: a fingerprint by which a worker recognizes the folder of a client (`spec/runner.md`, 9).

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use argon_proto::BlobHash;
use bytes::Bytes;

/// Digits of a mark.
const DIGITS: usize = 32;

/// The facts of a file that go into a mark.
#[derive(Clone, Copy, Debug)]
struct Facts {
    inode: u64,
    bytes: u64,
    modified_s: i64,
}

/// The mark of a folder with that interpreter.
///
/// # Errors
/// If one of the two is not there.
pub(super) fn mark_of(prefix: &Path, program: &Path) -> io::Result<String> {
    let folder = fs::metadata(prefix)?.ino();
    let program = Facts::of(&fs::metadata(program)?);
    let config = fs::metadata(prefix.join("pyvenv.cfg")).ok().map(|facts| Facts::of(&facts));
    Ok(mark(&prefix.display().to_string(), folder, program, config))
}

fn mark(prefix: &str, folder: u64, program: Facts, config: Option<Facts>) -> String {
    let shown = |Facts { inode, bytes, modified_s }: Facts| format!("{inode} {bytes} {modified_s}");
    let config = config.map_or("-".to_owned(), shown);
    let text = format!("argon environment 1\n{prefix}\n{folder}\n{}\n{config}\n", shown(program));
    let mut mark = BlobHash::of(&[Bytes::from(text)]).to_string();
    mark.truncate(DIGITS);
    mark
}

impl Facts {
    fn of(facts: &Metadata) -> Self {
        Self { inode: facts.ino(), bytes: facts.len(), modified_s: facts.mtime() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_of_the_vectors() {
        let text = include_str!("../../../../../../spec/vectors/environments.json");
        let vectors: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let facts = |value: &serde_json::Value| {
            let number = |at: usize| value[at].as_i64().expect("a number");
            Facts {
                inode: number(0).cast_unsigned(),
                bytes: number(1).cast_unsigned(),
                modified_s: number(2),
            }
        };
        for vector in vectors["marks"].as_array().expect("a list") {
            let config = Some(&vector["config"]).filter(|config| config.is_array()).map(facts);
            let (prefix, folder) = (vector["prefix"].as_str(), vector["folder"].as_u64());
            let made =
                mark(prefix.expect("text"), folder.expect("a number"), facts(&vector["python"]), config);
            assert_eq!(vector["mark"], made, "{vector}");
        }
    }
}
