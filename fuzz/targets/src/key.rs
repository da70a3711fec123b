//! Target: the one line of a key file.
//!
//! Promises: no text makes it panic, and what was read and written is the same key.

use argon_proto::key::Key;

/// Beginning of every key, which the message may name.
const ARGON1: &str = "argon1-cluster-";

/// Checks one line.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<Key>() {
        Ok(key) => {
            let again = key.to_string().parse::<Key>();
            assert!(again.is_ok_and(|again| again == key), "a key changes when it is written");
        }
        Err(error) => {
            let shows_it = text.len() > ARGON1.len() && error.to_string().contains(text);
            assert!(!shows_it, "the text may be a secret: {error}");
        }
    }
}

/// The lines of the shared vectors, good and broken.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    let vectors = crate::vectors(include_str!("../../../spec/vectors/handshake.json"));
    let broken = vectors["broken_lines"].as_array().cloned().unwrap_or_default();
    let lines = broken.iter().chain([&vectors["key_line"]]);
    lines.filter_map(|line| Some(line.as_str()?.as_bytes().to_vec())).collect()
}
